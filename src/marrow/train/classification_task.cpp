#include "marrow/train/classification_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "marrow/base/counted.h"
#include "marrow/evaluate/classifier_validation.h"
#include "marrow/geometry/input_format.h"
#include "marrow/loader/augment_options.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/run_plots.h"

namespace marrow::train {

ClassificationTask::ClassificationTask(const TrainOptions& options, const Graph& graph,
                                       std::vector<std::string> names, evaluate::OpenedSplit train,
                                       evaluate::OpenedSplit val, distributed::Communicator* communicator)
    : LoaderTask(options, std::move(names), std::move(train), std::move(val), communicator),
      format_(classifier_format(input_format(graph), 0)),
      logits_(graph.find("logits")) {}

std::vector<std::string> ClassificationTask::result_columns() const {
  return classification_columns();
}

loader::ClassificationLoaderOptions ClassificationTask::loader_options(const Place&) const {
  loader::ClassificationLoaderOptions loader;
  loader.classes = static_cast<int>(names_.size());
  loader.size = format_.crop;
  loader.augment = loader::classification_augment_of(options_);
  return loader;
}

Task::Batch ClassificationTask::next() {
  const std::optional<loader::ClassificationBatch> loaded = loader_->next();
  if (plots_) plots_->train_batch(*loaded, batches_per_epoch());
  Batch batch;
  batch.data = {.images = loaded->images, .targets = loaded->targets, .is_part = share_.workers > 1};
  batch.place = place_of(*loaded);
  batch.images = static_cast<int>(whole_batch(loaded->number));
  batch.instances = batch.images;
  batch.image_size = format_.crop;
  return batch;
}

Task::Validation ClassificationTask::validate(TrainingExecutor& executor, bool last,
                                              const std::function<bool()>& stop) {
  loader::ClassificationLoaderOptions how = evaluate::validation_loader_options(
      format_, static_cast<int>(names_.size()), validation_batch(), workers_);
  how.share = share_;
  loader::ClassificationLoader loader(val_.images, how);
  std::function<void(std::span<double>)> add_up;
  if (share_.workers > 1) add_up = [this](std::span<double> counts) { communicator_->sum(counts); };
  evaluate::ValidationPlots* const plots = last && plots_ ? &plots_->validation() : nullptr;
  double loss_sum = 0;
  const evaluate::ClassifierValidation found = evaluate::validate_classifier(
      loader, names_, {},
      [&](const loader::ClassificationBatch& batch) {
        const TrainingExecutor::Evaluation results = executor.evaluate_average(
            {.images = batch.images, .targets = batch.targets, .is_part = share_.workers > 1},
            std::span(&logits_, 1));
        if (results.all_images > 0)
          loss_sum += results.losses.front() * static_cast<double>(results.all_images);
        if (results.outputs.empty()) return Tensor();
        const Tensor& scores = results.outputs.front();
        if (plots) plots->add(batch, batch.class_ids, scores);
        return scores;
      },
      [&](int64_t) { return !stop(); }, add_up);

  const bool stopped = stop();  // asked on all workers
  if (plots && !stopped) plots->finish(found.report);
  const evaluate::ClassAccuracy& total = found.report.total();
  Validation validation;
  validation.result.metrics = {total.top1_share(), total.top5_share()};
  validation.result.fitness = options_.best_metric == "top1"   ? total.top1_share()
                              : options_.best_metric == "top5" ? total.top5_share()
                                                               : found.report.fitness();
  validation.result.losses = {loss_sum / static_cast<double>(std::max<int64_t>(total.images, 1))};
  validation.summary =
      fmt::format("{:>11}  top-1 {:.4g}, top-5 {:.4g}, loss {:.4g} on {}", "validation", total.top1_share(),
                  total.top5_share(), validation.result.losses[0], counted(total.images, "image"));
  validation.report = evaluate::report_text(found, options_.verbose);
  return validation;
}

}  // namespace marrow::train
