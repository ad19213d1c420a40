// Regions to ignore follow what they mark through every augmentation, and change nothing else.
#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/loader/augment/blend.h"
#include "marrow/loader/augment/perspective.h"
#include "marrow/loader/augment/pipeline.h"

namespace marrow::loader {
namespace {

constexpr int kSide = 64;
constexpr int kImages = 6;

// Dark green noise, with a region in magenta. `with_regions`: it is said, too.
SharedSample marked(size_t index, bool with_regions) {
  Random random(3, index);
  const int width = index % 2 == 0 ? kSide : 40, height = index % 2 == 0 ? 44 : kSide;
  image::Image image(width, height);
  const int left = static_cast<int>(random.below(20)), top = static_cast<int>(random.below(20));
  const int right = left + 8 + static_cast<int>(random.below(10)),
            bottom = top + 8 + static_cast<int>(random.below(10));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      uint8_t* pixel = image.row(y) + 3 * x;
      const bool inside = x >= left && x < right && y >= top && y < bottom;
      pixel[1] = inside ? 0 : static_cast<uint8_t>(random.below(40));
      pixel[0] = pixel[2] = inside ? 255 : 0;
    }
  SharedSample sample{std::make_shared<const image::Image>(std::move(image)), {}};
  sample.objects.push_back({static_cast<int>(index), 20, 20, 38, 40, {{20, 20}, {38, 22}, {30, 40}}});
  if (with_regions)
    sample.ignored.push_back({static_cast<float>(left), static_cast<float>(top), static_cast<float>(right),
                              static_cast<float>(bottom)});
  return sample;
}

SampleSource marked_source(bool with_regions = true) {
  return {[with_regions](size_t index) { return marked(index, with_regions); },
          [](Random& random) { return static_cast<size_t>(random.below(kImages)); }};
}

AugmentSettings still() {
  AugmentSettings settings = AugmentSettings::none();
  settings.rules = Rules::k83;
  return settings;
}

bool is_magenta(const image::Image& image, int x, int y) {
  const uint8_t* pixel = image.row(y) + 3 * x;
  return pixel[0] - pixel[1] > 40;
}

// Interpolation spreads a colour by a pixel or two.
constexpr float kBlur = 2.5f;

bool covers(const Sample& sample, int x, int y, float margin) {
  const float px = static_cast<float>(x) + 0.5f, py = static_cast<float>(y) + 0.5f;
  return std::ranges::any_of(sample.ignored, [&](const Box<ImagePixels>& box) {
    return px > box.x1 - margin && px < box.x2 + margin && py > box.y1 - margin && py < box.y2 + margin;
  });
}

struct Seen {
  int magenta = 0, inner = 0;
};

// Every magenta pixel lies in a region; with `tight` every pixel well inside one is magenta.
Seen expect_regions_to_fit(const Sample& sample, bool tight) {
  Seen seen;
  for (int y = 0; y < sample.image.height(); ++y)
    for (int x = 0; x < sample.image.width(); ++x) {
      if (is_magenta(sample.image, x, y)) {
        ++seen.magenta;
        EXPECT_TRUE(covers(sample, x, y, kBlur)) << x << " " << y;
      }
      if (!tight || !covers(sample, x, y, -kBlur)) continue;
      ++seen.inner;
      EXPECT_TRUE(is_magenta(sample.image, x, y)) << x << " " << y;
    }
  for (const Box<ImagePixels>& box : sample.ignored) {
    EXPECT_GE(box.x1, 0);
    EXPECT_GE(box.y1, 0);
    EXPECT_LE(box.x2, static_cast<float>(sample.image.width()));
    EXPECT_LE(box.y2, static_cast<float>(sample.image.height()));
    EXPECT_GT(box.area(), 0);
  }
  return seen;
}

void expect_pixels_stay_inside(const AugmentSettings& settings, bool tight, Size target = {kSide, kSide}) {
  Seen seen;
  for (int64_t position = 0; position < 60; ++position) {
    const AugmentedSample made =
        augment(settings, {5, 0, position}, static_cast<size_t>(position) % kImages, target, marked_source());
    const Seen one = expect_regions_to_fit(made.sample, tight);
    seen.magenta += one.magenta;
    seen.inner += one.inner;
    if (::testing::Test::HasFailure()) FAIL() << "position " << position;
  }
  EXPECT_GT(seen.magenta, 1000);
  if (tight) {
    EXPECT_GT(seen.inner, 300);
  }
}

TEST(Regions, FollowTheLetterbox) {
  expect_pixels_stay_inside(still(), true);
  expect_pixels_stay_inside(still(), true, {96, 64});  // of a rectangular batch
}

TEST(Regions, FollowFlips) {
  AugmentSettings settings = still();
  settings.fliplr = settings.flipud = 0.5;
  expect_pixels_stay_inside(settings, true);
}

TEST(Regions, FollowTheMosaic) {
  AugmentSettings settings = still();
  settings.mosaic = 1;
  expect_pixels_stay_inside(settings, true);
}

TEST(Regions, FollowZoomAndTranslation) {
  AugmentSettings settings = still();
  settings.perspective.zoom = {0.5, 1.5};
  settings.perspective.translate = 0.3;
  expect_pixels_stay_inside(settings, true);
  settings.rules = Rules::k84;
  expect_pixels_stay_inside(settings, true);
}

TEST(Regions, FollowRotationShearAndPerspective) {
  AugmentSettings settings = still();
  settings.perspective = {
      .degrees = 45, .translate = 0.1, .zoom = {0.7, 1.3}, .shear = 10, .perspective = 0.001};
  expect_pixels_stay_inside(settings, false);
}

TEST(Regions, OfBothImagesOfAMixup) {
  AugmentSettings settings = still();
  settings.mixup = 1;
  settings.fliplr = 0.5;
  expect_pixels_stay_inside(settings, true);
}

TEST(Regions, EndWhereACutmixPastes) {
  AugmentSettings settings = still();
  settings.cutmix = 1;
  expect_pixels_stay_inside(settings, true);
}

TEST(Regions, FollowEverythingAtOnce) {
  AugmentSettings settings = still();
  settings.mosaic = 0.7;
  settings.mixup = settings.cutmix = settings.fliplr = settings.flipud = 0.5;
  settings.perspective = {
      .degrees = 10, .translate = 0.1, .zoom = {0.5, 1.5}, .shear = 5, .perspective = 0.0005};
  expect_pixels_stay_inside(settings, false);
}

// No draw, pixel or object depends on them.
TEST(Regions, ChangeNothingElse) {
  AugmentSettings settings;
  settings.mosaic = 0.6;
  settings.mixup = settings.cutmix = settings.copy_paste = settings.flipud = settings.bgr = 0.5;
  for (int64_t position = 0; position < 60; ++position) {
    const auto made = [&](bool with_regions) {
      return augment(settings, {8, 1, position}, 2, {kSide, kSide}, marked_source(with_regions));
    };
    const AugmentedSample with = made(true), without = made(false);
    ASSERT_TRUE(with.sample.image == without.sample.image);
    EXPECT_EQ(with.keep_bgr, without.keep_bgr);
    EXPECT_TRUE(without.sample.ignored.empty());
    ASSERT_EQ(with.sample.objects.size(), without.sample.objects.size());
    for (size_t i = 0; i < with.sample.objects.size(); ++i) {
      EXPECT_EQ(with.sample.objects[i].class_id, without.sample.objects[i].class_id);
      EXPECT_EQ(with.sample.objects[i].box, without.sample.objects[i].box);
    }
  }
}

// An object of which so little is left is dropped.
TEST(Regions, AreKeptWhileAnyOfThemIsVisible) {
  Sample sample{image::Image(10, 10), {{0, 0, 0, 10, 10, {}}}, {{0, 0, 10, 10}}};
  const Sample moved = random_perspective(sample, {.translate_x = 1.4}, {10, 10});
  EXPECT_TRUE(moved.objects.empty());
  ASSERT_EQ(moved.ignored.size(), 1u);
  EXPECT_FLOAT_EQ(moved.ignored[0].x1, 9);
  EXPECT_FLOAT_EQ(moved.ignored[0].x2, 10);
  EXPECT_TRUE(random_perspective(sample, {.translate_x = 1.5}, {10, 10}).ignored.empty());
}

// Where the third coordinate changes its sign a region reaches infinity.
TEST(Regions, BeyondTheHorizonAreTheWholeImage) {
  const image::Matrix3 matrix = {1, 0, 0, 0, 1, 0, -0.1, 0, 1};
  const Box<ImagePixels> all = {0, 0, 30, 20};
  EXPECT_EQ(warp_region({5, 2, 15, 8}, matrix, true, {30, 20}), all);
  EXPECT_NE(warp_region({1, 2, 5, 8}, matrix, true, {30, 20}), all);
}

TEST(Regions, CutmixLeavesFourParts) {
  Sample sample{image::Image(10, 10), {}, {{1, 1, 9, 9}, {0, 0, 2, 2}}};
  const Sample other{image::Image(10, 10), {}, {{0, 0, 5, 5}, {8, 8, 10, 10}}};
  cutmix(sample, other, std::vector<PixelRectangle>{{3, 4, 6, 8}});
  using Boxes = std::vector<Box<ImagePixels>>;
  EXPECT_EQ(sample.ignored,
            (Boxes{{1, 1, 9, 4}, {1, 8, 9, 9}, {1, 4, 3, 8}, {6, 4, 9, 8}, {0, 0, 2, 2}, {3, 4, 5, 5}}));
}

}  // namespace
}  // namespace marrow::loader
