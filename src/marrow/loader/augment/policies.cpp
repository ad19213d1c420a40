#include "marrow/loader/augment/policies.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "marrow/loader/augment/rand_augment.h"

namespace marrow::loader {
namespace {

using Op = AugmentOperation;

constexpr double kLargestMagnitude = 9;  // ten magnitudes, from 0

// An operation of AutoAugment; magnitudes of those that have none are 0.
struct Step {
  AugmentOperation operation;
  double probability;
  double magnitude;
};

constexpr std::array<std::array<Step, 2>, 25> kImageNetPolicy = {{
    {{{Op::kPosterize, 0.4, 8}, {Op::kRotate, 0.6, 9}}},
    {{{Op::kSolarize, 0.6, 5}, {Op::kAutoContrast, 0.6, 0}}},
    {{{Op::kEqualize, 0.8, 0}, {Op::kEqualize, 0.6, 0}}},
    {{{Op::kPosterize, 0.6, 7}, {Op::kPosterize, 0.6, 6}}},
    {{{Op::kEqualize, 0.4, 0}, {Op::kSolarize, 0.2, 4}}},
    {{{Op::kEqualize, 0.4, 0}, {Op::kRotate, 0.8, 8}}},
    {{{Op::kSolarize, 0.6, 3}, {Op::kEqualize, 0.6, 0}}},
    {{{Op::kPosterize, 0.8, 5}, {Op::kEqualize, 1.0, 0}}},
    {{{Op::kRotate, 0.2, 3}, {Op::kSolarize, 0.6, 8}}},
    {{{Op::kEqualize, 0.6, 0}, {Op::kPosterize, 0.4, 6}}},
    {{{Op::kRotate, 0.8, 8}, {Op::kColour, 0.4, 0}}},
    {{{Op::kRotate, 0.4, 9}, {Op::kEqualize, 0.6, 0}}},
    {{{Op::kEqualize, 0.0, 0}, {Op::kEqualize, 0.8, 0}}},
    {{{Op::kInvert, 0.6, 0}, {Op::kEqualize, 1.0, 0}}},
    {{{Op::kColour, 0.6, 4}, {Op::kContrast, 1.0, 8}}},
    {{{Op::kRotate, 0.8, 8}, {Op::kColour, 1.0, 2}}},
    {{{Op::kColour, 0.8, 8}, {Op::kSolarize, 0.8, 7}}},
    {{{Op::kSharpness, 0.4, 7}, {Op::kInvert, 0.6, 0}}},
    {{{Op::kShearX, 0.6, 5}, {Op::kEqualize, 1.0, 0}}},
    {{{Op::kColour, 0.4, 0}, {Op::kEqualize, 0.6, 0}}},
    {{{Op::kEqualize, 0.4, 0}, {Op::kSolarize, 0.2, 4}}},
    {{{Op::kSolarize, 0.6, 5}, {Op::kAutoContrast, 0.6, 0}}},
    {{{Op::kInvert, 0.6, 0}, {Op::kEqualize, 1.0, 0}}},
    {{{Op::kColour, 0.6, 4}, {Op::kContrast, 1.0, 8}}},
    {{{Op::kEqualize, 0.8, 0}, {Op::kEqualize, 0.6, 0}}},
}};

constexpr std::array kMixed = {Op::kShearX,       Op::kShearY,     Op::kTranslateX, Op::kTranslateY,
                               Op::kRotate,       Op::kPosterize,  Op::kSolarize,   Op::kEqualize,
                               Op::kAutoContrast, Op::kBrightness, Op::kColour,     Op::kContrast,
                               Op::kSharpness};
constexpr size_t kChains = 3;
constexpr uint64_t kLongestChain = 3;
constexpr uint64_t kSeverity = 3;  // magnitudes below it are drawn

// What AugMix's full strength is of RandAugment's.
double mixed_strength(AugmentOperation operation, double strength) {
  switch (operation) {
    case Op::kTranslateX:
    case Op::kTranslateY:
      return strength * (1.0 / 3) / kTranslateShare;
    case Op::kPosterize:
      return 1 + strength;  // at most four bits are left
    default:
      return strength;
  }
}

double signed_strength(double strength, Random& random) {
  return random.uniform() < 0.5 ? -strength : strength;
}

// With weights from the flat Dirichlet distribution.
std::array<double, kChains> draw_weights(Random& random) {
  std::array<double, kChains> weights;
  double sum = 0;
  for (double& weight : weights) sum += weight = -std::log(1 - random.uniform());
  for (double& weight : weights) weight = sum > 0 ? weight / sum : 1.0 / kChains;
  return weights;
}

// Of samples of T.
template <class T>
void mix_chains(image::Image& image, Random& random) {
  const double kept = random.uniform();  // Beta(1, 1)
  const std::array<double, kChains> weights = draw_weights(random);
  std::vector<float> mixed(image.byte_size() / sizeof(T));
  const auto add = [&](const image::Image& part, double share) {
    const T* samples = part.samples<T>(0);
    for (size_t i = 0; i < mixed.size(); ++i)
      mixed[i] += static_cast<float>(share) * static_cast<float>(samples[i]);
  };
  add(image, kept);
  for (const double weight : weights) {
    image::Image changed = image;
    const uint64_t length = 1 + random.below(kLongestChain);
    for (uint64_t step = 0; step < length; ++step) {
      const AugmentOperation operation = kMixed[random.below(kMixed.size())];
      const double strength = static_cast<double>(random.below(kSeverity)) / kLargestMagnitude;
      apply_operation(changed, operation, signed_strength(mixed_strength(operation, strength), random));
    }
    add(changed, (1 - kept) * weight);
  }
  constexpr auto kLargest = static_cast<float>(std::numeric_limits<T>::max());
  T* samples = image.samples<T>(0);
  for (size_t i = 0; i < mixed.size(); ++i)
    samples[i] = static_cast<T>(std::clamp(mixed[i] + 0.5f, 0.0f, kLargest));
}

}  // namespace

void auto_augment(image::Image& image, Random& random) {
  for (const auto& [operation, probability, magnitude] :
       kImageNetPolicy[random.below(kImageNetPolicy.size())]) {
    const bool happens = random.uniform() < probability;
    const double strength = signed_strength(magnitude / kLargestMagnitude, random);
    if (happens) apply_operation(image, operation, strength);
  }
}

void aug_mix(image::Image& image, Random& random) {
  image::with_sample_type(image.bits(), [&]<class T>(T) { mix_chains<T>(image, random); });
}

void apply_policy(image::Image& image, AugmentPolicy policy, Random& random) {
  if (image.empty()) return;
  switch (policy) {
    case AugmentPolicy::kNone:
      return;
    case AugmentPolicy::kRandAugment:
      return rand_augment(image, {}, random);
    case AugmentPolicy::kAutoAugment:
      return auto_augment(image, random);
    case AugmentPolicy::kAugMix:
      return aug_mix(image, random);
  }
}

}  // namespace marrow::loader
