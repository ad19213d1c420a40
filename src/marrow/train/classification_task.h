// Training a classifier on folders of classes. Source of the recipe: YOLOv8's classification; of what is
// mixed how: loader/augment/classification.h.
#pragma once

#include "marrow/loader/classification_loader.h"
#include "marrow/train/loader_task.h"

namespace marrow::train {

class ClassificationTask
    : public LoaderTask<loader::ClassificationLoader, loader::ClassificationLoaderOptions> {
 public:
  // `graph` is the model's; its input says how large images are and how validation cuts them. Its logits
  // are in the order of `names`, the classes of the data.
  ClassificationTask(const TrainOptions& options, const Graph& graph, std::vector<std::string> names,
                     evaluate::OpenedSplit train, evaluate::OpenedSplit val,
                     distributed::Communicator* communicator = nullptr);

  std::vector<std::string> loss_names() const override { return {"loss"}; }
  std::vector<std::string> result_columns() const override;
  Objective objective() const override { return ClassificationObjective(); }
  Batch next() override;
  Validation validate(TrainingExecutor& executor, bool last, const std::function<bool()>& stop) override;
  int64_t validation_bytes(TrainingExecutor& executor) const override {
    return bytes_of_validation(executor, {format_.crop, format_.crop}, {&logits_, 1});
  }
  void show_to(RunPlots& plots) override { plots_ = &plots; }

 private:
  loader::ClassificationLoaderOptions loader_options(const Place& place) const override;

  InputFormat format_;  // complete: classifier_format
  Value logits_;
  RunPlots* plots_ = nullptr;
};

}  // namespace marrow::train
