// RandAugment for classification: a few changes of a fixed strength, drawn from a list of 14. Cubuk et al.
// 2019; list and ranges as torchvision has them.
#pragma once

#include <cstdint>

#include "marrow/base/random.h"
#include "marrow/image/image.h"

namespace marrow::loader {

enum class AugmentOperation : uint8_t {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColour,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
  kInvert,  // not RandAugment's
};
constexpr int kRandAugmentOperations = 14;
constexpr double kTranslateShare = 150.0 / 331.0;  // of the side: kTranslateX and kTranslateY at strength 1

// strength: 0 (none) to 1; negative for the other way, where there is one: from kShearX to kSharpness.
// Geometric changes are about the middle, bilinear, and what comes from outside is grey. Of another format
// than three channels of 8 bits only they are made.
void apply_operation(image::Image& image, AugmentOperation operation, double strength);

struct RandAugmentSettings {
  int operations = 2;          // after one another
  double strength = 9.0 / 30;  // magnitude 9 of 30
};
void rand_augment(image::Image& image, const RandAugmentSettings& settings, Random& random);

}  // namespace marrow::loader
