#include <cmath>
#include <limits>

#include "support.h"

namespace marrow::train::native {
namespace {

TEST(PoolKernels, TakeTheFirstLargestOrANaN) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes, width = 9;
    const std::vector<int64_t> taps = {0, lanes, 2 * lanes, width * lanes, (width + 1) * lanes};
    for (const int64_t pixels : {int64_t{1}, int64_t{4}, int64_t{7}})
      for (const int64_t step : {int64_t{0}, lanes, 2 * lanes}) {
        const int64_t size = (pixels * 2 + 2 * width + 3) * lanes;
        Floats src = normals(size, "src");
        for (float& value : src) value = std::round(2 * value);  // equal ones are common
        src[static_cast<size_t>(lanes)] = std::numeric_limits<float>::quiet_NaN();
        const Floats dy = normals(pixels * lanes, "dy");
        Floats dst(dy.size(), -1), dx(src.size(), 0), wanted_dx = dx;
        kernels.max_taps({src.data(), step, taps.data(), 5, dst.data(), pixels});
        kernels.max_taps_gradient({src.data(), step, taps.data(), 5, dy.data(), dx.data(), pixels});
        for (int64_t i = 0; i < pixels * lanes; ++i) {
          const int64_t first = i / lanes * step + i % lanes;
          int64_t largest = first + taps[0];
          for (const int64_t tap : taps)
            if (at(src, first + tap) > at(src, largest) || std::isnan(at(src, first + tap)))
              largest = first + tap;
          at(wanted_dx, largest) += at(dy, i);
          if (std::isnan(at(src, largest)))
            EXPECT_TRUE(std::isnan(at(dst, i)));
          else
            EXPECT_EQ(at(dst, i), at(src, largest));
        }
        EXPECT_EQ(dx, wanted_dx);
      }
  });
}

}  // namespace
}  // namespace marrow::train::native
