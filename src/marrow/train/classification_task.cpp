#include "train/classification_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "loader/augment_options.h"
#include "predict/classifier_input.h"
#include "predict/preprocess.h"
#include "recipe/results_csv.h"
#include "train/run_pictures.h"

namespace marrow {

torch::Tensor soft_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets) {
  const torch::Tensor wide = logits.scalar_type() == torch::kFloat64 ? logits : logits.to(torch::kFloat32);
  return -(targets * wide.log_softmax(1)).sum(1).mean();
}

ClassificationTask::ClassificationTask(const TrainOptions& options, const Graph& graph,
                                       std::vector<std::string> names, OpenedSplit train, OpenedSplit val)
    : options_(options),
      names_(std::move(names)),
      format_(classifier_format(input_format(graph), 0)),
      logits_(graph.find("logits")),
      train_(std::move(train)),
      val_(std::move(val)),
      threads_(ThreadPool(options.threads).threads()) {}

std::vector<std::string> ClassificationTask::result_columns() const {
  return classification_columns();
}

int ClassificationTask::batch_size() const {
  return static_cast<int>(std::min<int64_t>(options_.batch, images()));
}

int64_t ClassificationTask::batches_per_epoch() const {
  const int64_t batch = batch_size();
  return (images() + batch - 1) / batch;
}

void ClassificationTask::start(const Place& place) {
  if (loader_) waited_ += loader_->waited_seconds();
  loader_.reset();  // its threads end before others begin
  seed_ = place.seed;
  ClassificationLoaderOptions loader;
  loader.classes = static_cast<int>(names_.size());
  loader.size = format_.crop;
  loader.batch = batch_size();
  loader.workers = workers();
  loader.seed = place.seed;
  loader.augment = classification_augment_of(options_);
  loader.epochs = place.epochs;
  // Behind the last batch of an epoch stands the first of the next.
  const int64_t batches = batches_per_epoch();
  loader_ = std::make_unique<ClassificationLoader>(
      train_.images, std::move(loader), place.epoch + place.batch / batches, place.batch % batches);
}

Task::Step ClassificationTask::forward(TorchExecutor& model) {
  const std::optional<ClassificationBatch> batch = loader_->next();
  if (pictures_) pictures_->train_batch(*batch, batches_per_epoch());
  const torch::Device device = model.options().device;
  images_ = to_torch(batch->images, device);
  place_ = {seed_, batch->epoch, batch->number * batch_size()};
  const torch::Tensor logits = model.train(images_, std::span(&logits_, 1), place_).front();
  Step step;
  step.loss = soft_cross_entropy(logits, to_torch(batch->targets, device));
  step.items = {step.loss.item<double>()};
  step.images = static_cast<int>(batch->index.size());
  step.instances = step.images;
  step.image_size = format_.crop;
  return step;
}

std::string ClassificationTask::explain_non_finite(TorchExecutor& model) {
  const std::string place = model.first_non_finite(images_, std::span(&logits_, 1), place_);
  return place.empty() ? "the loss; all logits are finite" : place;
}

Task::Validation ClassificationTask::validate(TorchExecutor& average, const std::function<bool()>& stop) {
  constexpr int kValidationBatches = 2;  // times the training batch: nothing is kept for a backward pass
  ClassificationLoader loader(val_.images,
                              validation_loader_options(format_, static_cast<int>(names_.size()),
                                                        batch_size() * kValidationBatches, workers()));
  const torch::Device device = average.options().device;
  ValidationPictures* const pictures = pictures_ ? pictures_->final_validation() : nullptr;
  double loss_sum = 0;
  const ClassifierValidation found = validate_classifier(
      loader, names_, {},
      [&](const ClassificationBatch& batch) {
        const torch::NoGradGuard no_grad;
        const torch::Tensor logits =
            average.evaluate(to_torch(batch.images, device), std::span(&logits_, 1)).front();
        loss_sum += soft_cross_entropy(logits, to_torch(batch.targets, device)).item<double>() *
                    static_cast<double>(batch.index.size());
        Tensor scores = from_torch(logits.to(torch::kFloat32));
        if (pictures) pictures->add(batch, batch.class_ids, scores);
        return scores;
      },
      [&](int64_t) { return !stop(); });

  if (pictures && !stop()) pictures->finish(found.report);
  const ClassAccuracy& total = found.report.total();
  Validation validation;
  validation.result.metrics = {total.top1_share(), total.top5_share()};
  validation.result.fitness = found.report.fitness();
  validation.result.losses = {loss_sum / static_cast<double>(std::max<int64_t>(total.images, 1))};
  validation.summary =
      fmt::format("{:>11}  top-1 {:.4g}, top-5 {:.4g}, loss {:.4g} on {} images", "validation",
                  total.top1_share(), total.top5_share(), validation.result.losses[0], total.images);
  validation.report = report_text(found, options_.verbose);
  return validation;
}

}  // namespace marrow
