// A run of pixels cut into register tiles of nearly one size, so that none is too small to hide how long its
// multiply-adds take. Included once a target: see Highway's guide on -inl.h files.
#if defined(MARROW_TRAIN_NATIVE_KERNELS_PIXEL_RUNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MARROW_TRAIN_NATIVE_KERNELS_PIXEL_RUNS_INL_H_
#undef MARROW_TRAIN_NATIVE_KERNELS_PIXEL_RUNS_INL_H_
#else
#define MARROW_TRAIN_NATIVE_KERNELS_PIXEL_RUNS_INL_H_
#endif

#include <cstdint>
#include <type_traits>
#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

template <int... kSizes, class Run>
HWY_INLINE void with_constant_size(int64_t size, std::integer_sequence<int, kSizes...>, const Run& run) {
  ((size == kSizes + 1 && (run(std::integral_constant<int, kSizes + 1>()), true)) || ...);
}

// Calls run(size, first pixel, tiles) at most twice, for tiles side by side of a constant size up to kMost.
template <int kMost, class Run>
HWY_INLINE void each_pixel_run(int64_t pixels, const Run& run) {
  if (pixels == 0) return;
  const int64_t tiles = (pixels + kMost - 1) / kMost, size = pixels / tiles, larger = pixels % tiles;
  constexpr std::make_integer_sequence<int, kMost> kSizes;
  if (larger > 0)
    with_constant_size(size + 1, kSizes, [&](auto constant) { run(constant, int64_t{0}, larger); });
  with_constant_size(size, kSizes,
                     [&](auto constant) { run(constant, larger * (size + 1), tiles - larger); });
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#endif
