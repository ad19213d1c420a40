#include "marrow/train/torch/ema.h"

#include <cmath>

namespace marrow::train {

void Ema::update(const TorchExecutor& model) {
  constexpr double kDecay = 0.9999;
  constexpr double kRamp = 2000;  // updates
  const torch::NoGradGuard no_grad;
  ++updates_;
  const double keep = kDecay * (1 - std::exp(-static_cast<double>(updates_) / kRamp));
  for (const Parameter& parameter : model.graph().parameters) {
    if (parameter.role == ParameterRole::kCounter) continue;
    torch::Tensor average = average_->parameter(parameter.name);
    const torch::Tensor& current = model.parameter(parameter.name);
    if (parameter.role == ParameterRole::kScalar || parameter.role == ParameterRole::kConstant ||
        parameter.role == ParameterRole::kFixed)
      average.copy_(current);
    else
      average.lerp_(current, 1 - keep);  // leaves equal numbers alone to the bit: frozen ones do not move
  }
}

}  // namespace marrow::train
