// A training step by LibTorch, on the CPU or a CUDA device: the executor of the graph twice, the loss, the
// optimizer and the average.
#pragma once

#include <optional>

#include "marrow/train/step/training_executor.h"
#include "marrow/train/torch/ema.h"
#include "marrow/train/torch/executor.h"
#include "marrow/train/torch/loss.h"
#include "marrow/train/torch/optimizer.h"

namespace marrow::train {

class TorchTrainingExecutor : public TrainingExecutor {
 public:
  // `settings.threads` has no effect: LibTorch's are the process's (set_torch_threads). Throws Error{kModel}
  // as load() does, when an entry of `frozen` matches no parameter, and for a graph without what the
  // objective is of; Error{kUsage} for a device that is not here.
  TorchTrainingExecutor(const Graph& graph, const ExecutorState& start, const ExecutorSettings& settings,
                        bool channels_last = false);

  std::vector<double> accumulate(const TrainingBatch& batch, const TrainingPlace& place,
                                 double loss_scale = 1, Then then = Then::kUpdate) override;
  double clip_gradients(double max_norm, double factor) override;
  void update(const IterationSettings& settings) override;
  void drop_gradients() override;
  Weights gradients() const override;
  Evaluation evaluate_average(const TrainingBatch& batch, std::span<const Value> targets) override;
  ExecutorState state() const override;
  void load(const ExecutorState& state) override;
  void set_scalar(std::string_view name, double value) override;
  std::string first_non_finite(const TrainingBatch& batch, const TrainingPlace& place) override;
  std::string non_finite_parameter() const override;
  std::string non_finite_gradient() const override;
  int64_t bytes_in_use() const override;

 private:
  struct Loss {
    torch::Tensor total;        // to differentiate
    std::vector<double> terms;  // to show
  };
  torch::Tensor on_device(const Tensor& tensor) const { return to_torch(tensor, trained_.options().device); }
  // Of the objective's outputs.
  Loss loss_of(std::span<const torch::Tensor> outputs, const TrainingBatch& batch) const;

  TorchExecutor trained_, average_;
  Optimizer optimizer_;
  Ema ema_;
  std::optional<DetectionLoss> detection_loss_;  // none: classification
  std::vector<Value> outputs_;                   // that the objective is of
};

// The objects of a batch, as the loss wants them.
DetectionTargets targets_of(const TrainingBatch& batch);

// LibTorch as the options have it. Sets LibTorch's threads, whether it is to be deterministic, and, where the
// precision is float32, that products are.
TrainingBackend torch_backend(const TrainOptions& options);

}  // namespace marrow::train
