// COCO's numbers, equal to those of pycocotools: twelve for boxes and whatever else overlaps, ten for
// keypoints.
//
// Pure functions in double precision.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/geometry/box.h"

namespace marrow::evaluate {

using CocoBox = SizedBox<ImagePixels, double>;

struct CocoAnnotation {
  int64_t image_id = 0;
  int64_t category_id = 0;
  CocoBox box = {};
  double area = 0.0;     // decides whether it is small, medium or large; of the object, not of the box
  bool crowd = false;    // a group: detections in it are neither right nor wrong
  bool ignored = false;  // nor is the one that finds it, of keypoints where none is labelled
};

struct CocoDetection {
  int64_t image_id = 0;
  int64_t category_id = 0;
  CocoBox box = {};
  double score = 0.0;
  std::optional<double> own_area = {};  // what is small, medium or large; none: that of the box

  double area() const { return own_area ? *own_area : box.area(); }
};

struct CocoGroundTruth {
  std::vector<int64_t> image_ids;
  std::vector<int64_t> category_ids;
  std::vector<CocoAnnotation> annotations;
};

constexpr size_t kCocoNumbers = 12;

// The twelve in pycocotools' order: "AP_50_95_all_100", ...
const std::array<std::string_view, kCocoNumbers>& coco_number_names();

struct CocoCategoryPrecision {
  int64_t category_id = 0;
  std::optional<double> ap50_95;  // none without annotations that are not crowds
  std::optional<double> ap50;
};

struct CocoReport {
  std::array<double, kCocoNumbers> numbers = {};  // -1 where there is nothing to find
  std::vector<CocoCategoryPrecision> categories;  // every category, by rising id

  double ap50_95() const { return numbers[0]; }
  double ap50() const { return numbers[1]; }
  double ap75() const { return numbers[2]; }
};

// Of an image and category the 100 detections of the highest score count; equal scores keep their order.
// Detections and annotations of an image or category that the ground truth does not list are left out, as
// are scores that are NaN.
CocoReport evaluate_coco(const CocoGroundTruth& truth, std::span<const CocoDetection> detections);

// The same of what overlaps otherwise: `overlap` is asked for the places of a detection and of an annotation
// in their lists, of one image and category.
using CocoOverlap = std::function<double(size_t detection, size_t annotation)>;
CocoReport evaluate_coco(const CocoGroundTruth& truth, std::span<const CocoDetection> detections,
                         const CocoOverlap& overlap);

constexpr size_t kCocoKeypointNumbers = 10;
const std::array<std::string_view, kCocoKeypointNumbers>& coco_keypoint_number_names();  // "AP", "AP50", ...
struct CocoKeypointReport {
  std::array<double, kCocoKeypointNumbers> numbers = {};
  std::vector<CocoCategoryPrecision> categories;
};
// Of keypoints: 20 detections count, and no small objects.
CocoKeypointReport evaluate_coco_keypoints(const CocoGroundTruth& truth,
                                           std::span<const CocoDetection> detections,
                                           const CocoOverlap& overlap);

// One line a number, with pycocotools' wording.
std::string coco_text(const CocoReport& report);

}  // namespace marrow::evaluate
