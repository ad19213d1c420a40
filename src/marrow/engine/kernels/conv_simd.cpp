// Register tiles of the dense convolution. Each output number is one chain of multiply-adds in a fixed order
// (block, row, tap, channel), whatever the tile's size: results do not depend on how a row is cut into tiles.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/conv_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <utility>

#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillConvTiles(Kernels&) {}

#else

constexpr int64_t constant_step(TileStep step) {
  switch (step) {
    case TileStep::kTwoLanes:
      return 2 * tile::kLanes;
    case TileStep::kTwo:
      return 2;
    case TileStep::kFour:
      return 4;
    case TileStep::kAny:
      return 0;
  }
  return 0;
}

template <int kPixels, int kHalves, TileStep kStep>
void conv_tile(const ConvTileArgs& args) {
  using Tile = tile::Tile<kPixels, kHalves>;
  // Steps of a few floats occur only where the source is planar: a block is then one channel.
  constexpr bool kPlanar = kStep == TileStep::kTwo || kStep == TileStep::kFour;
  const int64_t step = kStep == TileStep::kAny ? args.src_pixel : constant_step(kStep);

  Tile sums;
  sums.begin(args.bias);
  for (int block = 0; block < args.blocks; ++block) {
    const int channels = kPlanar ? 1 : block + 1 == args.blocks ? args.last_channels : args.block_channels;
    const float* w = args.weights + block * args.weights_block +
                     static_cast<int64_t>(args.first_row) * args.taps * channels * Tile::kWidth;
    for (int row = 0; row < args.rows; ++row)
      for (int tap = 0; tap < args.taps; ++tap) {
        const float* x = args.src + block * args.src_block + row * args.src_row + tap * args.src_tap;
        for (int c = 0; c < channels; ++c, ++x, w += Tile::kWidth) sums.add(x, step, w);
      }
  }
  sums.store(args.dst, args.dst_block);
}

template <int... kSteps>
void fill_tiles(Kernels& kernels, std::integer_sequence<int, kSteps...>) {
  tile::for_each_size([&]<int kPixels, int kHalves>() {
    ((kernels.conv_tile[kSteps][kHalves - 1][kPixels - 1] =
          conv_tile<kPixels, kHalves, static_cast<TileStep>(kSteps)>),
     ...);
  });
}

void FillConvTiles(Kernels& kernels) {
  kernels.tile_pixels = tile::kMostPixels;
  kernels.half_blocks = tile::kHalfBlocks;
  fill_tiles(kernels, std::make_integer_sequence<int, kTileSteps>());
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_conv_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillConvTiles)(kernels);
}

}  // namespace marrow::engine
#endif
