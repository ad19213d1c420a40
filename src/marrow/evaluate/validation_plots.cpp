#include "marrow/evaluate/validation_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "marrow/evaluate/plots/confusion_plot.h"
#include "marrow/evaluate/plots/curve_plot.h"
#include "marrow/image/encode.h"
#include "marrow/loader/batch_sheet.h"

namespace marrow::evaluate {
namespace {

constexpr float kDrawnConfidence = detect::NmsOptions().confidence;  // as prediction has it

}  // namespace

ValidationPlots::ValidationPlots(std::filesystem::path folder, std::vector<std::string> names,
                                 std::function<void(std::string_view)> say)
    : folder_(std::move(folder)), names_(std::move(names)), attempts_(std::move(say)) {}

void ValidationPlots::add(const loader::DetectionBatch& batch,
                          std::span<const std::vector<detect::InputDetection>> detections,
                          const ExtrasOfImage& extras) {
  if (batch.number >= kPlottedBatches || batch.origin.empty()) return;
  attempts_.picture([&] {
    std::vector<loader::DrawnDetections> confident;
    for (size_t i = 0; i < std::min(detections.size(), loader::kSheetImages); ++i) {
      loader::DrawnDetections& drawn = confident.emplace_back();
      std::ranges::copy_if(detections[i], std::back_inserter(drawn.boxes),
                           [](const auto& one) { return one.confidence > kDrawnConfidence; });
      if (extras) drawn.extras = extras(i, drawn.boxes.size());
    }
    image::write_image(batch_file(batch.number, "labels"),
                       loader::batch_sheet(batch, names_, loader::kSheetImages, kBatchSheetSide).pixels());
    image::write_image(
        batch_file(batch.number, "pred"),
        loader::batch_sheet(batch, confident, names_, loader::kSheetImages, kBatchSheetSide).pixels());
  });
}

void ValidationPlots::add(const loader::ClassificationBatch& batch, std::span<const int> truth,
                          const Tensor& scores) {
  if (batch.number >= kPlottedBatches || batch.index.empty()) return;
  attempts_.picture([&] {
    const auto classes = static_cast<size_t>(scores.dim(1));
    std::vector<int> guesses;
    for (size_t i = 0; i < batch.index.size(); ++i) {
      const std::span<const float> row = scores.values().subspan(i * classes, classes);
      guesses.push_back(static_cast<int>(std::ranges::max_element(row) - row.begin()));
    }
    const auto draw = [&](std::span<const int> class_ids) {
      return loader::class_sheet(batch.images, class_ids, names_, loader::kSheetImages, kBatchSheetSide);
    };
    image::write_image(batch_file(batch.number, "labels"), draw(truth).pixels());
    image::write_image(batch_file(batch.number, "pred"), draw(guesses).pixels());
  });
}

void ValidationPlots::finish(const DetectionReport& report) {
  draw_confusion(report.confusion);
  for (const Curve curve : {Curve::kPrecisionByRecall, Curve::kF1, Curve::kPrecision, Curve::kRecall})
    draw_curve(report.ultralytics, curve, "Box");
  if (report.block == SecondBlock::kNone) return;
  const char* const of = report.block == SecondBlock::kMasks ? "Mask" : "Pose";
  for (const Curve curve : {Curve::kPrecisionByRecall, Curve::kF1, Curve::kPrecision, Curve::kRecall})
    draw_curve(report.second, curve, of);
}

void ValidationPlots::finish(const ClassificationValidator& report) {
  draw_confusion(report.confusion());
}

void ValidationPlots::draw_curve(const AveragePrecision& measured, Curve curve, const std::string& of) {
  attempts_.plot(folder_ / curve_file_name(curve, of), [&] { return curve_plot(measured, names_, curve); });
}

std::filesystem::path ValidationPlots::batch_file(int64_t number, const char* what) const {
  return folder_ / fmt::format("val_batch{}_{}.jpg", number, what);
}

void ValidationPlots::draw_confusion(const ConfusionMatrix& matrix) {
  attempts_.plot(folder_ / "confusion_matrix.png", [&] { return confusion_plot(matrix, names_, false); });
  attempts_.plot(folder_ / "confusion_matrix_normalized.png",
                 [&] { return confusion_plot(matrix, names_, true); });
}

}  // namespace marrow::evaluate
