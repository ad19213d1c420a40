// The settings of a training run that concern augmentation.
#pragma once

#include "augment/pipeline.h"
#include "recipe/train_options.h"

namespace marrow {

AugmentSettings augment_settings_of(const TrainOptions& options);

}  // namespace marrow
