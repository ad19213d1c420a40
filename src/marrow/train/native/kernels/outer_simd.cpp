// Register tiles of the outer product. Each sum is one chain of multiply-adds in the order of the pixels,
// whatever the tile's size.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/outer_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/highway.h"
#include "marrow/engine/kernels/tile-inl.h"
#include "marrow/train/native/kernels/kernels.h"
#include "marrow/train/native/kernels/pair_products-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillOuter(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
// Accumulators of a tile: 4 x 3 and 8 x 1 fill 16 registers with three vectors of inputs and a broadcast, and
// 4 x 2 where a product needs a register of its own; of 32, 8 x 3 and 16 x 1, or 4 x 4 of short vectors.
constexpr int kMostVectors = HWY_TARGET == HWY_SSE4 ? 2 : kLanes == 4 ? 4 : 3;
template <int kVectors>
constexpr int kTileOutputs = kLanes == 4     ? 4
                             : kVectors == 1 ? kLanes
                                             : kLanes / 2;

// kOutputs lanes of one block times kVectors blocks of inputs.
template <int kOutputs, int kVectors, class Product>
HWY_NOINLINE void outer_tile(const OuterArgs& args, const float* dy, const float* x, float* acc) {
  const D d;
  V sums[kOutputs][kVectors];
#pragma GCC unroll 16
  for (int o = 0; o < kOutputs; ++o)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[o][v] = hn::LoadU(d, acc + o * args.acc_step + v * kLanes);
  const int64_t x_step = args.x_step, x_block = args.x_block, pixels = args.pixels;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* gradient = dy + row * args.dy_row;
    const float* source = x + row * args.x_row;
    for (int64_t p = 0; p < pixels; ++p, gradient += kLanes, source += x_step) {
      V inputs[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) inputs[v] = hn::LoadU(d, source + v * x_block);
#pragma GCC unroll 16
      for (int o = 0; o < kOutputs; ++o) {
        const V output = hn::Set(d, gradient[o]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sums[o][v] = Product()(output, inputs[v], sums[o][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int o = 0; o < kOutputs; ++o)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[o][v], d, acc + o * args.acc_step + v * kLanes);
}

template <int kVectors, class Product>
HWY_INLINE void outer_vectors(const OuterArgs& args, int first) {
  constexpr int kOutputs = kTileOutputs<kVectors>;
  static_assert(kLanes % kOutputs == 0);
  for (int block = 0; block < args.outputs; ++block)
    for (int lane = 0; lane < kLanes; lane += kOutputs)
      outer_tile<kOutputs, kVectors, Product>(
          args, args.dy + block * args.dy_block + lane, args.x + first * args.x_block,
          args.acc + (int64_t{block} * kLanes + lane) * args.acc_step + first * kLanes);
}

template <class Product>
void outer_piece(const OuterArgs& args) {
  for (int first = 0; first < args.inputs;) {
    const int vectors = next_group(args.inputs - first, kMostVectors);
    if (vectors == 1) outer_vectors<1, Product>(args, first);
    if (vectors == 2) outer_vectors<2, Product>(args, first);
    if constexpr (kMostVectors >= 3)
      if (vectors == 3) outer_vectors<3, Product>(args, first);
    if constexpr (kMostVectors >= 4)
      if (vectors == 4) outer_vectors<4, Product>(args, first);
    first += vectors;
  }
}

// Every tile reads the same pixels: in pieces that stay in the first-level cache, some rows or a part of one.
template <class Product>
void outer(const OuterArgs& args) {
  constexpr int64_t kPieceBytes = 24 << 10, kLeastPixels = 32;
  if (args.pixels == 0) return;
  const int64_t pixel_floats = next_group(args.inputs, kMostVectors) * args.x_step + kLanes;
  const int64_t most =
      std::max<int64_t>(kPieceBytes / (pixel_floats * static_cast<int64_t>(sizeof(float))), kLeastPixels);
  const int64_t rows = std::max<int64_t>(most / args.pixels, 1);
  const int64_t pieces = (args.pixels + most - 1) / most, pixels = (args.pixels + pieces - 1) / pieces;
  for (int64_t row = 0; row < args.rows; row += rows)
    for (int64_t pixel = 0; pixel < args.pixels; pixel += pixels) {
      OuterArgs piece = args;
      piece.rows = std::min(rows, args.rows - row);
      piece.pixels = std::min(pixels, args.pixels - pixel);
      piece.dy += row * args.dy_row + pixel * kLanes;
      piece.x += row * args.x_row + pixel * args.x_step;
      outer_piece<Product>(piece);
    }
}

void FillOuter(Kernels& kernels) {
  kernels.outer = outer<engine::HWY_NAMESPACE::tile::MulAdd>;
#if HWY_TARGET == HWY_AVX3
  if (has_pair_products(kernels.level)) kernels.outer_pairs = outer<PairProduct>;
#endif
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_outer_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillOuter)(kernels);
}

}  // namespace marrow::train::native
#endif
