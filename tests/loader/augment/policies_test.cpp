// The policies of a classifier's training, by what can come out of them.
#include "marrow/loader/augment/policies.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "marrow/geometry/letterbox.h"
#include "marrow/image/scene.h"
#include "marrow/loader/augment/rand_augment.h"

namespace marrow::loader {
namespace {

using Op = AugmentOperation;
using Bytes = std::vector<uint8_t>;

Bytes bytes_of(const image::Image& image) {
  return {image.row(0), image.row(0) + image.byte_size()};
}

// How often each outcome came of so many draws.
std::map<Bytes, int> outcomes(const image::Image& image, AugmentPolicy policy, int draws) {
  std::map<Bytes, int> found;
  for (int i = 0; i < draws; ++i) {
    image::Image changed = image;
    Random random(static_cast<uint64_t>(i), "policy");
    apply_policy(changed, policy, random);
    EXPECT_EQ(changed.width(), image.width());
    ++found[bytes_of(changed)];
  }
  return found;
}

image::Image after(const image::Image& image, const std::vector<std::pair<AugmentOperation, double>>& steps) {
  image::Image changed = image;
  for (const auto& [operation, strength] : steps) apply_operation(changed, operation, strength);
  return changed;
}

TEST(Policies, ADrawFollowsFromItsSeed) {
  const image::Image image = image::draw_scene(23, 17, 1);
  for (const AugmentPolicy policy :
       {AugmentPolicy::kRandAugment, AugmentPolicy::kAutoAugment, AugmentPolicy::kAugMix}) {
    image::Image first = image, second = image;
    Random one(7, "policy"), other(7, "policy");
    apply_policy(first, policy, one);
    apply_policy(second, policy, other);
    EXPECT_TRUE(first == second);
    EXPECT_GT(outcomes(image, policy, 40).size(), 10u);
  }
  image::Image untouched = image;
  Random random(7, "policy");
  apply_policy(untouched, AugmentPolicy::kNone, random);
  EXPECT_TRUE(untouched == image);
}

// A row of the published table with what surely happens in it, and one with a probability.
TEST(Policies, AutoAugmentDrawsThePublishedPairs) {
  const image::Image image = image::draw_scene(23, 17, 1);
  constexpr int kDraws = 20000;
  const std::map<Bytes, int> found = outcomes(image, AugmentPolicy::kAutoAugment, kDraws);
  const auto share = [&](const std::vector<std::pair<AugmentOperation, double>>& steps) {
    const auto at = found.find(bytes_of(after(image, steps)));
    return at == found.end() ? 0.0 : static_cast<double>(at->second) / kDraws;
  };
  // (shear 0.6, 5; equalize 1), either way.
  for (const double way : {-1.0, 1.0})
    EXPECT_NEAR(share({{Op::kShearX, way * 5 / 9}, {Op::kEqualize, 0}}), 0.6 / 2 / 25, 0.003);
  // (invert 0.6; equalize 1) stands there twice.
  EXPECT_NEAR(share({{Op::kInvert, 0}, {Op::kEqualize, 0}}), 2 * 0.6 / 25, 0.006);
  // (colour 0.6, 4; contrast 1, 8) too: both ways of two operations.
  EXPECT_NEAR(share({{Op::kColour, -4.0 / 9}, {Op::kContrast, 8.0 / 9}}), 2 * 0.6 / 4 / 25, 0.003);
  // (rotate 0.8, 8; colour 1, 2).
  EXPECT_NEAR(share({{Op::kRotate, 8.0 / 9}, {Op::kColour, 2.0 / 9}}), 0.8 / 4 / 25, 0.003);
  // (posterize 0.4, 8; rotate 0.6, 9): the first alone.
  EXPECT_NEAR(share({{Op::kPosterize, 8.0 / 9}}), 0.4 * 0.4 / 25, 0.003);
  // Nothing there draws these.
  for (const Op operation : {Op::kBrightness, Op::kTranslateX})
    for (int magnitude = -9; magnitude <= 9; ++magnitude)
      if (magnitude != 0) {
        EXPECT_EQ(share({{operation, magnitude / 9.0}}), 0) << magnitude;
      }
}

// On an image of the grey that moved ones are surrounded with, only colours change, each a little.
TEST(Policies, AugMixStaysNearTheImage) {
  const image::Image flat(19, 12, kLetterboxGrey);
  std::set<uint8_t> values;
  for (const auto& [bytes, count] : outcomes(flat, AugmentPolicy::kAugMix, 3000))
    values.insert(bytes.begin(), bytes.end());
  EXPECT_TRUE(values.contains(kLetterboxGrey));
  EXPECT_GT(values.size(), 10u);
  // Three times darker or brighter by 2 of 9 parts of 0.9, over four bits.
  EXPECT_GE(*values.begin(), static_cast<uint8_t>(112 * 0.8 * 0.8 * 0.8) - 1);
  EXPECT_LE(*values.rbegin(), static_cast<uint8_t>(kLetterboxGrey * 1.2 * 1.2 * 1.2) + 1);
}

}  // namespace
}  // namespace marrow::loader
