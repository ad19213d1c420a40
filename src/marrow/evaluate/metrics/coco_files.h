// COCO's JSON files for boxes: ground truth and detections in, predictions.json out.
//
// Reading streams: it keeps the fields it needs and skips the rest (masks, licences), so that memory stays in
// proportion to what is returned.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "marrow/evaluate/metrics/coco.h"

namespace marrow::evaluate {

// {"images": [{"id", "file_name"}], "categories": [{"id", "name"}], "annotations": [{"image_id",
// "category_id", "bbox", "area", "iscrowd"}]}. file_name and name may be missing (empty), and so may area
// (width * height) and iscrowd (0). Throws Error{kFile} when the file cannot be read; Error{kFormat}, naming
// the entry, when it is not JSON, an entry lacks a field or has one of another type, an id appears twice, a
// box has a negative side, or an annotation is of a picture or category that is not listed.
CocoGroundTruth read_coco_ground_truth(const std::filesystem::path& path);

// [{"image_id", "category_id", "bbox", "score"}], the file that Ultralytics and pycocotools' users call
// predictions.json. An image_id that is text is the name of a picture of `truth` without its extension.
// Throws as above, also for a picture that `truth` does not have; a category that it does not have is kept,
// and left out by evaluate_coco.
std::vector<CocoDetection> read_coco_detections(const std::filesystem::path& path,
                                                const CocoGroundTruth& truth);

// One detection as it goes into predictions.json.
struct CocoPrediction {
  std::string file_name;  // with its extension, without folders
  int64_t category_id = 0;
  BoxXywh box = {};
  double score = 0.0;
  std::optional<int64_t> image_id = {};  // that of an annotation file; without, the name gives it
};

// As they are written: three decimals for boxes, five for scores.
double rounded_coordinate(double pixels);
double rounded_score(double score);

// The text of the file. Where a prediction has no image_id, it is the name without its extension, as a number
// where it is one. Bytes that
// are not UTF-8 become U+FFFD; a number that is not finite becomes 0, for JSON has none.
std::string coco_predictions_json(std::span<const CocoPrediction> predictions);

// category_id by class: class + 1; or, with coco91, the number that COCO gives its 80 classes among 1..90,
// which needs classes <= 80.
std::vector<int64_t> coco_category_ids(int classes, bool coco91);

}  // namespace marrow::evaluate
