#include "marrow/train/torch/batch_norm_rows.h"

#include <gtest/gtest.h>

#include <vector>

#include "marrow/base/random.h"

namespace marrow::train {
namespace {

std::vector<float> noise(int64_t count, const char* name) {
  Random random(5, name);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

struct Results {
  std::vector<double> sum_a, sum_ab;
  std::vector<float> scaled, gradient;
  bool operator==(const Results&) const = default;
};

Results run(const BatchNormRows& loops, int64_t rows, int64_t channels) {
  const std::vector<float> x = noise(rows * channels, "x"), dy = noise(rows * channels, "dy");
  const std::vector<float> a = noise(channels, "a"), b = noise(channels, "b"), c = noise(channels, "c"),
                           d = noise(channels, "d");
  Results results{std::vector<double>(a.size(), 1), std::vector<double>(a.size(), 2),
                  std::vector<float>(x.size()), std::vector<float>(x.size())};
  loops.add_products(dy.data(), x.data(), rows, channels, results.sum_a.data(), results.sum_ab.data());
  loops.scale_and_shift(x.data(), rows, channels, a.data(), b.data(), results.scaled.data());
  loops.input_gradient(x.data(), dy.data(), rows, channels, a.data(), b.data(), c.data(), d.data(),
                       results.gradient.data());
  return results;
}

TEST(BatchNormRows, EveryLevelGivesTheBitsOfPlainLoops) {
  for (const int64_t rows : {0, 1, 3, 4, 33})
    for (const int64_t channels : {1, 7, 15, 16, 33, 64}) {
      const Results wanted = run(batch_norm_rows(cpu::SimdLevel::kPlain), rows, channels);
      for (const cpu::SimdLevel level : cpu::available_simd_levels())
        EXPECT_TRUE(run(batch_norm_rows(level), rows, channels) == wanted)
            << cpu::simd_name(level) << ", " << rows << " x " << channels;
    }
}

}  // namespace
}  // namespace marrow::train
