// Models that are their graph alone: what deployment leaves, and what other programs export.
#pragma once

#include "marrow/model/model.h"

namespace marrow::model {

// Whether no YAML describes the model. Its checkpoint holds the graph itself; it runs everywhere, but it
// cannot be built for other classes nor trained: batch norms and the like are gone.
inline bool is_deployed(const Model& model) {
  return model.yaml.empty();
}

// `model` with `graph` in place of its own, which computes the same; without lines and YAML.
Model with_graph(const Model& model, Graph graph);

// A model of a graph that was stored, from what was stored beside it. Throws Error{kModel} where task or
// names do not fit the graph's outputs ("output0" of a detector, "logits" of a classifier).
Model model_of_graph(Graph graph, std::string task, std::vector<std::string> names, int largest_stride);

}  // namespace marrow::model
