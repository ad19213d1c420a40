// One image of a validation batch as its task has it: what is true and what was found, and how masks,
// keypoints or turned boxes of the two overlap.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/data/labels.h"
#include "marrow/detect/extras.h"
#include "marrow/detect/masks.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/geometry/probiou.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/operation.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/predict/detector.h"

namespace marrow::evaluate {

// Predictions of a batch's images.
struct BatchPredictions {
  BatchPredictions(Tensor decoded, Tensor prototypes = {})
      : decoded(std::move(decoded)), prototypes(std::move(prototypes)) {}

  Tensor decoded;     // (N, rows, anchors) float32
  Tensor prototypes;  // (N, masks, h, w), of a head that segments

  const float* decoded_of(int64_t image) const {
    return decoded.values().data() + image * decoded.dim(1) * decoded.dim(2);
  }
  detect::Prototypes prototypes_of(int64_t image) const {
    return {prototypes.values().data() + image * prototypes.dim(1) * prototypes.dim(2) * prototypes.dim(3),
            static_cast<int>(prototypes.dim(1)),
            {static_cast<int>(prototypes.dim(3)), static_cast<int>(prototypes.dim(2))}};
  }
};

// A head as validation sees it.
struct ValidatedHead {
  DetectDecode decode;
  std::vector<double> sigmas = {};  // of keypoints
  // Masks are compared at the network's input's size, as they are written, and not at the prototypes'.
  bool fine_masks = false;

  SecondBlock second() const {
    if (decode.extra == DetectExtra::kCoefficients) return SecondBlock::kMasks;
    return numbers_of_point(decode.extra) > 1 ? SecondBlock::kKeypoints : SecondBlock::kNone;
  }
  bool turned() const { return decode.extra == DetectExtra::kAngle; }
};

// That of the graph, which has one; `suppress` as predict::detection_output() has it. Without sigmas they are
// keypoint_sigmas().
ValidatedHead validated_head(const Graph& graph, bool suppress, const std::vector<double>& sigmas,
                             Rules rules = kDefaultRules);

// Validation's default for such a head.
inline float validation_confidence(const ValidatedHead& head) {
  return head.turned() ? kTurnedConfidence : kValidationConfidence;
}

// What the batch holds of its `image`.
struct ImageOfBatch {
  const loader::DetectionBatch& batch;
  int64_t image = 0;
  const data::LabelledImage& labels;
  RatioPad ratio_pad;
  Size network;  // that the image was fitted into
};

// What there is to draw of an image's first detections beside their boxes, in pixels of the batch. An empty
// function: nothing.
using ExtrasOfImage = std::function<detect::DetectionExtras(size_t image, size_t detections)>;

class TaskImage {
 public:
  // What a network predicts of the batch.
  TaskImage(const ImageOfBatch& image, const BatchPredictions& predictions, const ValidatedHead& head,
            const detect::NmsOptions& nms);
  // What was found in an image that is its own input, as its masks are: all but keypoints.
  TaskImage(const ImageOfBatch& image, const ValidatedHead& head, const predict::DetectionResult& found);

  const std::vector<TruthBox>& truth() const { return truth_; }
  const std::vector<detect::InputDetection>& detections() const { return detections_; }
  SecondBlock second() const { return head_.second(); }

  // Of this object, as long as it lives.
  Overlap overlap() const;
  Overlap second_overlap() const;  // empty where there is no second block
  // Of all but upright boxes.
  std::optional<CocoOverlaps> coco() const;
  // CocoPrediction::fields of every detection: "segmentation" as compressed run lengths in the image, or
  // "keypoints"; of turned boxes none.
  std::vector<std::string> fields() const;
  std::vector<RotatedBox<ImagePixels>> turned() const;  // the detections of a head that turns them
  // What there is to draw of the first detections, in pixels of the batch.
  detect::DetectionExtras drawn(size_t detections) const;

 private:
  using Points = std::vector<Keypoint<InputPixels>>;

  void read_truth();
  void read_turned(const detect::NmsOptions& nms);
  void read_masks();
  std::vector<MaskPart> true_masks(Size size) const;
  void read_keypoints();
  std::vector<size_t> labels_of_truth() const;
  CocoOverlaps coco_turned() const;
  CocoOverlaps coco_masks() const;
  CocoOverlaps coco_keypoints() const;
  MaskPart mask_in_image(size_t detection) const;
  // The box in pixels of masks of that size.
  detect::MaskRequest mask_request(size_t detection, Size masks) const;
  // Adds an entry for every pair of one class that overlaps by half; `classes` are those of what is true.
  void add_entries(CocoOverlaps& overlaps, std::span<const int> classes,
                   const std::function<double(size_t, size_t)>& overlap) const;
  const float* prediction() const { return predictions_->decoded_of(image_.image); }
  int64_t anchors() const { return predictions_->decoded.dim(2); }
  detect::Prototypes prototypes() const { return predictions_->prototypes_of(image_.image); }

  ImageOfBatch image_;
  const BatchPredictions* predictions_ = nullptr;  // null: found_masks_ are known
  const ValidatedHead& head_;
  std::vector<TruthBox> truth_;
  std::vector<int64_t> rows_;  // that it is, among the batch's targets
  std::vector<detect::InputDetection> detections_;
  std::vector<RotatedBox<InputPixels>> true_turned_, found_turned_;
  std::vector<GaussianBox> true_shapes_, found_shapes_;
  std::vector<MaskPart> found_masks_;
  std::vector<float> mask_ious_;  // (truth, detections), of one class; masks are made one by one
  std::vector<Points> true_points_, found_points_;
};

}  // namespace marrow::evaluate
