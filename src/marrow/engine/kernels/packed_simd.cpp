// Register tiles of a matrix product whose pixels were packed: what a tile reads is one run of memory, at
// constant distances. Each output number is one chain of multiply-adds in the order of the channels, whatever
// the tile's size.
#include <algorithm>
#include <span>

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

// Asks for the lines of the results that a tile's sums will be added to, some with each block of channels.
template <int kPixels, int kVectors>
class ResultsAhead {
 public:
  ResultsAhead(std::span<const PackedResult> results, int64_t dst_block, int blocks)
      : results_(results), dst_block_(dst_block), at_a_time_(kPixels / std::max(blocks, 1) + kLinePixels) {}

  HWY_INLINE void ask() {
    const int end = std::min(pixel_ + at_a_time_, kPixels);
    for (; pixel_ < end; pixel_ += kLinePixels)
      for (const PackedResult& result : results_)
        for (int v = 0; v < kVectors; ++v) hwy::Prefetch(result.dst + v * dst_block_ + pixel_ * kLanes);
  }

 private:
  static constexpr int kLinePixels = std::max(1, static_cast<int>(kLineFloats) / kLanes);
  std::span<const PackedResult> results_;
  int64_t dst_block_;
  int at_a_time_;
  int pixel_ = 0;
};
struct NothingAhead {
  HWY_INLINE void ask() {}
};

template <int kPixels, int kHalves, class Ahead = NothingAhead>
HWY_INLINE void add_channels(const PackedOperand& operand, Progress& at, tile::Tile<kPixels, kHalves>& sums,
                             Ahead results = {}) {
  constexpr int64_t kWidth = tile::Tile<kPixels, kHalves>::kWidth;
  const float* x = at.src;
  const float* weights = operand.weights;
  int left = operand.channels;
  for (; left >= kLanes; left -= kLanes, x += kPixels * kLanes, weights += kLanes * kWidth) {
    if (at.ahead < operand.ahead_end)
      for (int line = 0; line < operand.ahead_lines; ++line, at.ahead += kLineFloats) hwy::Prefetch(at.ahead);
    results.ask();
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
  const PackedOperand operand = args.operand;
  Progress at{operand.src, operand.ahead};
  auto all_results = args.results;
  const std::span results(all_results.data(), static_cast<size_t>(args.count));
  for (int i = 0; i < operand.tiles; ++i) {
    tile::Tile<kPixels, 2 * kVectors> sums;
    sums.clear();
    add_channels(operand, at, sums,
                 ResultsAhead<kPixels, kVectors>(results, args.dst_block, operand.channels / kLanes));
    for (PackedResult& result : results) {
      sums.add_to(result, args.dst_block);
      result.dst += kPixels * kLanes;
    }
  }
}

template <int kSources>
void pack_sums(const PackPixelsArgs& args) {
  namespace hn = hwy::HWY_NAMESPACE;
  const tile::D d;
  const float* src[kSources];
  V factor[kSources];
  for (int i = 0; i < kSources; ++i) {
    src[i] = args.src[static_cast<size_t>(i)];
    factor[i] = hn::Set(d, args.factor[static_cast<size_t>(i)]);
  }
  float* dst = args.dst;
  for (int64_t block = 0; block < args.blocks; ++block)
    for (int p = 0; p < args.pixels; ++p, dst += kLanes) {
      const int64_t at = block * args.src_block + p * kLanes;
      V sum = hn::LoadU(d, src[0] + at);
#pragma GCC unroll 4
      for (int i = 1; i < kSources; ++i) sum = hn::MulAdd(factor[i], hn::LoadU(d, src[i] + at), sum);
      hn::StoreU(sum, d, dst);
    }
}

void pack_pixels(const PackPixelsArgs& args) {
  (args.count == 1 ? pack_sums<1> : args.count == 2 ? pack_sums<2> : pack_sums<4>)(args);
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
