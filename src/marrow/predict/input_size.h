// The size that a network's input gets: what was asked for, what the model's file is fixed at, or what suits
// it.
#pragma once

#include "marrow/geometry/letterbox.h"
#include "marrow/model/model.h"

namespace marrow::predict {

// The side that a network is run at when nobody says one: what a detector was trained at, or kDetectionSize;
// a classifier's own crop, or kDefaultCrop.
int default_input_side(const model::Model& model);

// The same as a size, where the model's file is not fixed at another.
Size default_input_size(const model::Model& model);

}  // namespace marrow::predict
