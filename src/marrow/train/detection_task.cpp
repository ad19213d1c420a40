#include "marrow/train/detection_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/counted.h"
#include "marrow/evaluate/detector_validation.h"
#include "marrow/evaluate/tile_validation.h"
#include "marrow/loader/augment_options.h"
#include "marrow/loss/options.h"
#include "marrow/train/multi_scale.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/run_plots.h"

namespace marrow::train {

DetectionTask::DetectionTask(const TrainOptions& options, DetectorKind kind, const InputFormat& format,
                             std::vector<std::string> names, int image_size, int stride,
                             evaluate::OpenedSplit train, evaluate::OpenedSplit val,
                             distributed::Communicator* communicator, std::unique_ptr<FeatureLoader> features)
    : LoaderTask(options, std::move(names), std::move(train), std::move(val), communicator),
      image_size_(image_size),
      stride_(stride),
      kind_(std::move(kind)),
      format_(format),
      threads_(options.threads),
      features_(std::move(features)) {}

TrainingBatch DetectionTask::training_batch(const loader::DetectionBatch& batch, bool overlapping) const {
  return {.images = batch.images,
          .targets = batch.targets,
          .ignored = batch.ignored,
          .masks = batch.masks,
          .overlapping = overlapping,
          .keypoints = batch.keypoints,
          .is_part = share_.workers > 1};
}

std::vector<int64_t> DetectionTask::objects_of_classes() const {
  std::vector<int64_t> counts(names_.size(), 0);
  if (train_.shards != nullptr) return counts;  // without cls_pw they are not looked at
  for (size_t i = 0; i < train_.images->size(); ++i)
    for (const data::Label& label : train_.images->labels(i).labels)
      ++counts.at(static_cast<size_t>(label.class_id));
  return counts;
}

std::vector<std::string> DetectionTask::loss_names() const {
  return kind_.loss_names();
}

std::vector<std::string> DetectionTask::result_columns() const {
  return detection_columns(loss_names(), std::string(block_letter(kind_.head().second())));
}

void DetectionTask::show_to(RunPlots& plots) {
  plots_ = &plots;
  if (train_.images != nullptr) plots.labels(*train_.images);
}

void DetectionTask::start(const Place& place) {
  // With 8.3's rules a run of fewer epochs than that keeps its mosaics.
  int64_t epoch = place.epochs - options_.close_mosaic;
  if (rules_named(options_.rules) == Rules::k84) epoch = std::max<int64_t>(epoch, 0);
  close_mosaic_epoch_ = options_.close_mosaic > 0 && epoch >= 0 ? epoch : -1;
  if (!features_) return LoaderTask::start(place);
  seed_ = place.seed;
  // The versions of the images stay the same when a run goes back and draws other batches.
  Place drawn = place;
  drawn.seed = options_.seed;
  features_->start(complete_options(drawn), place.seed, place.epoch * batches_per_epoch() + place.batch);
}

double DetectionTask::waited_seconds() const {
  return features_ ? features_->waited_seconds() : LoaderTask::waited_seconds();
}

loader::DetectionLoaderOptions DetectionTask::loader_options(const Place&) const {
  loader::DetectionLoaderOptions loader;
  loader.masks = {.overlap = options_.overlap_mask, .ratio = options_.mask_ratio};
  loader.rectangular = options_.rect;
  loader.stride = stride_;
  loader.pad = 0;
  loader.augment = loader::augment_settings_of(options_);
  loader.augment->flip_idx = kind_.flip_idx();
  loader.augment->forbid_flips_without_indices(kind_.labels());
  if (close_mosaic_epoch_ >= 0) loader.close_mosaic_epoch = close_mosaic_epoch_;
  return loader;
}

Objective DetectionTask::objective() const {
  return kind_.objective(options_, loss::class_weights(objects_of_classes(), options_.cls_pw));
}

Task::Batch DetectionTask::next_features() {
  FeatureBatch made = features_->next([&](const loader::DetectionBatch& drawn) {
    if (plots_) plots_->train_batch(drawn, batches_per_epoch(), close_mosaic_epoch_);
  });
  Batch batch;
  batch.place = place_of(made);
  batch.images = static_cast<int>(made.features.images.front());
  batch.instances = made.targets.dim(0);
  batch.image_size = image_size_;
  batch.data.targets = std::move(made.targets);
  batch.data.ignored = std::move(made.ignored);
  batch.data.features = std::move(made.features);
  return batch;
}

Task::Batch DetectionTask::next() {
  if (features_) return next_features();
  const std::optional<loader::DetectionBatch> loaded = loader_->next();
  if (plots_) plots_->train_batch(*loaded, batches_per_epoch(), close_mosaic_epoch_);
  Batch batch;
  batch.data = training_batch(*loaded, options_.overlap_mask);
  batch.place = place_of(*loaded);
  batch.images = static_cast<int>(whole_batch(loaded->number));
  batch.instances = loaded->targets.dim(0);
  batch.image_size = image_size_;
  if (const double share = multi_scale_share(options_); share > 0) {
    batch.image_size = draw_image_size(image_size_, share, stride_, seed_, loaded->epoch, loaded->number);
    batch.data.images = resize_batch(loaded->images, format_, batch.image_size, stride_, threads_);
  }
  return batch;
}

Task::Validation DetectionTask::validate(TrainingExecutor& executor, bool last,
                                         const std::function<bool()>& stop) {
  std::vector<double> loss_sums(loss_names().size(), 0);
  int64_t batches = 0;
  // Tiles of an image are joined by whoever has all of them: each worker validates all images then.
  const bool is_split = share_.workers > 1 && options_.tile == 0;
  evaluate::ValidationPlots* const plots = last && plots_ ? &plots_->validation() : nullptr;
  const auto predict = [&](const loader::DetectionBatch& batch) {
    TrainingBatch part = training_batch(batch, true);
    part.is_part = is_split;
    const TrainingExecutor::Evaluation found = executor.evaluate_average(part, kind_.outputs());
    if (found.all_images == 0) return evaluate::BatchPredictions({});
    for (size_t i = 0; i < loss_sums.size(); ++i) loss_sums[i] += found.losses.at(i);
    ++batches;
    if (found.outputs.empty()) return evaluate::BatchPredictions({});
    return evaluate::BatchPredictions(found.outputs.front(),
                                      found.outputs.size() > 1 ? found.outputs[1] : Tensor());
  };
  evaluate::DetectorValidationOptions how = {
      .names = names_,
      .confidence =
          options_.conf ? static_cast<float>(*options_.conf) : evaluate::validation_confidence(kind_.head()),
      .iou = static_cast<float>(options_.iou),
      .max_detections = options_.max_det,
      .agnostic = options_.single_cls || options_.agnostic_nms,
      .head = kind_.head(),
      .predictions = last && options_.save_json,
      .rules = rules_named(options_.rules),
      .numbers = last ? val_.numbers : data::CocoNumbers(),
      .show = [&](const loader::DetectionBatch& batch,
                  std::span<const std::vector<detect::InputDetection>> boxes,
                  const evaluate::ExtrasOfImage& extras) {
        if (plots) plots->add(batch, boxes, extras);
      }};
  if (is_split) how.gather = [this](const std::string& bytes) { return communicator_->gather(bytes); };
  const auto keep_going = [&](int64_t) { return !stop(); };
  const auto measure = [&] {
    if (options_.tile > 0)
      return evaluate::validate_tiles(*val_.images,
                                      {.tiles = {options_.tile, options_.overlap},
                                       .image_size = image_size_,
                                       .stride = stride_,
                                       .batch = validation_batch()},
                                      how, predict, threads_, keep_going);
    loader::DetectionLoader loader(val_.images, {.batch = validation_batch(),
                                                 .workers = workers_,
                                                 .rectangular = true,
                                                 .stride = stride_,
                                                 .masks = {.ratio = options_.mask_ratio},
                                                 .share = share_});
    return evaluate::validate_detector(loader, *val_.images, how, predict, threads_, keep_going);
  };
  const evaluate::DetectorValidation found = measure();

  const bool stopped = stop();  // asked on all workers
  if (plots && !stopped) plots->finish(found.report);
  Validation validation;
  const evaluate::AveragePrecision& ap = found.report.ultralytics;
  validation.result.metrics = {ap.precision(), ap.recall(), ap.map50(), ap.map50_95()};
  validation.result.fitness = evaluate::metric_named(ap, options_.best_metric);
  std::string of_second;
  if (found.report.block != evaluate::SecondBlock::kNone) {
    const evaluate::AveragePrecision& second = found.report.second;
    of_second = fmt::format(" of boxes, mAP50({0}) {1:.4g}, mAP50-95({0}) {2:.4g}",
                            evaluate::block_letter(found.report.block), second.map50(), second.map50_95());
    for (const double metric : {second.precision(), second.recall(), second.map50(), second.map50_95()})
      validation.result.metrics.push_back(metric);
    if (options_.best_metric == "fitness") validation.result.fitness = found.report.fitness();
  }
  for (double& sum : loss_sums) sum /= static_cast<double>(std::max<int64_t>(batches, 1));
  validation.result.losses = loss_sums;
  validation.summary = fmt::format(
      "{:>11}  precision {:.4g}, recall {:.4g}, mAP50 {:.4g}, mAP50-95 {:.4g}{} (Ultralytics {}) on {}, {}",
      "validation", ap.precision(), ap.recall(), ap.map50(), ap.map50_95(), of_second, options_.rules,
      counted(found.report.images, "image"), counted(found.report.instances, "object"));
  validation.report =
      evaluate::report_text(found.report, options_.verbose) + "\n" + evaluate::speed_line(found.times);
  if (last && options_.save_json) validation.json = evaluate::coco_predictions_json(found.predictions);
  return validation;
}

}  // namespace marrow::train
