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
constexpr int64_t kLanes = tile::kLanes;
constexpr int kGroup = tile::kFewRegisters ? 3 : 4;

// 4 x 3, 6 x 2 and 12 x 1 accumulators with their weights and a broadcast pixel fill 16 registers. Of 32, at
// most 24 are accumulators: 6 x 4, 8 x 3, 12 x 2.
template <int kVectors>
constexpr int kMostPixels = tile::kFewRegisters ? 12 / kVectors
                            : kVectors == 1     ? 16
                                                : 24 / kVectors;

// kStep: floats between neighbouring outputs' sources; 0: those that args tell, 3 to 8 % slower.
template <int kPixels, int kVectors, int64_t kStep>
HWY_NOINLINE void multiply_tiles(const MultiplyArgs& args, int64_t first, int64_t tiles) {
  using Tile = tile::Tile<kPixels, 2 * kVectors>;
  const int64_t step = kStep > 0 ? kStep : args.src_step;
  const int channels = args.block_channels;
  for (int64_t i = 0, pixel = first; i < tiles; ++i, pixel += kPixels) {
    const float* src = args.src + pixel * step;
    const float* weights = args.weights;
    Tile sums;
    sums.clear();
    for (int block = 0; block < args.blocks; ++block, src += args.src_block)
      for (int tap = 0; tap < args.tap_count; ++tap) {
        const float* x = src + args.taps[tap];
        if (channels == kLanes) {
#pragma GCC unroll 8
          for (int lane = 0; lane < kLanes; ++lane, weights += Tile::kWidth)
            sums.add(x + lane, step, weights);
        } else {
          for (int lane = 0; lane < channels; ++lane, weights += Tile::kWidth)
            sums.add(x + lane, step, weights);
        }
      }
    sums.store(args.dst + pixel * args.dst_step, args.dst_block, args.dst_step);
  }
}

template <int kVectors, int64_t kStep>
HWY_INLINE void multiply_vectors(const MultiplyArgs& args) {
  each_pixel_run<kMostPixels<kVectors> >(args.pixels, [&](auto size, int64_t first, int64_t tiles) {
    multiply_tiles<decltype(size)::value, kVectors, kStep>(args, first, tiles);
  });
}

template <int64_t kStep>
HWY_INLINE void multiply_step(const MultiplyArgs& args) {
  if (args.outputs == 1) return multiply_vectors<1, kStep>(args);
  if (args.outputs == 2) return multiply_vectors<2, kStep>(args);
  if (args.outputs == 3) return multiply_vectors<3, kStep>(args);
  if constexpr (kGroup == 4) return multiply_vectors<4, kStep>(args);
}

void multiply(const MultiplyArgs& args) {
  if (args.src_step == kLanes) return multiply_step<kLanes>(args);
  multiply_step<0>(args);
}

void FillMultiply(Kernels& kernels) {
  kernels.lanes = kLanes;
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
