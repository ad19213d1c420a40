// The training pipeline of a classifier: from a decoded image to the square that the network sees, and its
// targets.
//
// Functions of their arguments; every draw is keyed by (seed, epoch, position, place).
#pragma once

#include <optional>
#include <span>

#include "marrow/base/random_key.h"
#include "marrow/geometry/box.h"
#include "marrow/geometry/size.h"
#include "marrow/image/hsv.h"
#include "marrow/loader/augment/policies.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

struct ClassificationAugment {
  double smallest_area = 0.08;  // of the crop, as a part of the image
  double fliplr = 0.5, flipud = 0.0;
  AugmentPolicy policy = AugmentPolicy::kRandAugment;
  double erasing = 0.4;                    // probability of a black rectangle
  std::optional<image::HsvRange> colours;  // instead of a policy's
  // Probabilities, a batch. It gets one of the two at most: where they sum to more than 1, both shrink alike.
  double mixup = 0.0, cutmix = 0.0;
  double label_smoothing = 0.0;  // part of a target that all classes share
};

using PixelPart = SizedBox<ImagePixels, int>;

// A part of the image with an area drawn from [smallest_area, 1] of it and an aspect between 3:4 and 4:3;
// where ten tries do not fit, the largest one in the middle with an aspect in that range. Szegedy et al.
// 2015, as torchvision draws it.
PixelPart draw_crop(Size picture, double smallest_area, Random& random);

// With an area between 0.02 and 0.33 of the image and an aspect between 0.3 and 3.3; none when ten tries do
// not fit. Zhong et al. 2017.
std::optional<PixelPart> draw_erasing(Size picture, Random& random);

// size x size pixels: crop (resized as Pillow does, antialiased), flips, policy, erasing.
image::Image augment_for_classifier(const image::Image& image, const ClassificationAugment& settings,
                                    const RandomKey& key, int size);

// 1 at the class, then `label_smoothing` of everything shared out evenly. Szegedy et al. 2016.
void smooth_target(int class_id, double label_smoothing, std::span<float> target);

constexpr double kClassificationMixupAlpha = 0.2;  // Zhang et al. 2018, for ImageNet

enum class BatchMix { kNone, kMixup, kCutmix };
// Which of the two happens for a number from [0, 1).
BatchMix chosen_mix(const ClassificationAugment& settings, double uniform);

// A rectangle around any pixel with sides of sqrt(1 - share) of the image's, clipped to it; share uniform.
// Yun et al. 2019, with alpha 1.
PixelPart draw_cutmix(Size picture, Random& random);

// Sample: uint8_t or int32_t, as in batch_tensor.

// Replaces the rectangle in each plane of an image. Returns the part of `a` that is left: its share of the
// target.
template <class Sample>
double paste_rectangle(std::span<Sample> a, std::span<const Sample> b, Size picture, const PixelPart& part);

// a * share + b * (1 - share), rounded.
template <class Sample>
void mix_samples(std::span<Sample> a, std::span<const Sample> b, double share);
void mix_targets(std::span<float> a, std::span<const float> b, double share);

}  // namespace marrow::loader
