// The numbers that describe a model: parameters, multiply-adds, the reference implementation's layer counts.
// Plain functions: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "marrow/model/model.h"

namespace marrow::model {

struct LayerSummary {
  int64_t parameters = 0;
  int64_t macs = 0;
  std::vector<Shape> outputs;  // of Layer::first_map, where there is one, and Layer::outputs
};

struct Summary {
  int64_t parameters = 0;  // learnable ones and the frozen constants; no running statistics
  int64_t gradients = 0;   // learnable ones
  // Multiply-adds of convolutions (transposed ones, and the DFL's, included) and linear layers for one image
  // of the given size; biases, norms, activations and pooling are free. As papers count them.
  int64_t macs = 0;
  // For models made only of YOLOv8's own modules the reference implementation's count: 2 * (multiply-adds + 4
  // per element of every batch norm + 2 per result of global average pooling), measured on one cell of the
  // coarsest level and multiplied by the area. For all others 2 * macs / 1e9.
  double gflops = 0;
  // The same model after folding batch norms into convolutions.
  int64_t fused_parameters = 0;
  double fused_gflops = 0;

  // Modules as the reference implementation counts them: those without children, and all, the model itself
  // included.
  int leaf_layers = 0;
  int fused_leaf_layers = 0;
  int modules = 0;
  int state_tensors = 0;  // parameters and statistics in a state dict

  std::vector<LayerSummary> layers;  // as Model::layers
};

// One operation, or neighbouring operations that belong to one module.
struct PartSummary {
  std::string name;  // the module, or the operation and its module
  int64_t parameters = 0;
  int64_t macs = 0;
  Shape output;  // of the last operation
};

// Neighbouring operations of one module joined: modules two levels deep ("stages.0"), one where the second
// has no number ("fc").
std::vector<PartSummary> summarize_modules(const Graph& graph, int height, int width);
// Every operation by itself.
std::vector<PartSummary> summarize_operations(const Graph& graph, int height, int width);

// For an input of height x width pixels. Throws Error{kShape} when the model cannot read such an image.
Summary summarize(const Model& model, int height, int width);

// Learnable parameters and frozen constants.
int64_t count_parameters(const Graph& graph);

// Multiply-adds of the graph for one input (1, C, height, width).
int64_t count_macs(const Graph& graph, int height, int width);

}  // namespace marrow::model
