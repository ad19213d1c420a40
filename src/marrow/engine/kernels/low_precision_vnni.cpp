// Register tiles of byte and bfloat16 convolutions by AVX-512's dot products, which Highway 1.0 lacks.
// Functions carry their target, and are chosen after asking the processor: no flag for the whole file, whose
// inlined headers would then run on processors that lack it.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <array>
#include <cstring>
#include <utility>

#include "marrow/engine/kernels/kernels.h"

namespace marrow::engine {

// Clang 16 has other builtins, and does not survive these functions under its sanitizers.
#if defined(__x86_64__) && !defined(__clang__)

namespace {

#define MARROW_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define MARROW_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define MARROW_INLINE __attribute__((always_inline)) inline

// 14 x 2 sums, 2 vectors of weights and one broadcast fill 32 registers.
constexpr int kTilePixels = 14;
constexpr int kTileVectors = 2;
constexpr int kLanes = 16;
constexpr int kVectorBytes = 64;

// `kStep` is the distance between pixels where it is one of the usual ones, so that addresses are constants,
// and 0 where it is not. Pixels are a parameter pack, not a loop: GCC keeps the sums in registers only where
// their indices are constant before it unrolls.
template <int kVectors, int kStep, class Pixels>
struct ByteTile;
template <int kVectors, int kStep, class Pixels>
struct Bfloat16Tile;

template <int kVectors, int kStep, int... kPixel>
struct ByteTile<kVectors, kStep, std::integer_sequence<int, kPixel...>> {
  MARROW_VNNI static void run(const LowPrecisionTileArgs& args) {
    constexpr int kLast = kVectors - 1;
    const int64_t step = kStep == 0 ? args.src_pixel : kStep;
    __v16si sum[sizeof...(kPixel)][kVectors];
    ((sum[kPixel][0] = first(args, 0), sum[kPixel][kLast] = first(args, kLast)), ...);
    const auto* w = static_cast<const char*>(args.weights);
    for (int block = 0; block < args.blocks; ++block) {
      const int dwords = block + 1 == args.blocks ? args.last_dwords : args.dwords;
      for (int row = 0; row < args.rows; ++row)
        for (int tap = 0; tap < args.taps; ++tap) {
          const uint8_t* x = args.src + block * args.src_block + row * args.src_row + tap * args.src_tap;
          for (int dword = 0; dword < dwords; ++dword, x += 4, w += kVectors * kVectorBytes)
            (add(sum[kPixel], x + kPixel * step, _mm512_loadu_si512(w),
                 _mm512_loadu_si512(w + kLast * kVectorBytes)),
             ...);
        }
    }
    ((store(args, kPixel, 0, sum[kPixel][0]), store(args, kPixel, kLast, sum[kPixel][kLast])), ...);
  }

 private:
  // _mm512_dpbusd_epi32 would see sums as another type of vector, which GCC 12 then spills.
  MARROW_VNNI MARROW_INLINE static __v16si dot(__v16si sum, __m512i pixel, __m512i weight) {
    return __builtin_ia32_vpdpbusd_v16si(sum, reinterpret_cast<__v16si>(pixel),
                                         reinterpret_cast<__v16si>(weight));
  }
  MARROW_VNNI MARROW_INLINE static __v16si first(const LowPrecisionTileArgs& args, int vector) {
    return reinterpret_cast<__v16si>(_mm512_loadu_si512(args.start + vector * kLanes));
  }
  MARROW_VNNI MARROW_INLINE static void add(__v16si (&sum)[kVectors], const uint8_t* from, __m512i weight,
                                            __m512i last) {
    int dword;
    std::memcpy(&dword, from, sizeof dword);
    const __m512i pixel = _mm512_set1_epi32(dword);
    sum[0] = dot(sum[0], pixel, weight);
    if constexpr (kVectors == 2) sum[1] = dot(sum[1], pixel, last);
  }
  MARROW_VNNI MARROW_INLINE static void store(const LowPrecisionTileArgs& args, int pixel, int vector,
                                              __v16si sum) {
    // The conversion is _mm512_cvtepi32_ps, about which GCC 12 warns (its bug 105593).
    const __m512 x = __builtin_convertvector(sum, __v16sf);
    _mm512_storeu_ps(args.dst + vector * args.dst_block + pixel * kLanes,
                     _mm512_fmadd_ps(x, _mm512_loadu_ps(args.scale + vector * kLanes),
                                     _mm512_loadu_ps(args.bias + vector * kLanes)));
  }
};

template <int kVectors, int kStep, int... kPixel>
struct Bfloat16Tile<kVectors, kStep, std::integer_sequence<int, kPixel...>> {
  MARROW_BF16 static void run(const LowPrecisionTileArgs& args) {
    constexpr int kLast = kVectors - 1;
    const int64_t step = kStep == 0 ? args.src_pixel : kStep;
    __m512 sum[sizeof...(kPixel)][kVectors];
    ((sum[kPixel][0] = first(args, 0), sum[kPixel][kLast] = first(args, kLast)), ...);
    const auto* w = static_cast<const char*>(args.weights);
    for (int block = 0; block < args.blocks; ++block) {
      const int dwords = block + 1 == args.blocks ? args.last_dwords : args.dwords;
      for (int row = 0; row < args.rows; ++row)
        for (int tap = 0; tap < args.taps; ++tap) {
          const uint8_t* x = args.src + block * args.src_block + row * args.src_row + tap * args.src_tap;
          for (int dword = 0; dword < dwords; ++dword, x += 4, w += kVectors * kVectorBytes)
            (add(sum[kPixel], x + kPixel * step, _mm512_loadu_si512(w),
                 _mm512_loadu_si512(w + kLast * kVectorBytes)),
             ...);
        }
    }
    ((store(args, kPixel, 0, sum[kPixel][0]), store(args, kPixel, kLast, sum[kPixel][kLast])), ...);
  }

 private:
  MARROW_BF16 MARROW_INLINE static __m512 first(const LowPrecisionTileArgs& args, int vector) {
    return _mm512_loadu_ps(args.bias + vector * kLanes);
  }
  MARROW_BF16 MARROW_INLINE static void add(__m512 (&sum)[kVectors], const uint8_t* from, __m512i weight,
                                            __m512i last) {
    int dword;
    std::memcpy(&dword, from, sizeof dword);
    const __m512i pixel = _mm512_set1_epi32(dword);
    sum[0] = _mm512_dpbf16_ps(sum[0], reinterpret_cast<__m512bh>(pixel), reinterpret_cast<__m512bh>(weight));
    if constexpr (kVectors == 2)
      sum[1] = _mm512_dpbf16_ps(sum[1], reinterpret_cast<__m512bh>(pixel), reinterpret_cast<__m512bh>(last));
  }
  MARROW_BF16 MARROW_INLINE static void store(const LowPrecisionTileArgs& args, int pixel, int vector,
                                              __m512 sum) {
    _mm512_storeu_ps(args.dst + vector * args.dst_block + pixel * kLanes, sum);
  }
};

using Tile = void (*)(const LowPrecisionTileArgs&);
using TileRow = std::array<Tile, kTilePixels>;

// A row of tiles of 1 pixel and more.
template <template <int, int, class> class TileOf, int kVectors, int kStep, int... kPixel>
constexpr TileRow row(std::integer_sequence<int, kPixel...>) {
  return {TileOf<kVectors, kStep, std::make_integer_sequence<int, kPixel + 1>>::run...};
}

// Of pixels that lie `kPixelBytes` apart, twice as far, or anyhow.
template <template <int, int, class> class TileOf, int kPixelBytes>
void run_tile(const LowPrecisionTileArgs& args) {
  using Pixels = std::make_integer_sequence<int, kTilePixels>;
  static constexpr TileRow kTiles[3][kTileVectors] = {
      {row<TileOf, 1, 0>(Pixels()), row<TileOf, 2, 0>(Pixels())},
      {row<TileOf, 1, kPixelBytes>(Pixels()), row<TileOf, 2, kPixelBytes>(Pixels())},
      {row<TileOf, 1, 2 * kPixelBytes>(Pixels()), row<TileOf, 2, 2 * kPixelBytes>(Pixels())}};
  const int step = args.src_pixel == kPixelBytes ? 1 : args.src_pixel == 2 * kPixelBytes ? 2 : 0;
  kTiles[step][args.vectors - 1][static_cast<size_t>(args.pixels - 1)](args);
}

void use(LowPrecisionKernels& kernels, const char* name, Tile tile) {
  kernels.tile_pixels = kTilePixels;
  kernels.tile_vectors = kTileVectors;
  kernels.name = name;
  kernels.tile = tile;
}

}  // namespace

void add_vnni_kernels(Kernels& kernels) {
  if (kernels.level != cpu::SimdLevel::kAvx512) return;
  if (__builtin_cpu_supports("avx512vnni")) use(kernels.bytes, "vnni", run_tile<ByteTile, kLanes>);
  if (__builtin_cpu_supports("avx512bf16"))
    use(kernels.bfloat16, "dpbf16", run_tile<Bfloat16Tile, 2 * kLanes>);
}

#else

void add_vnni_kernels(Kernels&) {}

#endif

}  // namespace marrow::engine
