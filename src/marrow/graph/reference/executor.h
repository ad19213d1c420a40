// The reference executor: plain loops that follow each operation's formula, sums in double, results in
// float32. It is slow, and every other executor is tested against it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::reference {

// Computes `targets` for `input` (N, C, H, W) in inference mode. Throws Error{kShape} where shapes do not
// meet and Error{kModel} where a parameter is missing.
std::vector<Tensor> run_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                                  std::span<const Value> targets);

// One output or tap, by name.
Tensor run_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                     std::string_view target);

struct BatchStatisticsResult {
  std::vector<Tensor> values;
  Weights statistics;  // running_mean, running_var and num_batches_tracked of every batch norm that ran,
                       // after the step
};
// As above, with every batch norm normalising by the batch's own mean and biased variance, as in training.
// Dropout and drop path stay inactive.
BatchStatisticsResult run_reference_with_batch_statistics(const Graph& graph, const Weights& weights,
                                                          const Tensor& input,
                                                          std::span<const Value> targets);

// `weights` with every batch norm's running statistics replaced by those of its input when `input` runs
// through the graph, the variances drawn half way to their mean over the channels: a network with random
// weights then keeps its activations near 1 at any depth, as a trained one does, and amplifies no channel
// that hardly varies.
Weights measure_batch_statistics(const Graph& graph, const Weights& weights, const Tensor& input);

}  // namespace marrow::reference
