// Register tiles of the dense product. Each output number is one chain of multiply-adds in the order of
// block, tap and lane, whatever the tile's size: results do not depend on how pixels are cut into calls and
// tiles.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/multiply_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "marrow/engine/kernels/tile-inl.h"
#include "marrow/train/native/kernels/kernels.h"
#include "marrow/train/native/kernels/pair_products-inl.h"
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

HWY_INLINE void fetch_ahead(Ahead* ahead) {
  if (ahead == nullptr) return;
  const int64_t end = static_cast<int64_t>(ahead->runs.size()) * ahead->run_lines;
  for (int64_t i = 0; i < ahead->tile_lines && ahead->next < end; ++i, ++ahead->next)
    hwy::Prefetch(ahead->runs[static_cast<size_t>(ahead->next / ahead->run_lines)] +
                  ahead->next % ahead->run_lines * engine::kLineFloats);
}

// Blocks of inputs whose weights stay in the first-level cache while the pixels pass by.
struct InputRange {
  int first, end;
  const float* weights;
};

template <int kPixels, int kVectors, class Product>
HWY_NOINLINE void multiply_tiles(const MultiplyArgs& args, const InputRange& inputs, int64_t first,
                                 int64_t tiles) {
  using Tile = tile::Tile<kPixels, 2 * kVectors>;
  const int64_t step = args.src_step;
  for (int64_t i = 0, pixel = first; i < tiles; ++i, pixel += kPixels) {
    const float* src = args.src + pixel * step + inputs.first * args.src_block;
    const float* weights = inputs.weights;
    float* dst = args.dst + pixel * args.dst_step;
    Tile sums;
    if (inputs.first == 0)
      sums.clear();
    else
      sums.resume(dst, args.dst_block, args.dst_step);
    for (int block = inputs.first; block < inputs.end; ++block, src += args.src_block)
      for (int tap = 0; tap < args.tap_count; ++tap) {
        const float* x = src + args.taps[tap];
        for (int lane = 0; lane < args.block_channels; ++lane, weights += Tile::kWidth)
          sums.add(x + lane, step, weights, Product());
      }
    sums.store(dst, args.dst_block, args.dst_step);
    fetch_ahead(args.ahead);
  }
}

template <int kVectors, class Product>
HWY_INLINE void multiply_vectors(const MultiplyArgs& args) {
  constexpr int64_t kCacheFloats = 4 * 1024;
  const int64_t block_floats = int64_t{args.block_channels} * args.tap_count * kVectors * tile::kLanes;
  const int64_t fitting = std::max<int64_t>(kCacheFloats / std::max<int64_t>(block_floats, 1), 1);
  const int64_t ranges = std::max<int64_t>((args.blocks + fitting - 1) / fitting, 1);
  for (int64_t range = 0; range < ranges; ++range) {
    InputRange inputs{static_cast<int>(range * args.blocks / ranges),
                      static_cast<int>((range + 1) * args.blocks / ranges), args.weights};
    inputs.weights += inputs.first * block_floats;
    each_pixel_run<kMostPixels<kVectors> >(args.pixels, [&](auto size, int64_t first, int64_t tiles) {
      multiply_tiles<decltype(size)::value, kVectors, Product>(args, inputs, first, tiles);
    });
  }
}

template <class Product>
void multiply(const MultiplyArgs& args) {
  if (args.outputs == 1) return multiply_vectors<1, Product>(args);
  if (args.outputs == 2) return multiply_vectors<2, Product>(args);
  if (args.outputs == 3) return multiply_vectors<3, Product>(args);
  if constexpr (kGroup == 4) multiply_vectors<4, Product>(args);
}

void FillMultiply(Kernels& kernels) {
  kernels.lanes = tile::kLanes;
  kernels.output_group = kGroup;
  kernels.multiply = multiply<tile::MulAdd>;
#if HWY_TARGET == HWY_AVX3
  if (has_pair_products(kernels.level)) kernels.multiply_pairs = multiply<PairProduct>;
#endif
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
