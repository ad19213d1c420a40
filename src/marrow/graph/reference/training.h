// The reference training step: a forward in training mode and its backward by the plain loops of kernels.h
// and gradients.h. It is slow, and every executor that trains is tested against it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/graph/training_mode.h"

namespace marrow::reference {

struct TrainingGradients {
  Tensor input;        // zeros where no target reads it
  Weights parameters;  // by name, of every trainable parameter that the targets read and that is not frozen
};

struct TrainingStep {
  std::vector<Tensor> values;  // of the targets
  // running_mean, running_var and num_batches_tracked of every batch norm that used the batch's statistics,
  // after the step.
  Weights statistics;
  // From the gradients of the targets, in their order, each of its target's shape or undefined (none): those
  // of what they were computed from. Throws Error{kShape} for other shapes or another number, and
  // Error{kUnsupported} for a gradient that meets a detect_decode: losses read the raw maps.
  std::function<TrainingGradients(std::span<const Tensor>)> backward;
};

struct TrainingOptions {
  TrainingPlace place = {};
  std::vector<std::string> frozen = {};  // see is_frozen(); what matches no name freezes nothing
};

// Computes `targets` for `input` (N, C, H, W), ready for the network, in training mode: batch norms normalise
// by the batch's mean and biased variance, dropout and drop path draw their masks. Values, statistics and
// gradients are T, float or double; sums and functions are taken in double. Weights are read in their own
// type, so that double ones are not rounded. `graph` and `weights` must outlive the step and stay as they are
// until its last backward. Throws as run_reference() does.
template <class T>
TrainingStep run_training_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                                    std::span<const Value> targets, const TrainingOptions& options = {});

extern template TrainingStep run_training_reference<float>(const Graph&, const Weights&, const Tensor&,
                                                           std::span<const Value>, const TrainingOptions&);
extern template TrainingStep run_training_reference<double>(const Graph&, const Weights&, const Tensor&,
                                                            std::span<const Value>, const TrainingOptions&);

}  // namespace marrow::reference
