// The register tile that dense convolutions share: some neighbouring pixels times a few vectors of output
// channels, counted in half vectors. A half vector holds two pixels: 24 outputs of 16 lanes cost one and a
// half multiply-adds a pixel. Included once a target: see Highway's guide on -inl.h files.
#if defined(MARROW_ENGINE_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MARROW_ENGINE_KERNELS_TILE_INL_H_
#undef MARROW_ENGINE_KERNELS_TILE_INL_H_
#else
#define MARROW_ENGINE_KERNELS_TILE_INL_H_
#endif

#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

namespace tile {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
// 14 x 2 accumulators, 2 vectors of weights and one broadcast fill 32 registers; 6 x 2 fill 16.
constexpr bool kFewRegisters = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4;
constexpr int kMostPixels = kFewRegisters ? 6 : 14;
// A half vector takes half the multiply-adds and twice the loads. Small tiles have not enough multiply-adds
// to hide them.
constexpr bool kHalfBlocks = !kFewRegisters;

// How a tile adds a product: a * b + sum.
struct MulAdd {
  HWY_INLINE V operator()(V a, V b, V sum) const { return hn::MulAdd(a, b, sum); }
};

template <int kPixels, int kHalves>
struct Tile {
  static constexpr int kFull = kHalves / 2;
  static constexpr bool kHalf = kHalves % 2 == 1;
  static constexpr int kPairs = (kPixels + 1) / 2;  // pixels i and i + kPairs share a vector
  static constexpr int64_t kWidth = int64_t{kFull + (kHalf ? 1 : 0)} * kLanes;  // floats of weights a channel

  V full[kPixels][kFull > 0 ? kFull : 1];
  V half[kHalf ? kPairs : 1];

  // `bias`: kWidth floats; those of a half vector stand twice.
  HWY_INLINE void begin(const float* bias) {
    const D d;
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p)
#pragma GCC unroll 4
      for (int v = 0; v < kFull; ++v) full[p][v] = hn::LoadU(d, bias + v * kLanes);
    if constexpr (kHalf) {
#pragma GCC unroll 8
      for (int i = 0; i < kPairs; ++i) half[i] = hn::LoadU(d, bias + kFull * kLanes);
    }
  }

  // From zeros.
  HWY_INLINE void clear() {
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p)
#pragma GCC unroll 4
      for (int v = 0; v < kFull; ++v) full[p][v] = hn::Zero(D());
    if constexpr (kHalf) {
#pragma GCC unroll 8
      for (int i = 0; i < kPairs; ++i) half[i] = hn::Zero(D());
    }
  }

  // Goes on from sums that were stored. REQUIRES: no half vector, or neighbouring pixels.
  HWY_INLINE void resume(const float* dst, int64_t dst_block, int64_t dst_step = kLanes) {
    const D d;
#pragma GCC unroll 4
    for (int v = 0; v < kFull; ++v)
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p) full[p][v] = hn::LoadU(d, dst + v * dst_block + p * dst_step);
    if constexpr (kHalf) {
      const float* last = dst + kFull * dst_block;
#pragma GCC unroll 8
      for (int i = 0; i < kPairs; ++i)
        half[i] =
            hn::ConcatLowerLower(d, hn::LoadU(d, last + second(i) * kLanes), hn::LoadU(d, last + i * kLanes));
    }
  }

  // One input channel: pixel p is x[p * step]; `weights` as the bias.
  template <class Product = MulAdd>
  HWY_INLINE void add(const float* x, int64_t step, const float* weights, const Product& product = {}) {
    const D d;
    V weight[kFull > 0 ? kFull : 1];
#pragma GCC unroll 4
    for (int v = 0; v < kFull; ++v) weight[v] = hn::LoadU(d, weights + v * kLanes);
    if constexpr (kFull > 0) {
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p) {
        const V pixel = hn::Set(d, x[p * step]);
#pragma GCC unroll 4
        for (int v = 0; v < kFull; ++v) full[p][v] = product(pixel, weight[v], full[p][v]);
      }
    }
    if constexpr (kHalf) {
      const V last = hn::LoadU(d, weights + kFull * kLanes);
      const auto first_pixel = hn::FirstN(d, kLanes / 2);
#pragma GCC unroll 8
      for (int i = 0; i < kPairs; ++i) {
        const V two = hn::IfThenElse(first_pixel, hn::Set(d, x[i * step]), hn::Set(d, x[second(i) * step]));
        half[i] = product(two, last, half[i]);
      }
    }
  }

  // `dst_step`: floats between neighbouring pixels.
  HWY_INLINE void store(float* dst, int64_t dst_block, int64_t dst_step = kLanes) const {
    const D d;
#pragma GCC unroll 4
    for (int v = 0; v < kFull; ++v)
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p) hn::StoreU(full[p][v], d, dst + v * dst_block + p * dst_step);
    if constexpr (kHalf) {
      // Whole vectors, so that the spare lanes hold numbers.
      float* last = dst + kFull * dst_block;
#pragma GCC unroll 8
      for (int i = 0; i < kPairs; ++i) {
        hn::StoreU(half[i], d, last + i * dst_step);
        hn::StoreU(hn::ConcatUpperUpper(d, half[i], half[i]), d, last + second(i) * dst_step);
      }
    }
  }

  // Adds the sums, with a sign, to a result. REQUIRES: no half vector.
  template <class Result>
  HWY_INLINE void add_to(const Result& result, int64_t dst_block) const {
    static_assert(!kHalf);
    const D d;
    const V sign = hn::Set(d, result.sign);
#pragma GCC unroll 4
    for (int v = 0; v < kFull; ++v) {
      float* dst = result.dst + v * dst_block;
      if (result.bias != nullptr) {
        const V bias = hn::LoadU(d, result.bias + v * kLanes);
#pragma GCC unroll 16
        for (int p = 0; p < kPixels; ++p) hn::StoreU(hn::MulAdd(full[p][v], sign, bias), d, dst + p * kLanes);
      } else {
#pragma GCC unroll 16
        for (int p = 0; p < kPixels; ++p)
          hn::StoreU(hn::MulAdd(full[p][v], sign, hn::LoadU(d, dst + p * kLanes)), d, dst + p * kLanes);
      }
    }
  }

 private:
  static constexpr int second(int pair) {
    return pair + kPairs < kPixels ? pair + kPairs : kPixels - 1;
  }
};

template <int kHalves, class Visit, int... kPixels>
void visit_pixels(const Visit& visit, std::integer_sequence<int, kPixels...>) {
  (visit.template operator()<kPixels + 1, kHalves>(), ...);
}
// Calls visit.operator()<kPixels, kHalves>() for the sizes of tiles that this level has.
template <class Visit>
void for_each_size(const Visit& visit) {
  using Pixels = std::make_integer_sequence<int, kMostPixels>;
  visit_pixels<2>(visit, Pixels());
  visit_pixels<4>(visit, Pixels());
  if constexpr (kHalfBlocks) {
    visit_pixels<1>(visit, Pixels());
    visit_pixels<3>(visit, Pixels());
  }
}

}  // namespace tile

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#endif
