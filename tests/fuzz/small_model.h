// A detector of a few kilobytes, with everything in it.
#pragma once

#include "marrow/model/checkpoint.h"

namespace marrow::fuzz {

model::TrainedModel small_model();

}  // namespace marrow::fuzz
