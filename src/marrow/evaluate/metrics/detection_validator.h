// Everything `marrow val` says about a detector: images are added one by one, and one report comes out,
// with both definitions of mAP.
//
// The Ultralytics one compares boxes in the network's input, the COCO one in pixels
// of the image, with numbers rounded as predictions.json holds them, so that pycocotools says the same of
// the written file. One writer.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "marrow/evaluate/metrics/average_precision.h"
#include "marrow/evaluate/metrics/coco.h"
#include "marrow/evaluate/metrics/coco_predictions.h"
#include "marrow/evaluate/metrics/confusion_matrix.h"
#include "marrow/evaluate/metrics/matching.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::evaluate {

// A truth box in pixels of the image, for COCO's numbers.
struct CocoTruthBox {
  int class_id = 0;
  CocoBox box = {};
  double area = 0.0;  // of the object
  bool crowd = false;
};

// How an image's truth and findings overlap by COCO's definition, where they are no upright boxes: in the
// order of its truth, crowds behind it, and of its detections.
struct CocoOverlaps {
  struct Entry {
    size_t detection = 0, truth = 0;
    double overlap = 0;
  };
  std::vector<Entry> entries;  // from half on, of one class
  std::vector<double> truth_areas, found_areas;
  std::vector<bool> ignored;  // truth that is neither to be found nor wrong to find
};

struct ValidatedImage {
  std::string file_name;  // with its extension, without folders; names the image in predictions.json
  Size picture;
  Size network;                                        // the input that it was fitted into
  RatioPad ratio_pad;                                  // how
  std::span<const TruthBox> truth;                     // in pixels of the network's input; no crowds
  std::span<const detect::InputDetection> detections;  // likewise, by falling confidence, as NMS returns them
  // Where the data has areas and crowds of its own; else they follow from `truth`.
  std::optional<std::vector<CocoTruthBox>> coco_truth;
  std::vector<CocoTruthBox> crowds = {};     // those of data that has no more of its own, and what is ignored
  std::optional<CocoImageId> image_id = {};  // in predictions.json, where the data has numbers of its own
  // How truth and detections overlap; none: as boxes. And how their masks or keypoints do.
  Overlap overlap = {};
  Overlap second_overlap = {};
  std::optional<CocoOverlaps> coco = {};             // of masks, keypoints or turned boxes
  std::vector<std::string> fields = {};              // CocoPrediction::fields, one a detection, or none
  std::vector<RotatedBox<ImagePixels>> turned = {};  // the detections, or none
};

// What is measured of detections beside their boxes.
enum class SecondBlock { kNone, kMasks, kKeypoints };
std::string_view block_letter(SecondBlock block);  // "M", "P"; "" of none

struct ValidatorOptions {
  float confidence = kValidationConfidence;  // that NMS ran with; decides what enters the confusion matrix
  std::vector<int64_t> category_ids = {};    // in predictions.json, by class; empty: class + 1
  Rules rules = kDefaultRules;               // of the Ultralytics definition
  SecondBlock second = SecondBlock::kNone;
  bool turned = false;  // boxes are turned, and COCO's definition takes the overlaps of ValidatedImage::coco
};

struct DetectionReport {
  Rules rules = kDefaultRules;
  std::vector<std::string> names;
  int64_t images = 0;
  int64_t instances = 0;
  std::vector<int64_t> images_of_class;  // images that contain the class
  AveragePrecision ultralytics;
  CocoReport coco;  // categories[class]
  SecondBlock block = SecondBlock::kNone;
  AveragePrecision second;            // of masks or keypoints
  CocoReport coco_masks;              // kMasks
  CocoKeypointReport coco_keypoints;  // kKeypoints
  ConfusionMatrix confusion{0};       // the last row and column are the background

  // By which the best checkpoint is chosen: of two blocks the sum.
  double fitness() const {
    return ultralytics.fitness() + (block == SecondBlock::kNone ? 0 : second.fitness());
  }
  // ap50_95 per class; a class without ground truth has the mean.
  std::vector<double> map_by_class() const;
};

class DetectionValidator {
 public:
  explicit DetectionValidator(std::vector<std::string> names, ValidatorOptions options = {});

  // Throws Error{kShape} when a truth box or a detection is of a class that has no name.
  void add(const ValidatedImage& picture);

  DetectionReport report() const;
  std::vector<CocoPrediction> predictions() const;  // for predictions.json, made anew

 private:
  void add_coco(const ValidatedImage& picture);
  void add_coco_overlaps(const ValidatedImage& picture, size_t first_truth, size_t first_found);

  std::vector<std::string> names_;
  ValidatorOptions options_;
  int64_t images_ = 0;
  std::vector<int64_t> instances_, images_of_class_;
  std::vector<MatchedDetection> matched_, matched_second_;
  ConfusionMatrix confusion_;
  std::vector<std::string> file_names_;
  std::vector<std::optional<CocoImageId>> image_ids_;  // in predictions.json
  CocoGroundTruth coco_truth_;                         // numbered by class and in the order of images
  std::vector<CocoDetection> coco_detections_;
  std::vector<std::string> fields_;  // of these; empty where none has any
  std::vector<RotatedBox<ImagePixels>> turned_;
  // The same with areas of masks, keypoints or turned boxes, and how the two overlap: by detection, places of
  // annotations.
  std::vector<CocoAnnotation> task_annotations_;
  std::vector<CocoDetection> task_detections_;
  std::vector<std::vector<std::pair<size_t, double>>> task_overlaps_;
};

// The reference implementation's table: a header, the line "all" and, with per_class, a line for each class
// with ground truth when there are several classes.
std::string report_table(const DetectionReport& report, bool per_class);

// report_table under the name of its definition, and COCO's twelve numbers under theirs.
std::string report_text(const DetectionReport& report, bool per_class);

// Of two blocks the second's precision, recall and mAP follow with its letter, "map50(M)", and "coco_masks"
// or "coco_keypoints" as "coco".
// {"images", "instances", "precision", "recall", "map50", "map75", "map50_95", "fitness", "best_confidence",
// "definition": "ultralytics", "rules": "8.4", "coco": [12 numbers, -1 where undefined], "coco_names": [12],
// "per_class":
// [{"class", "name", "images", "instances", "precision", "recall", "f1", "map50", "map75", "map50_95",
// "coco_ap50", "coco_ap50_95"}] for classes with ground truth, "confusion_matrix": rows of counts}
nlohmann::ordered_json report_json(const DetectionReport& report);

}  // namespace marrow::evaluate
