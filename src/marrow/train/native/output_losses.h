// What a training minimises, of ranges of a graph's values.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "marrow/cpu/thread_pool.h"
#include "marrow/graph/graph.h"
#include "marrow/loss/map_view.h"
#include "marrow/train/native/program.h"
#include "marrow/train/step/training_executor.h"

namespace marrow::train::native {

// What a loss reads and writes beside the batch.
struct LossMaps {
  std::span<const loss::MapView<const float>> outputs;  // one a range
  std::span<const loss::MapView<float>> gradients;      // the same, or empty: none
  double scale = 1;                                     // of the gradients
  int64_t epoch = 0;
  cpu::ThreadPool& pool;
  loss::WholeBatch whole = {};
};

class LossOfOutputs {
 public:
  virtual ~LossOfOutputs() = default;
  virtual std::vector<OutputRange> ranges() const = 0;
  // As ProgramSettings has it.
  virtual std::vector<Value> apart() const { return {}; }
  // Throws Error{kShape} where the targets do not fit so many images or the graph.
  virtual void check(const TrainingBatch& batch, int64_t images) const = 0;
  // The terms as they are shown, this part's share of them. Writes the gradients of all ranges, where there
  // are any.
  virtual std::vector<double> operator()(const LossMaps& maps, const TrainingBatch& batch) const = 0;
};

// Throws Error{kModel} where the graph has no head of the objective.
std::unique_ptr<LossOfOutputs> loss_of(const Graph& graph, const Objective& objective);

}  // namespace marrow::train::native
