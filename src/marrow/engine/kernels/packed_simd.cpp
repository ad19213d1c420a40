// Register tiles of a matrix product whose pixels were packed: what a tile reads is one run of memory, at
// constant distances. Each output number is one chain of multiply-adds in the order of the channels, whatever
// the tile's size.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/packed_simd.cpp"
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

void FillPacked(Kernels&) {}

#else

using tile::kLanes;
using tile::V;

// Where the next tile's pixels and the next lines to ask for are.
struct Progress {
  const float* src;
  const float* ahead;
};

template <int kPixels, int kHalves>
HWY_INLINE void add_channels(const PackedOperand& operand, Progress& at, tile::Tile<kPixels, kHalves>& sums) {
  constexpr int64_t kWidth = tile::Tile<kPixels, kHalves>::kWidth;
  const float* x = at.src;
  const float* weights = operand.weights;
  int left = operand.channels;
  for (; left >= kLanes; left -= kLanes, x += kPixels * kLanes, weights += kLanes * kWidth) {
    if (at.ahead < operand.ahead_end)
      for (int line = 0; line < operand.ahead_lines; ++line, at.ahead += kLineFloats) hwy::Prefetch(at.ahead);
#pragma GCC unroll 8
    for (int lane = 0; lane < kLanes; ++lane) sums.add(x + lane, kLanes, weights + lane * kWidth);
  }
  for (int lane = 0; lane < left; ++lane) sums.add(x + lane, kLanes, weights + lane * kWidth);
  at.src = x + (left > 0 ? kPixels * kLanes : 0);
}

template <int kPixels, int kHalves>
void packed_tile(const PackedTileArgs& args) {
  const PackedOperand operand = args.operand;
  Progress at{operand.src, operand.ahead};
  float* dst = args.dst;
  for (int i = 0; i < operand.tiles; ++i, dst += kPixels * kLanes) {
    tile::Tile<kPixels, kHalves> sums;
    if (args.bias != nullptr)
      sums.begin(args.bias);
    else
      sums.resume(dst, args.dst_block);
    add_channels(operand, at, sums);
    sums.store(dst, args.dst_block);
  }
}

template <int kPixels, int kVectors>
void add_packed_tile(const AddPackedTileArgs& args) {
  const tile::D d;
  const PackedOperand operand = args.operand;
  Progress at{operand.src, operand.ahead};
  auto results = args.results;
  for (int i = 0; i < operand.tiles; ++i) {
    tile::Tile<kPixels, 2 * kVectors> sums;
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums.full[p][v] = hwy::HWY_NAMESPACE::Zero(d);
    add_channels(operand, at, sums);
    for (int r = 0; r < args.count; ++r) {
      PackedResult& result = results[static_cast<size_t>(r)];
      sums.add_to(result, args.dst_block);
      result.dst += kPixels * kLanes;
    }
  }
}

void pack_pixels(const PackPixelsArgs& args) {
  namespace hn = hwy::HWY_NAMESPACE;
  const tile::D d;
  const V factor = hn::Set(d, args.factor);
  const float* src = args.src;
  const float* other = args.other;
  float* dst = args.dst;
  for (int64_t block = 0; block < args.blocks; ++block, src += args.src_block) {
    if (other == nullptr) {
      for (int p = 0; p < args.pixels; ++p, dst += kLanes) hn::StoreU(hn::LoadU(d, src + p * kLanes), d, dst);
    } else {
      for (int p = 0; p < args.pixels; ++p, dst += kLanes)
        hn::StoreU(hn::MulAdd(factor, hn::LoadU(d, other + p * kLanes), hn::LoadU(d, src + p * kLanes)), d,
                   dst);
      other += args.src_block;
    }
  }
}

void FillPacked(Kernels& kernels) {
  tile::for_each_size([&]<int kPixels, int kHalves>() {
    kernels.packed_tile[kHalves - 1][kPixels - 1] = packed_tile<kPixels, kHalves>;
    if constexpr (kHalves % 2 == 0)
      kernels.add_packed_tile[kHalves / 2 - 1][kPixels - 1] = add_packed_tile<kPixels, kHalves / 2>;
  });
  kernels.pack_pixels = pack_pixels;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_packed_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillPacked)(kernels);
}

}  // namespace marrow::engine
#endif
