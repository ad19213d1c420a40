// Register tiles of the 1x1 convolution, whose input channels may lie anywhere. Each output number is one
// chain of multiply-adds in the order of the channels, whatever the tile's size.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/pointwise_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillPointwise(Kernels&) {}

#else

template <int kPixels, int kHalves>
void pointwise_tile(const PointwiseTileArgs& args) {
  using Tile = tile::Tile<kPixels, kHalves>;
  Tile sums;
  if (args.bias != nullptr)
    sums.begin(args.bias);
  else
    sums.resume(args.dst, args.dst_block);
  const float* weights = args.weights;
  const float* ahead = args.ahead;
  int c = 0;
  for (; c + kAheadChannels <= args.channels; c += kAheadChannels) {
    for (int line = 0; line < args.ahead_lines; ++line, ahead += kLineFloats) hwy::Prefetch(ahead);
#pragma GCC unroll 2
    for (int i = 0; i < kAheadChannels; ++i, weights += Tile::kWidth)
      sums.add(args.src + args.offsets[c + i], tile::kLanes, weights);
  }
  for (; c < args.channels; ++c, weights += Tile::kWidth)
    sums.add(args.src + args.offsets[c], tile::kLanes, weights);
  sums.store(args.dst, args.dst_block);
}

void FillPointwise(Kernels& kernels) {
  tile::for_each_size([&]<int kPixels, int kHalves>() {
    kernels.pointwise_tile[kHalves - 1][kPixels - 1] = pointwise_tile<kPixels, kHalves>;
  });
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_pointwise_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillPointwise)(kernels);
}

}  // namespace marrow::engine
#endif
