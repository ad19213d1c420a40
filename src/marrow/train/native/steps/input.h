// What a batch brings, as maps.
#pragma once

#include "marrow/graph/operation.h"
#include "marrow/train/native/step.h"

namespace marrow::train::native {

// (N, C, H, W) as a batch has it (TrainingBatch::images) as float32 that is ready for the network. Throws
// Error{kShape} for another type.
Tensor ready_images(const Input& op, const Tensor& images);

// The batch's images, which become what the input node says: order, scale, mean and std.
StepPtr make_input(const Input& op, int map);

// Number `index` of the batch's features.
StepPtr make_given(size_t index, int map);

}  // namespace marrow::train::native
