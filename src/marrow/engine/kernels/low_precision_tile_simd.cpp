// Register tiles of byte and bfloat16 convolutions for processors without dot products of them.
//
// Bytes: src was widened to 16 bits (LowPrecisionKernels::widen), and the weights are packed as 16 bits; an
// instruction multiplies two channels and adds both products, exactly, in int32. The one that multiplies
// bytes saturates at 16 bits, and takes as long for the same number of products.
// bfloat16: the number with 16 zeros behind it is a float32.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/low_precision_tile_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>
#include <array>
#include <cstring>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Integers = hn::ScalableTag<int32_t>;
using Words = hn::ScalableTag<int16_t>;
constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
constexpr int kVectorBytes = HWY_MAX_BYTES;
// 6 x 2 sums, 2 vectors of weights, a broadcast and a product fill 16 registers.
constexpr int kTilePixels = 6;
constexpr int kTileVectors = 2;

HWY_INLINE hn::Vec<Integers> broadcast(const uint8_t* src) {
  int32_t dword;
  std::memcpy(&dword, src, sizeof dword);
  return hn::Set(Integers(), dword);
}

// Sums stay in registers and are added to in the order written. Otherwise GCC 12 first adds the products of
// neighbouring dwords, or keeps a pixel for its other channel, and has no registers left for the sums.
template <class Vector>
HWY_INLINE void pin(Vector& sum) {
  __asm__("" : "+x"(sum.raw));
}

// How a dword of src meets one of the weights.
struct WordSums {
  using Sum = hn::Vec<Integers>;
  static constexpr int kBytesAhead = 0;  // of weights to fetch early
  static HWY_INLINE Sum first(const LowPrecisionTileArgs& args, int vector) {
    return hn::LoadU(Integers(), args.start + vector * kLanes);
  }
  template <int kPixels, int kVectors>
  static HWY_INLINE void add(Sum (&sum)[kPixels][kVectors], const uint8_t* x, const uint8_t* x3, int64_t step,
                             const uint8_t* weights) {
    const Words words;
    hn::Vec<Words> weight[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      weight[v] = hn::LoadU(words, reinterpret_cast<const int16_t*>(weights + v * kVectorBytes));
#pragma GCC unroll 6
    for (int p = 0; p < kPixels; ++p) {
      const auto pixel = hn::BitCast(words, broadcast(p < 3 ? x + p * step : x3 + (p - 3) * step));
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        hn::Vec<Integers> unused = sum[p][v];
        sum[p][v] = hn::ReorderWidenMulAccumulate(Integers(), pixel, weight[v], sum[p][v], unused);
        pin(sum[p][v]);
      }
    }
  }
  // What a vector of sums becomes when it is stored.
  class Finish {
   public:
    HWY_INLINE Finish(const LowPrecisionTileArgs& args, int vector)
        : scale_(hn::LoadU(Floats(), args.scale + vector * kLanes)),
          bias_(hn::LoadU(Floats(), args.bias + vector * kLanes)) {}
    HWY_INLINE void store(Sum sum, float* dst) const {
      hn::StoreU(hn::MulAdd(hn::ConvertTo(Floats(), sum), scale_, bias_), Floats(), dst);
    }

   private:
    hn::Vec<Floats> scale_, bias_;
  };
};

// The sums themselves. Winograd's weights are four times as many as the direct ones, and where tiles are few
// each is used but a few times: the next product's come in time only if they are asked for.
struct WholeSums : WordSums {
  static constexpr int kBytesAhead = 2048;
  struct Finish {
    HWY_INLINE Finish(const LowPrecisionTileArgs&, int) {}
    HWY_INLINE void store(Sum sum, float* dst) const {
      hn::StoreU(sum, Integers(), reinterpret_cast<int32_t*>(dst));
    }
  };
};

struct Bfloat16Sums {
  using Sum = hn::Vec<Floats>;
  static constexpr int kBytesAhead = 0;
  static HWY_INLINE Sum first(const LowPrecisionTileArgs& args, int vector) {
    return hn::LoadU(Floats(), args.bias + vector * kLanes);
  }
  template <int kPixels, int kVectors>
  static HWY_INLINE void add(Sum (&sum)[kPixels][kVectors], const uint8_t* x, const uint8_t* x3, int64_t step,
                             const uint8_t* weights) {
    add_one<kPixels, kVectors>(sum, x, x3, step, weights,
                               [](hn::Vec<Integers> pair) { return hn::ShiftLeft<16>(pair); });
    __asm__ volatile("" : : : "memory");
    add_one<kPixels, kVectors>(sum, x, x3, step, weights, [](hn::Vec<Integers> pair) {
      return hn::And(pair, hn::Set(Integers(), static_cast<int32_t>(0xffff0000u)));
    });
  }
  struct Finish {
    HWY_INLINE Finish(const LowPrecisionTileArgs&, int) {}
    HWY_INLINE void store(Sum sum, float* dst) const { hn::StoreU(sum, Floats(), dst); }
  };

 private:
  // One channel of the pair.
  template <int kPixels, int kVectors, class Widen>
  static HWY_INLINE void add_one(Sum (&sum)[kPixels][kVectors], const uint8_t* x, const uint8_t* x3,
                                 int64_t step, const uint8_t* weights, const Widen& widen) {
    const Floats d;
    Sum weight[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      weight[v] = hn::BitCast(
          d, widen(hn::LoadU(Integers(), reinterpret_cast<const int32_t*>(weights + v * kVectorBytes))));
#pragma GCC unroll 6
    for (int p = 0; p < kPixels; ++p) {
      const auto pixel = hn::BitCast(d, widen(broadcast(p < 3 ? x + p * step : x3 + (p - 3) * step)));
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sum[p][v] = hn::MulAdd(pixel, weight[v], sum[p][v]);
        pin(sum[p][v]);
      }
    }
  }
};

// One run of dwords: what the taps and channels of a row are, or of a 1x1 convolution all. Returns where the
// weights go on.
template <class Sums, int kPixels, int kVectors>
HWY_INLINE const uint8_t* add_run(typename Sums::Sum (&sum)[kPixels][kVectors], const uint8_t* x,
                                  int64_t step, const uint8_t* weights, int64_t dwords) {
  const uint8_t* x3 = x + 3 * step;
  const uint8_t* end = weights + dwords * kVectors * kVectorBytes;
  for (; weights != end; x += 4, x3 += 4, weights += kVectors * kVectorBytes) {
    if constexpr (Sums::kBytesAhead > 0) hwy::Prefetch(weights + Sums::kBytesAhead);
    Sums::template add<kPixels, kVectors>(sum, x, x3, step, weights);
  }
  return end;
}

// `count` tiles side by side.
template <class Sums, int kPixels, int kVectors, bool kOneRun>
void tiles(const LowPrecisionTileArgs& args, const uint8_t* src, float* dst, int count) {
  const int64_t step = args.src_pixel;
  for (; count > 0; --count, src += kPixels * step, dst += kPixels * kLanes) {
    typename Sums::Sum sum[kPixels][kVectors];
#pragma GCC unroll 6
    for (int p = 0; p < kPixels; ++p)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[p][v] = Sums::first(args, v);
    const auto* w = static_cast<const uint8_t*>(args.weights);
    if constexpr (kOneRun) {
      add_run<Sums, kPixels, kVectors>(sum, src, step, w, args.last_dwords);
    } else {
      for (int block = 0; block < args.blocks; ++block) {
        const int dwords = block + 1 == args.blocks ? args.last_dwords : args.dwords;
        for (int row = 0; row < args.rows; ++row) {
          const uint8_t* x = src + block * args.src_block + row * args.src_row;
          for (int tap = 0; tap < args.taps; ++tap, x += args.src_tap)
            w = add_run<Sums, kPixels, kVectors>(sum, x, step, w, dwords);
        }
      }
    }
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const typename Sums::Finish finish(args, v);
#pragma GCC unroll 6
      for (int p = 0; p < kPixels; ++p) finish.store(sum[p][v], dst + v * args.dst_block + p * kLanes);
    }
  }
}

// Any number of pixels, in tiles of two sizes that differ by one.
template <class Sums, bool kOneRun>
void cut(const LowPrecisionTileArgs& args) {
  using Tiles = void (*)(const LowPrecisionTileArgs&, const uint8_t* src, float* dst, int count);
  static constexpr Tiles kTiles[kTileVectors][kTilePixels] = {
      {tiles<Sums, 1, 1, kOneRun>, tiles<Sums, 2, 1, kOneRun>, tiles<Sums, 3, 1, kOneRun>,
       tiles<Sums, 4, 1, kOneRun>, tiles<Sums, 5, 1, kOneRun>, tiles<Sums, 6, 1, kOneRun>},
      {tiles<Sums, 1, 2, kOneRun>, tiles<Sums, 2, 2, kOneRun>, tiles<Sums, 3, 2, kOneRun>,
       tiles<Sums, 4, 2, kOneRun>, tiles<Sums, 5, 2, kOneRun>, tiles<Sums, 6, 2, kOneRun>}};
  const int count = (args.pixels + kTilePixels - 1) / kTilePixels;
  const int small = args.pixels / count, large = args.pixels % count;
  if (large > 0) kTiles[args.vectors - 1][small](args, args.src, args.dst, large);
  const int64_t pixels = int64_t{large} * (small + 1);
  kTiles[args.vectors - 1][small - 1](args, args.src + pixels * args.src_pixel, args.dst + pixels * kLanes,
                                      count - large);
}

template <class Sums>
void run_tiles(const LowPrecisionTileArgs& args) {
  (args.blocks * args.rows * args.taps == 1 ? cut<Sums, true> : cut<Sums, false>)(args);
}

// Few pixels at a time, so that dst is written from front to back and src is read by cache lines; two blocks
// fill a vector.
void bytes_to_words(const uint8_t* src, int64_t src_block, int64_t blocks, int64_t pixels, int16_t* dst) {
  const hn::Rebind<uint8_t, Words> bytes;
  const hn::Rebind<uint8_t, Floats> half;
  const hn::Rebind<int16_t, Floats> half_words;
  constexpr int64_t kTogether = 64 / kLanes;
  for (int64_t first = 0; first < pixels; first += kTogether) {
    const int64_t end = std::min(first + kTogether, pixels);
    int64_t block = 0;
    for (; block + 2 <= blocks; block += 2)
      for (int64_t pixel = first; pixel < end; ++pixel) {
        const uint8_t* from = src + block * src_block + pixel * kLanes;
        const auto both = hn::Combine(bytes, hn::LoadU(half, from + src_block), hn::LoadU(half, from));
        hn::StoreU(hn::PromoteTo(Words(), both), Words(), dst + (pixel * blocks + block) * kLanes);
      }
    for (; block < blocks; ++block)
      for (int64_t pixel = first; pixel < end; ++pixel)
        hn::StoreU(hn::PromoteTo(half_words, hn::LoadU(half, src + block * src_block + pixel * kLanes)),
                   half_words, dst + (pixel * blocks + block) * kLanes);
  }
}

void use(LowPrecisionKernels& kernels, const char* name, void (*tile)(const LowPrecisionTileArgs&)) {
  kernels.tile_pixels = kTilePixels;
  kernels.tile_vectors = kTileVectors;
  kernels.any_pixels = true;
  kernels.name = name;
  kernels.tile = tile;
}

void FillLowPrecisionTiles(Kernels& kernels) {
  use(kernels.bytes, "words", run_tiles<WordSums>);
  kernels.bytes.widen = bytes_to_words;
  kernels.byte_winograd.multiply = cut<WholeSums, true>;
  use(kernels.bfloat16, "fma", run_tiles<Bfloat16Sums>);
}

#else

void FillLowPrecisionTiles(Kernels&) {}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_low_precision_tiles(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillLowPrecisionTiles)(kernels);
}

}  // namespace marrow::engine
#endif
