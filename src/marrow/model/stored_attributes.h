// What the objects of a pickled network say of their modules beside shapes: compared with what was built,
// since the weights are another network's where they differ.
#pragma once

#include <string>

#include "marrow/model/model.h"
#include "marrow/weights/torch/pickled_model.h"

namespace marrow::model {

// Throws Error{kUnsupported} "FILE: model.2.m.0.add is False, ..." for the first attribute that is not what
// `model` has: whether a bottleneck adds its input, how many pools SPPF has, an activation that no node of
// its line is.
void check_stored_attributes(const Model& model, const weights::ModelAttributes& attributes,
                             const std::string& file);

}  // namespace marrow::model
