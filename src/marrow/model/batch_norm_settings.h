// Batch-norm eps and momentum travel with weights: an imported checkpoint keeps those it was trained with.
#pragma once

#include <map>
#include <string>

#include "marrow/graph/graph.h"
#include "marrow/weights/torch/pickled_model.h"

namespace marrow::model {

// Sets eps and momentum of each batch norm that `settings` names by its module's path ("model.0.bn"). Other
// paths are ignored. Returns how many it set. Throws Error{kFormat} for an eps or momentum outside (0, 1].
size_t apply_batch_norms(Graph& graph, const std::map<std::string, weights::BatchNormSettings>& settings);

// The batch norms of `graph` that differ from those of `plain`, the same network.
std::map<std::string, weights::BatchNormSettings> differing_batch_norms(const Graph& graph,
                                                                        const Graph& plain);

}  // namespace marrow::model
