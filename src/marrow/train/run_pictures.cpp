#include "marrow/train/run_pictures.h"

#include <fmt/format.h>

#include <chrono>

#include "marrow/evaluate/plots/label_plot.h"
#include "marrow/evaluate/plots/results_plot.h"
#include "marrow/image/encode.h"
#include "marrow/loader/batch_sheet.h"

namespace marrow::train {
namespace {

constexpr double kLargestShare = 0.01;  // of a run's time, for drawing results.png while it goes on

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

RunPictures::RunPictures(std::filesystem::path folder, std::vector<std::string> names,
                         std::function<void(std::string_view)> say)
    : folder_(std::move(folder)),
      names_(std::move(names)),
      attempts_(say),
      validation_(folder_, names_, say),
      drawn_at_(now_seconds()) {}

void RunPictures::labels(const loader::ImageStore& images) {
  attempts_.plot(folder_ / "labels.jpg", [&] {
    std::vector<evaluate::PlottedBox> boxes;
    for (size_t i = 0; i < images.size(); ++i)
      for (const data::Label& label : images.labels(i).labels)
        boxes.push_back({label.class_id, label.box.in_single_precision()});
    return evaluate::label_plot(boxes, names_);
  });
}

void RunPictures::train_batch(const loader::DetectionBatch& batch, int64_t batches_per_epoch,
                              int64_t close_mosaic_epoch) {
  const int64_t iteration = batch.epoch * batches_per_epoch + batch.number;
  const bool without_mosaic = batch.epoch == close_mosaic_epoch && batch.number < evaluate::kPicturedBatches;
  if (iteration >= evaluate::kPicturedBatches && !without_mosaic) return;
  attempts_.picture([&] {
    image::write_image(
        folder_ / fmt::format("train_batch{}.jpg", iteration),
        loader::batch_sheet(batch, names_, loader::kSheetImages, evaluate::kBatchSheetSide).pixels());
  });
}

void RunPictures::train_batch(const loader::ClassificationBatch& batch, int64_t batches_per_epoch) {
  const int64_t iteration = batch.epoch * batches_per_epoch + batch.number;
  if (iteration >= evaluate::kPicturedBatches) return;
  attempts_.picture([&] {
    image::write_image(folder_ / fmt::format("train_batch{}.jpg", iteration),
                       loader::class_sheet(batch.images, batch.class_ids, names_, loader::kSheetImages,
                                           evaluate::kBatchSheetSide)
                           .pixels());
  });
}

void RunPictures::epoch_done() {
  if (now_seconds() - drawn_at_ >= draw_cost_ / kLargestShare) run_done();
}

void RunPictures::run_done() {
  const double began = now_seconds();
  attempts_.plot(folder_ / "results.png",
                 [&] { return evaluate::results_plot(read_results_csv(folder_ / "results.csv")); });
  drawn_at_ = now_seconds();
  draw_cost_ = drawn_at_ - began;
}

}  // namespace marrow::train
