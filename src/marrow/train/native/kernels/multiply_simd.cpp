// Register tiles of the dense product. Each output number is one chain of multiply-adds in the order of
// block, tap and lane, whatever the tile's size: results do not depend on how pixels are cut into calls and
// tiles.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/multiply_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/tile-inl.h"
#include "marrow/train/native/kernels/kernels.h"
#include "marrow/train/native/kernels/pixel_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillMultiply(Kernels&) {}

#else

namespace tile = engine::HWY_NAMESPACE::tile;
constexpr int kGroup = tile::kFewRegisters ? 3 : 4;

// 4 x 3, 6 x 2 and 12 x 1 accumulators with their weights and a broadcast pixel fill 16 registers. Of 32, at
// most 24 are accumulators: 6 x 4, 8 x 3, 12 x 2.
template <int kVectors>
constexpr int kMostPixels = tile::kFewRegisters ? 12 / kVectors
                            : kVectors == 1     ? 16
                                                : 24 / kVectors;

template <int kPixels, int kVectors>
HWY_NOINLINE void multiply_tiles(const MultiplyArgs& args, int64_t first, int64_t tiles) {
  using Tile = tile::Tile<kPixels, 2 * kVectors>;
  const int64_t step = args.src_step;
  for (int64_t i = 0, pixel = first; i < tiles; ++i, pixel += kPixels) {
    const float* src = args.src + pixel * step;
    const float* weights = args.weights;
    Tile sums;
    sums.clear();
    for (int block = 0; block < args.blocks; ++block, src += args.src_block)
      for (int tap = 0; tap < args.tap_count; ++tap) {
        const float* x = src + args.taps[tap];
        for (int lane = 0; lane < args.block_channels; ++lane, weights += Tile::kWidth)
          sums.add(x + lane, step, weights);
      }
    sums.store(args.dst + pixel * args.dst_step, args.dst_block, args.dst_step);
  }
}

template <int kVectors>
HWY_INLINE void multiply_vectors(const MultiplyArgs& args) {
  each_pixel_run<kMostPixels<kVectors> >(args.pixels, [&](auto size, int64_t first, int64_t tiles) {
    multiply_tiles<decltype(size)::value, kVectors>(args, first, tiles);
  });
}

void multiply(const MultiplyArgs& args) {
  if (args.outputs == 1) return multiply_vectors<1>(args);
  if (args.outputs == 2) return multiply_vectors<2>(args);
  if (args.outputs == 3) return multiply_vectors<3>(args);
  if constexpr (kGroup == 4) multiply_vectors<4>(args);
}

void FillMultiply(Kernels& kernels) {
  kernels.lanes = tile::kLanes;
  kernels.output_group = kGroup;
  kernels.multiply = multiply;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_multiply_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillMultiply)(kernels);
}

}  // namespace marrow::train::native
#endif
