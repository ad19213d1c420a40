// Images are resized and changed by the SIMD level that the caller or MARROW_SIMD names, with the same bits.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/image/hsv.h"
#include "marrow/image/resize.h"
#include "marrow/image/row_kernels.h"
#include "marrow/image/warp.h"
#include "support/environment.h"

namespace marrow::image {
namespace {

using cpu::SimdLevel;

Image noise(int width, int height) {
  Image image(width, height);
  Random random(1, "noise");
  for (size_t i = 0; i < image.byte_size(); ++i) image.row(0)[i] = static_cast<uint8_t>(random.below(256));
  return image;
}

struct Change {
  const char* name;
  std::function<Image(const Image&)> run;
};
const Change kChanges[] = {
    {"resize", [](const Image& image) { return resize_linear(image, 77, 45); }},
    {"colours",
     [](const Image& image) {
       Image changed = copy_image(image.pixels());
       adjust_hsv(changed, {0.01, 0.3, -0.2});
       return changed;
     }},
    {"warp",
     [](const Image& image) {
       Image warped(80, 40);
       warp_affine(image.pixels(), {0.9, 0.1, 2, -0.1, 1.1, 3, 0, 0, 1}, warped.pixels(), 114);
       return warped;
     }},
};

TEST(Levels, OnlyAvx2AndAboveHaveVectorLoops) {
  for (const SimdLevel level : cpu::available_simd_levels()) {
    const bool vectors = level == SimdLevel::kAvx2 || level == SimdLevel::kAvx512;
    EXPECT_EQ(linear_row_kernel(level) != nullptr, vectors) << cpu::simd_name(level);
    EXPECT_EQ(row_kernels(level).adjust_hsv != nullptr, vectors) << cpu::simd_name(level);
    EXPECT_EQ(row_kernels(level).name, vectors ? std::string("avx2") : "plain") << cpu::simd_name(level);
  }
}

TEST(Levels, TheEnvironmentReachesTheLoops) {
  const testing::Environment environment("MARROW_SIMD", "plain");
  EXPECT_EQ(linear_row_kernel(), nullptr);
  EXPECT_EQ(row_kernels().adjust_hsv, nullptr);
  EXPECT_EQ(row_kernels().warp, nullptr);
}

TEST(Levels, GiveTheSameBits) {
  const Image image = noise(131, 67);
  for (const Change& change : kChanges) {
    const testing::Environment plain("MARROW_SIMD", "plain");
    const Image wanted = change.run(image);
    for (const SimdLevel level : cpu::available_simd_levels()) {
      const testing::Environment environment("MARROW_SIMD", std::string(cpu::simd_name(level)).c_str());
      EXPECT_TRUE(change.run(image) == wanted) << change.name << ", " << cpu::simd_name(level);
    }
  }
}

TEST(Levels, AnUnknownOneIsRefusedAsByTheEngine) {
  const testing::Environment environment("MARROW_SIMD", "avx521");
  const Image image = noise(20, 20);
  for (const Change& change : kChanges) try {
      change.run(image);
      ADD_FAILURE() << change.name << " accepted it";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_TRUE(std::string(error.what()).starts_with("MARROW_SIMD: unknown SIMD level 'avx521'"))
          << error.what();
    }
}

}  // namespace
}  // namespace marrow::image
