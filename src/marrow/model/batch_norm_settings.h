// Batch-norm eps and momentum travel with weights: an imported checkpoint keeps those it was trained with.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/model/spec.h"
#include "marrow/weights/torch/pickled_model.h"

namespace marrow::model {

// Sets eps and momentum of each batch norm that `settings` names by its module's path ("model.0.bn"). Other
// paths are ignored. Returns how many it set. Throws Error{kFormat} for an eps or momentum outside (0, 1].
size_t apply_batch_norms(Graph& graph, const std::map<std::string, weights::BatchNormSettings>& settings);

// All of them, to be changed.
std::vector<BatchNorm*> norms_in(Graph& graph);

// What the reference implementation does to a detector, segmenter, pose or OBB model once it is built: eps
// 1e-3 and momentum 0.03 in every batch norm, whatever its module chose, but not in timm's own class of them,
// which a backbone by timm has everywhere behind its stem.
void apply_detector_batch_norms(const ModelSpec& spec, Graph& graph);

// The batch norms of `graph` that differ from those of `plain`, the same network.
std::map<std::string, weights::BatchNormSettings> differing_batch_norms(const Graph& graph,
                                                                        const Graph& plain);

}  // namespace marrow::model
