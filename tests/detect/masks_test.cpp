#include "marrow/detect/masks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "marrow/base/random.h"

namespace marrow::detect {
namespace {

struct MaskScene {
  MaskScene(int masks, Size size) : size(size) {
    Random random(3, "prototypes");
    numbers.resize(static_cast<size_t>(masks * size.width * size.height));
    for (float& x : numbers) x = static_cast<float>(random.normal());
    for (int m = 0; m < masks; ++m) request.coefficients.push_back(static_cast<float>(random.normal()));
  }
  Prototypes prototypes() const {
    return {numbers.data(), static_cast<int>(request.coefficients.size()), size};
  }
  // The sum of prototypes at a pixel.
  double sum(int x, int y) const {
    double total = 0;
    for (size_t m = 0; m < request.coefficients.size(); ++m)
      total +=
          request.coefficients[m] * numbers[(m * static_cast<size_t>(size.height) + static_cast<size_t>(y)) *
                                                static_cast<size_t>(size.width) +
                                            static_cast<size_t>(x)];
    return total;
  }
  // Resized linearly.
  double at(double x, double y) const {
    const auto parts = [](double place, int length) {
      const double inside = std::clamp(place, 0.0, length - 1.0);
      const int low = static_cast<int>(inside);
      return std::tuple{low, std::min(low + 1, length - 1), inside - low};
    };
    const auto [x0, x1, u] = parts(x, size.width);
    const auto [y0, y1, v] = parts(y, size.height);
    return (1 - v) * ((1 - u) * sum(x0, y0) + u * sum(x1, y0)) +
           v * ((1 - u) * sum(x0, y1) + u * sum(x1, y1));
  }

  Size size;
  std::vector<float> numbers;
  MaskRequest request;
};

TEST(Masks, AreSumsOfPrototypesResizedByPlainLoops) {
  for (const Size size : {Size{1, 1}, Size{7, 5}, Size{16, 3}}) {
    MaskScene scene(5, size);
    for (const Size input : {Size{28, 20}, Size{4, 4}, Size{33, 15}}) {
      scene.request.box = {1.5f, 0, static_cast<float>(input.width) - 0.5f, 9.2f};
      const Mask mask = input_masks(scene.prototypes(), std::span(&scene.request, 1), input).front();
      int close = 0;
      for (int y = 0; y < input.height; ++y)
        for (int x = 0; x < input.width; ++x) {
          const double value = scene.at((x + 0.5) * size.width / input.width - 0.5,
                                        (y + 0.5) * size.height / input.height - 0.5);
          const bool inside = x >= 1.5 && x < input.width - 0.5 && y < 9.2;
          if (std::abs(value) < 1e-5)
            ++close;
          else
            EXPECT_EQ(mask.at(x, y) == 1, inside && value > 0) << x << ", " << y;
        }
      EXPECT_LT(close, 3);
    }
  }
}

TEST(Masks, BoxesThatAreNoneGiveNothing) {
  MaskScene scene(3, {6, 6});
  const float nan = NAN;
  for (const std::array<float, 4>& box : {std::array<float, 4>{5, 5, 5, 9},
                                          {9, 0, 2, 9},
                                          {nan, 0, 5, 5},
                                          {-9, -9, -1, -1},
                                          {99, 99, 199, 199}}) {
    scene.request.box = box;
    EXPECT_TRUE(input_masks(scene.prototypes(), std::span(&scene.request, 1), {24, 24}).front().is_empty());
  }
  scene.request.box = {-1e30f, -1e30f, 1e30f, 1e30f};
  EXPECT_FALSE(image_masks(scene.prototypes(), std::span(&scene.request, 1), {19, 24}).front().is_empty());
}

// Where the image fills the input, placed masks are those of the input.
TEST(Masks, PlacedOnesFollowTheImage) {
  MaskScene scene(5, {8, 6});
  const Size network = {32, 24};
  scene.request.box = {3, 2, 30, 22};
  const Mask whole = input_masks(scene.prototypes(), std::span(&scene.request, 1), network).front();
  EXPECT_EQ(placed_masks(scene.prototypes(), std::span(&scene.request, 1), network, network, {}).front(),
            whole);
  // An image of 16 x 10 that lies 5 to the right and 7 below.
  const RatioPad place = {1, 1, 5, 7};
  scene.request.box = {0, 0, 16, 10};
  const Mask part =
      placed_masks(scene.prototypes(), std::span(&scene.request, 1), {16, 10}, network, place).front();
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 16; ++x) {
      const double value = scene.at((x + 5.5) / 4 - 0.5, (y + 7.5) / 4 - 0.5);
      if (std::abs(value) > 1e-5) {
        EXPECT_EQ(part.at(x, y) == 1, value > 0) << x << ", " << y;
      }
    }
}

TEST(Masks, AnEmptyOneHasNoOutline) {
  EXPECT_TRUE(mask_outline(Mask({5, 4})).empty());
  Mask mask({5, 4});
  mask.at(2, 1) = 1;
  const auto outline = mask_outline(mask);
  ASSERT_EQ(outline.size(), 1u);
  EXPECT_EQ(outline[0], (Point<void>{2, 1}));
}

}  // namespace
}  // namespace marrow::detect
