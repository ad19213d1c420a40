#include "marrow/train/run_plots.h"

#include <fmt/format.h>

#include "marrow/base/stopwatch.h"
#include "marrow/evaluate/plots/label_plot.h"
#include "marrow/evaluate/plots/results_plot.h"
#include "marrow/image/encode.h"
#include "marrow/loader/batch_sheet.h"

namespace marrow::train {
namespace {

constexpr double kLargestShare = 0.01;  // of a run's time, for drawing results.png while it goes on

}  // namespace

RunPlots::RunPlots(std::filesystem::path folder, std::vector<std::string> names,
                   const std::function<void(std::string_view)>& say)
    : folder_(std::move(folder)),
      names_(std::move(names)),
      attempts_(say),
      validation_(folder_, names_, say) {}

void RunPlots::labels(const loader::ImageStore& images) {
  attempts_.plot(folder_ / "labels.jpg", [&] {
    std::vector<evaluate::PlottedBox> boxes;
    for (size_t i = 0; i < images.size(); ++i)
      for (const data::Label& label : images.labels(i).labels)
        boxes.push_back({label.class_id, label.box.in_single_precision()});
    return evaluate::label_plot(boxes, names_);
  });
}

void RunPlots::train_batch(const loader::DetectionBatch& batch, int64_t batches_per_epoch,
                           int64_t close_mosaic_epoch) {
  const int64_t iteration = batch.epoch * batches_per_epoch + batch.number;
  const bool without_mosaic = batch.epoch == close_mosaic_epoch && batch.number < evaluate::kPlottedBatches;
  if (iteration >= evaluate::kPlottedBatches && !without_mosaic) return;
  attempts_.picture([&] {
    image::write_image(
        folder_ / fmt::format("train_batch{}.jpg", iteration),
        loader::batch_sheet(batch, names_, loader::kSheetImages, evaluate::kBatchSheetSide).pixels());
  });
}

void RunPlots::train_batch(const loader::ClassificationBatch& batch, int64_t batches_per_epoch) {
  const int64_t iteration = batch.epoch * batches_per_epoch + batch.number;
  if (iteration >= evaluate::kPlottedBatches) return;
  attempts_.picture([&] {
    image::write_image(folder_ / fmt::format("train_batch{}.jpg", iteration),
                       loader::class_sheet(batch.images, batch.class_ids, names_, loader::kSheetImages,
                                           evaluate::kBatchSheetSide)
                           .pixels());
  });
}

void RunPlots::epoch_done() {
  if (since_drawn_.seconds() >= draw_cost_ / kLargestShare) run_done();
}

void RunPlots::run_done() {
  const Stopwatch clock;
  attempts_.plot(folder_ / "results.png",
                 [&] { return evaluate::results_plot(read_results_csv(folder_ / "results.csv")); });
  draw_cost_ = clock.seconds();
  since_drawn_ = {};
}

}  // namespace marrow::train
