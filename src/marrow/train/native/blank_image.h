// In place of a batch of which this worker has no images.
#pragma once

#include "marrow/train/step/training_executor.h"

namespace marrow::train::native {

// One black image of the batch's size, without objects or of no class.
TrainingBatch blank_image(const TrainingBatch& batch, const Objective& objective);

}  // namespace marrow::train::native
