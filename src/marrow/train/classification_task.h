// Training a classifier on folders of classes.
//
// The loss is the mean cross entropy against targets that label smoothing, mixup and cutmix have made soft. Source of the
// recipe: YOLOv8's classification; of what is mixed how: augment/classification.h.
#pragma once

#include <memory>

#include "base/thread_pool.h"
#include "recipe/train_options.h"
#include "train/task.h"
#include "validate/classifier_validation.h"
#include "validate/open_split.h"

namespace marrow {

// Mean over the batch of -sum_c target_c * log softmax(logits)_c, in float32 whatever the logits are.
//   logits, targets: (N, classes), rows of targets sum to 1. A scalar.
torch::Tensor soft_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets);

class ClassificationTask : public Task {
 public:
  // `graph` is the model's; its input says how large pictures are and how validation cuts them. Its logits are in the
  // order of `names`, the classes of the data.
  ClassificationTask(const TrainOptions& options, const Graph& graph, std::vector<std::string> names,
                     OpenedSplit train, OpenedSplit val);

  std::vector<std::string> loss_names() const override { return {"loss"}; }
  std::vector<std::string> result_columns() const override;
  int64_t batches_per_epoch() const override;
  int64_t images() const override { return static_cast<int64_t>(train_.images->size()); }
  void start(const Place& place) override;
  Step forward(TorchExecutor& model) override;
  std::string explain_non_finite(TorchExecutor& model) override;
  Validation validate(TorchExecutor& average, const std::function<bool()>& stop) override;
  double waited_seconds() const override { return waited_ + (loader_ ? loader_->waited_seconds() : 0); }
  void show_to(RunPictures& pictures) override { pictures_ = &pictures; }

 private:
  int batch_size() const;
  int workers() const { return std::min(options_.workers, threads_); }

  TrainOptions options_;
  std::vector<std::string> names_;
  InputFormat format_;  // complete: classifier_format
  Value logits_;
  OpenedSplit train_, val_;
  int threads_;
  std::unique_ptr<ClassificationLoader> loader_;
  double waited_ = 0;  // by loaders that are gone
  uint64_t seed_ = 0;
  RunPictures* pictures_ = nullptr;
  torch::Tensor images_;  // of the latest batch
  TrainingPlace place_;
};

}  // namespace marrow
