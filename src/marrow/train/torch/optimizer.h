// Optimizers over an executor's parameters: the update rules as published, in PyTorch's variants (what is
// named after each), with a state that can be saved and put back to the bit.
//
// It changes the executor's tensors in place; one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/train/recipe/optimizer_choice.h"
#include "marrow/train/recipe/schedule.h"
#include "marrow/train/step/parameter_groups.h"
#include "marrow/train/torch/executor.h"
#include "marrow/train/torch/torch.h"

namespace marrow::train {

// The nearest orthogonal matrix to a momentum (rows, columns), roughly, by five steps of a quintic
// Newton-Schulz iteration whose numbers are rounded to bfloat16. Source: Muon, Jordan et al. 2024.
torch::Tensor orthogonalised(const torch::Tensor& matrix);

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  // Of Adam's family. SGD, MuSGD and RMSprop take theirs with every step, for it warms up.
  double beta1 = 0.9;
};

class Optimizer {
 public:
  // The groups' tensors must outlive the optimizer. A parameter without a gradient is left alone.
  Optimizer(const TorchExecutor& executor, std::vector<ParameterGroup> groups,
            const OptimizerOptions& options);

  // Scales all gradients by `factor` first, then down to a global norm of `max_norm` where it is above that;
  // returns the norm in between. Where it is not finite the gradients are useless, and step() must not
  // follow.
  double clip_gradients(double max_norm, double factor = 1);

  // One update from the gradients; they stay as they are.
  void step(const IterationSettings& settings);

  const std::vector<ParameterGroup>& groups() const { return groups_; }

  // What a later step depends on besides the parameters: tensors named SLOT/PARAMETER
  // ("momentum/model.0.conv.weight"), and numbers.
  struct State {
    Weights tensors;
    int64_t steps = 0;
    double momentum_product = 1;  // NAdam
  };
  State state() const;
  // Throws Error{kModel} naming a tensor that is of no parameter or slot, or of another shape.
  void load(const State& state);

 private:
  struct Entry {
    std::string name;
    torch::Tensor parameter;
    size_t group;
    torch::Tensor first, second;  // moments, or MuSGD's two momentums; undefined until the first gradient
  };
  torch::Tensor& made(torch::Tensor& moment, const Entry& entry);
  void step_sgd(Entry& entry, torch::Tensor gradient, double lr, double momentum);
  void step_muon(Entry& entry, const torch::Tensor& gradient, double lr, double momentum);
  void step_rms_prop(Entry& entry, const torch::Tensor& gradient, double lr, double momentum);
  void step_adam(Entry& entry, const torch::Tensor& gradient, double lr);

  std::vector<ParameterGroup> groups_;
  OptimizerOptions options_;
  std::vector<Entry> entries_;
  int64_t steps_ = 0;
  double momentum_product_ = 1;
};

}  // namespace marrow::train
