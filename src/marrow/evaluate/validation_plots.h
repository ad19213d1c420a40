// What a validation leaves in its run folder for people to look at, under the names that users of YOLOv8
// know: confusion_matrix.png, confusion_matrix_normalized.png, Box{PR,F1,P,R}_curve.png, and the first
// batches as val_batch0_labels.jpg, val_batch0_pred.jpg and so on, the same images in the same places.
//
// Nothing here throws: what cannot be drawn is reported once and left out. One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/evaluate/metrics/classification.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/evaluate/plots/curve_plot.h"
#include "marrow/evaluate/plots/drawing_attempts.h"
#include "marrow/evaluate/task_image.h"
#include "marrow/loader/classification_loader.h"
#include "marrow/loader/detection_loader.h"

namespace marrow::evaluate {

constexpr int64_t kPlottedBatches = 3;
constexpr int kBatchSheetSide = 1920;  // pixels; larger sheets shrink

class ValidationPlots {
 public:
  // The folder exists. names[class_id].
  ValidationPlots(std::filesystem::path folder, std::vector<std::string> names,
                  std::function<void(std::string_view)> say);

  // Of each batch, in order; later ones than the first three are left alone. `detections`: one list an image,
  // in pixels of the batch, by falling confidence; those that prediction would show are drawn.
  void add(const loader::DetectionBatch& batch,
           std::span<const std::vector<detect::InputDetection>> detections, const ExtrasOfImage& extras = {});

  // The same for a classifier: `truth` and `scores`, (N, names) float32, of the batch's images.
  void add(const loader::ClassificationBatch& batch, std::span<const int> truth, const Tensor& scores);

  void finish(const DetectionReport& report);
  void finish(const ClassificationValidator& report);

 private:
  std::filesystem::path batch_file(int64_t number, const char* what) const;
  void draw_confusion(const ConfusionMatrix& matrix);
  void draw_curve(const AveragePrecision& measured, Curve curve, const std::string& of);

  std::filesystem::path folder_;
  std::vector<std::string> names_;
  DrawingAttempts attempts_;
};

}  // namespace marrow::evaluate
