// Which layers cause the largest error when they compute with bytes, and which are therefore kept in float32.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/graph/passes/pass.h"

namespace marrow::quantize {

struct LayerError {
  Value layer;
  std::string name;
  // Squared error of the network's outputs (a detector's raw maps "feat...", a classifier's "logits") when
  // only this layer is int8, by the outputs' squared size; the mean over outputs.
  double error = 0;
  std::string kept;  // why it stays float32; empty: it becomes int8
};

// Of every quantizable layer, in the graph's order. `model` is calibrated. Each layer costs one compilation
// and a run on every input.
std::vector<LayerError> layer_errors(const passes::GraphWithWeights& model, std::span<const Tensor> inputs,
                                     int threads = 0);

// Keeps the layers whose error alone is more than `share` of the sum of all, and those whose names begin with
// one of `names` ("model.22" keeps "model.22.cv2.0.0.conv" too). Throws Error{kUsage} for a name that no
// layer bears.
void keep_sensitive(std::vector<LayerError>& layers, double share, std::span<const std::string> names);

// `calibrated` with the layers that are not kept marked as int8.
Graph mark_int8(Graph calibrated, std::span<const LayerError> layers);

}  // namespace marrow::quantize
