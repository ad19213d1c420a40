#include "marrow/train/detection_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/counted.h"
#include "marrow/base/random_key.h"
#include "marrow/evaluate/detector_validation.h"
#include "marrow/loader/augment_options.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/run_plots.h"

namespace marrow::train {

DetectionTargets targets_of(const loader::DetectionBatch& batch) {
  const torch::Tensor rows = to_torch(batch.targets);
  return {rows.select(1, 0).to(torch::kInt64), rows.select(1, 1).to(torch::kInt64),
          rows.narrow(1, 2, 4).contiguous(), to_torch(batch.ignored)};
}

int draw_image_size(int image_size, double share, int stride, uint64_t seed, int64_t epoch, int64_t batch) {
  Random random = RandomKey{.seed = seed, .epoch = epoch, .position = batch}.at("image size");
  const int low = std::max(stride, static_cast<int>(image_size * (1 - share)));
  const int high = static_cast<int>(image_size * (1 + share) + stride);
  const int drawn = low + static_cast<int>(random.below(static_cast<uint64_t>(high - low)));
  return std::max(drawn / stride * stride, stride);
}

torch::Tensor resize_batch(const torch::Tensor& images, const InputFormat& format, int size, int stride) {
  const auto height = static_cast<double>(images.size(2)), width = static_cast<double>(images.size(3));
  const double factor = size / std::max(height, width);
  const auto side = [&](double old) {
    return static_cast<int64_t>(std::ceil(old * factor / stride)) * stride;
  };
  const std::vector<int64_t> wanted = {side(height), side(width)};
  if (wanted[0] == images.size(2) && wanted[1] == images.size(3)) return images;
  torch::Tensor pixels = at::upsample_bilinear2d(images.to(torch::kFloat32), wanted, /*align_corners=*/false);
  if (images.size(1) != 3) return pixels * format.scale;
  if (format.order == ChannelOrder::kBgr) pixels = pixels.flip(1);
  const auto per_channel = [&](const std::array<double, 3>& values) {
    return torch::tensor({values[0], values[1], values[2]}, pixels.options()).view({1, 3, 1, 1});
  };
  return (pixels * format.scale - per_channel(format.mean)) / per_channel(format.std);
}

DetectionTask::DetectionTask(const TrainOptions& options, const Graph& graph, std::vector<std::string> names,
                             int image_size, int stride, evaluate::OpenedSplit train,
                             evaluate::OpenedSplit val)
    : LoaderTask(options, std::move(names), std::move(train), std::move(val)),
      image_size_(image_size),
      stride_(stride),
      loss_(graph, {.box_gain = options.box,
                    .class_gain = options.cls,
                    .dfl_gain = options.dfl,
                    .class_weights = class_weights(objects_of_classes(), options.cls_pw),
                    .rules = rules_named(options.rules)}),
      maps_(detection_maps(graph)),
      output_(graph.find("output0")),
      threads_(options.threads) {}

std::vector<int64_t> DetectionTask::objects_of_classes() const {
  std::vector<int64_t> counts(names_.size(), 0);
  for (size_t i = 0; i < train_.images->size(); ++i)
    for (const data::Label& label : train_.images->labels(i).labels)
      ++counts.at(static_cast<size_t>(label.class_id));
  return counts;
}

std::vector<std::string> DetectionTask::result_columns() const {
  return detection_columns(loss_.third_name());
}

void DetectionTask::show_to(RunPlots& plots) {
  plots_ = &plots;
  plots.labels(*train_.images);
}

void DetectionTask::start(const Place& place) {
  // With 8.3's rules a run of fewer epochs than that keeps its mosaics.
  int64_t epoch = place.epochs - options_.close_mosaic;
  if (rules_named(options_.rules) == Rules::k84) epoch = std::max<int64_t>(epoch, 0);
  close_mosaic_epoch_ = options_.close_mosaic > 0 && epoch >= 0 ? epoch : -1;
  LoaderTask::start(place);
}

loader::DetectionLoaderOptions DetectionTask::loader_options(const Place&) const {
  loader::DetectionLoaderOptions loader;
  loader.rectangular = options_.rect;
  loader.stride = stride_;
  loader.pad = 0;
  loader.augment = loader::augment_settings_of(options_);
  if (close_mosaic_epoch_ >= 0) loader.close_mosaic_epoch = close_mosaic_epoch_;
  return loader;
}

Task::Step DetectionTask::forward(TorchExecutor& model) {
  const std::optional<loader::DetectionBatch> batch = loader_->next();
  if (plots_) plots_->train_batch(*batch, batches_per_epoch(), close_mosaic_epoch_);
  const torch::Device device = model.options().device;
  images_ = to_torch(batch->images, device);
  int size = image_size_;
  if (const double share = multi_scale_share(options_); share > 0) {
    size = draw_image_size(image_size_, share, stride_, seed_, batch->epoch, batch->number);
    images_ = resize_batch(images_, input_format(model.graph()), size, stride_);
  }
  place_ = place_of(*batch);
  const std::vector<torch::Tensor> maps = model.train(images_, maps_, place_);
  const DetectionLossResult result = loss_(maps, targets_of(*batch));
  const torch::Tensor items = result.items.to(torch::kCPU, torch::kFloat64).contiguous();
  Step step;
  step.loss = result.loss.sum();
  step.items.assign(items.data_ptr<double>(), items.data_ptr<double>() + items.numel());
  step.images = static_cast<int>(batch->origin.size());
  step.instances = batch->targets.dim(0);
  step.image_size = size;
  return step;
}

std::string DetectionTask::explain_non_finite(TorchExecutor& model) {
  const std::string place = model.first_non_finite(images_, maps_, place_);
  return place.empty() ? "the loss; all maps are finite" : place;
}

Task::Validation DetectionTask::validate(TorchExecutor& average, bool last,
                                         const std::function<bool()>& stop) {
  std::vector<double> loss_sums(3, 0);
  int64_t batches = 0;
  std::vector<Value> wanted = {output_};
  wanted.insert(wanted.end(), maps_.begin(), maps_.end());
  const torch::Device device = average.options().device;
  evaluate::ValidationPlots* const plots = last && plots_ ? &plots_->validation() : nullptr;
  const auto predict = [&](const loader::DetectionBatch& batch) {
    const std::vector<torch::Tensor> results = average.evaluate(to_torch(batch.images, device), wanted);
    const torch::NoGradGuard no_grad;
    const torch::Tensor items =
        loss_(std::span(results).subspan(1), targets_of(batch)).items.to(torch::kCPU, torch::kFloat64);
    for (size_t i = 0; i < loss_sums.size(); ++i)
      loss_sums[i] += items[static_cast<int64_t>(i)].item<double>();
    ++batches;
    return from_torch(results[0].to(torch::kFloat32));
  };
  const evaluate::DetectorValidationOptions how = {
      .names = names_,
      .confidence = options_.conf ? static_cast<float>(*options_.conf) : evaluate::kValidationConfidence,
      .iou = static_cast<float>(options_.iou),
      .max_detections = options_.max_det,
      .agnostic = options_.single_cls || options_.agnostic_nms,
      .predictions = last && options_.save_json,
      .rules = rules_named(options_.rules),
      .numbers = last ? val_.numbers : data::CocoNumbers(),
      .show = [&](const loader::DetectionBatch& batch,
                  std::span<const std::vector<detect::InputDetection>> boxes) {
        if (plots) plots->add(batch, boxes);
      }};
  const auto keep_going = [&](int64_t) { return !stop(); };
  const auto measure = [&] {
    if (options_.tile > 0)
      return evaluate::validate_tiles(*val_.images,
                                      {.tiles = {options_.tile, options_.overlap},
                                       .image_size = image_size_,
                                       .stride = stride_,
                                       .batch = validation_batch()},
                                      how, predict, threads_, keep_going);
    loader::DetectionLoader loader(
        val_.images,
        {.batch = validation_batch(), .workers = workers_, .rectangular = true, .stride = stride_});
    return evaluate::validate_detector(loader, *val_.images, how, predict, threads_, keep_going);
  };
  const evaluate::DetectorValidation found = measure();

  if (plots && !stop()) plots->finish(found.report);
  Validation validation;
  const evaluate::AveragePrecision& ap = found.report.ultralytics;
  validation.result.metrics = {ap.precision(), ap.recall(), ap.map50(), ap.map50_95()};
  validation.result.fitness = evaluate::metric_named(ap, options_.best_metric);
  for (double& sum : loss_sums) sum /= static_cast<double>(std::max<int64_t>(batches, 1));
  validation.result.losses = loss_sums;
  validation.summary = fmt::format(
      "{:>11}  precision {:.4g}, recall {:.4g}, mAP50 {:.4g}, mAP50-95 {:.4g} (Ultralytics {}) on {}, {}",
      "validation", ap.precision(), ap.recall(), ap.map50(), ap.map50_95(), options_.rules,
      counted(found.report.images, "image"), counted(found.report.instances, "object"));
  validation.report =
      evaluate::report_text(found.report, options_.verbose) + "\n" + evaluate::speed_line(found.times);
  if (last && options_.save_json) validation.json = evaluate::coco_predictions_json(found.predictions);
  return validation;
}

}  // namespace marrow::train
