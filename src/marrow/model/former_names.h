// Module names that Marrow 0.1 gave its own units and YOLOv8 forks give other networks. They mean what forks
// mean; checkpoints that 0.1 wrote are still read as it meant them.
#pragma once

#include "marrow/model/spec.h"

namespace marrow::model {

// Whether a line has such a name.
bool uses_former_name(const ModelSpec& spec);

// Gives the lines the present names of what 0.1 meant.
void use_present_names(ModelSpec& spec);

}  // namespace marrow::model
