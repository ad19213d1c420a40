// The moving average of a model's weights, which is what gets validated and saved.
#pragma once

#include <cstdint>

#include "marrow/train/torch/executor.h"

namespace marrow::train {

class Ema {
 public:
  // `average` starts as a copy of the model and is changed in place; both executors are of one graph and
  // outlive this.
  explicit Ema(TorchExecutor& average, int64_t updates = 0) : average_(&average), updates_(updates) {}

  // After every optimizer step. The u-th update keeps d = 0.9999 (1 - exp(-u / 2000)) of the average, so that
  // the first ones follow the model closely. Every floating tensor takes part, running statistics too; named
  // scalars and constants are copied, counters stay. Source: the YOLOv8 training recipe.
  void update(const TorchExecutor& model);

  int64_t updates() const { return updates_; }

 private:
  TorchExecutor* average_;
  int64_t updates_;
};

}  // namespace marrow::train
