// What a classifier's training does to the look of an image, after crop and flips.
#pragma once

#include <cstdint>

#include "marrow/base/random.h"
#include "marrow/image/image.h"

namespace marrow::loader {

enum class AugmentPolicy : uint8_t { kNone, kRandAugment, kAutoAugment, kAugMix };

void apply_policy(image::Image& image, AugmentPolicy policy, Random& random);

// One of the 25 pairs of operations that AutoAugment found for ImageNet: Cubuk et al. 2019, table 9, with the
// ranges of RandAugment. Each operation has a probability of its own.
void auto_augment(image::Image& image, Random& random);

// A share of the image, and the rest of three chains of one to three weak operations each, blended by random
// weights: Hendrycks et al. 2020, with severity 3 and alpha 1, and operations and ranges as torchvision has
// them.
void aug_mix(image::Image& image, Random& random);

}  // namespace marrow::loader
