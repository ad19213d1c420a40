// The keypoints of a dataset of poses: how many there are and what is known of each. In its YAML these are
// kpt_shape, flip_idx, kpt_oks_sigmas and kpt_names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "marrow/base/yaml.h"

namespace marrow::data {

inline constexpr int kMostKeypoints = 10'000;

// How many keypoints follow the box of a row, and of how many numbers (x y, or x y visible).
struct KeypointShape {
  int count = 0;  // 0: rows have none
  int dimensions = 0;
  size_t numbers() const { return static_cast<size_t>(count) * static_cast<size_t>(dimensions); }
  bool operator==(const KeypointShape&) const = default;
};

struct Skeleton {
  KeypointShape shape;
  std::vector<int> flip_idx;                    // empty, or one each: which point lies there in a mirror
  std::vector<double> sigmas;                   // empty, or one each: how exactly it can be placed, for OKS
  std::vector<std::vector<std::string>> names;  // empty, or of every class: empty, or one each
};

// Throws Error{kFormat} "name:line: key: ..." for lists of other lengths than kpt_shape says, indices that
// are no keypoint, sigmas that are not positive. Without kpt_shape the other keys are not read.
Skeleton read_skeleton(const YamlValue& yaml, const std::string& name);

// The lines of a dataset's YAML that read_skeleton() reads; none without keypoints.
std::string skeleton_yaml(const Skeleton& skeleton);

// The skeleton of classes of these names, some of which have named keypoints, of three numbers each: as many
// as the first of them has. Where names are pairs of left and right, they change places in a mirror.
Skeleton skeleton_of_names(const std::vector<std::string>& classes,
                           const std::map<std::string, std::vector<std::string>>& keypoints);

}  // namespace marrow::data
