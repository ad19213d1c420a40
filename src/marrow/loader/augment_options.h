// The settings of a training run that concern augmentation.
#pragma once

#include "marrow/loader/augment/classification.h"
#include "marrow/loader/augment/pipeline.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::loader {

// flip_idx is the dataset's.
AugmentSettings augment_settings_of(const train::TrainOptions& options, std::vector<int> flip_idx = {});

// A classifier's crops hold at least 1 - `scale` of the image. A policy has changes of colour of its
// own, so `hsv_h`, `hsv_s` and `hsv_v` count without it.
ClassificationAugment classification_augment_of(const train::TrainOptions& options);

}  // namespace marrow::loader
