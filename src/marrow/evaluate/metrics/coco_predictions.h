// predictions.json: the detections of a validation, as COCO's tools read them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "marrow/evaluate/metrics/coco.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::evaluate {

// The number or name that an annotation file gives an image.
using CocoImageId = std::variant<int64_t, std::string>;

// One detection as it goes into predictions.json.
struct CocoPrediction {
  std::string file_name;  // with its extension, without folders
  int64_t category_id = 0;
  CocoBox box = {};
  double score = 0.0;
  std::optional<CocoImageId> image_id = {};  // that of an annotation file; without, the name gives it
  std::string fields = {};  // further members of its object, as JSON: "segmentation" or "keypoints"
  std::optional<RotatedBox<ImagePixels>> turned = {};  // "rbox" and "poly", in place of "bbox"
  int class_id = 0;                                    // among the names; not written
};

// As they are written: three decimals for pixels and angles, five for scores.
CocoBox rounded(const CocoBox& box);
double rounded_score(double score);

// The text of the file: [{"image_id", "file_name", "category_id", "bbox", "score", fields}]. Where a
// prediction has no image_id, it is the name without its extension, as a number where it is one. Bytes that
// are not UTF-8 become U+FFFD; a number that is not finite becomes 0, for JSON has none.
std::string coco_predictions_json(std::span<const CocoPrediction> predictions);

// category_id by class: class + 1; or, with coco91, the number that COCO gives its 80 classes among 1..90,
// which needs classes <= 80.
std::vector<int64_t> coco_category_ids(int classes, bool coco91);

}  // namespace marrow::evaluate
