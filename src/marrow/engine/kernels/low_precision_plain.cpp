// The kernels of low_precision.h in plain C++, for any number of lanes: what the others are tested against,
// and what runs where no other tile of bytes or bfloat16 does.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "marrow/base/tensor.h"
#include "marrow/engine/kernels/kernels.h"

namespace marrow::engine {
namespace {

constexpr int kPixels = 4;
constexpr int kVectors = 1;

// Adds src * weights to sum[pixel][lane].
template <int kLanes, class Number, class Weight, class Sum, class Widen>
void accumulate(const LowPrecisionTileArgs& args, Sum (&sum)[kPixels][kLanes], const Widen& widen) {
  constexpr int kChannels = 4 / sizeof(Weight);
  const auto* w = static_cast<const Weight*>(args.weights);
  for (int block = 0; block < args.blocks; ++block)
    for (int row = 0; row < args.rows; ++row)
      for (int tap = 0; tap < args.taps; ++tap) {
        const uint8_t* x = args.src + block * args.src_block + row * args.src_row + tap * args.src_tap;
        const int dwords = block + 1 == args.blocks ? args.last_dwords : args.dwords;
        for (int dword = 0; dword < dwords; ++dword, x += 4, w += kLanes * kChannels)
          for (int p = 0; p < args.pixels; ++p) {
            Number pixel[kChannels];
            std::memcpy(pixel, x + p * args.src_pixel, 4);
            for (int lane = 0; lane < kLanes; ++lane)
              for (int c = 0; c < kChannels; ++c)
                sum[p][lane] += widen(pixel[c]) * widen(w[lane * kChannels + c]);
          }
      }
}

template <int kLanes>
void byte_tile(const LowPrecisionTileArgs& args) {
  int32_t sum[kPixels][kLanes];
  for (auto& pixel : sum) std::copy_n(args.start, kLanes, pixel);
  accumulate<kLanes, uint8_t, int8_t>(args, sum, [](auto number) { return int32_t{number}; });
  for (int p = 0; p < args.pixels; ++p)
    for (int lane = 0; lane < kLanes; ++lane)
      args.dst[p * kLanes + lane] =
          std::fma(static_cast<float>(sum[p][lane]), args.scale[lane], args.bias[lane]);
}

template <int kLanes>
void bfloat16_tile(const LowPrecisionTileArgs& args) {
  float sum[kPixels][kLanes] = {};
  accumulate<kLanes, uint16_t, uint16_t>(
      args, sum, [](uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); });
  for (int p = 0; p < args.pixels; ++p)
    for (int lane = 0; lane < kLanes; ++lane) args.dst[p * kLanes + lane] = sum[p][lane] + args.bias[lane];
}

void float32_to_bytes(const float* src, ByteScale scale, void* dst, int64_t count) {
  auto* bytes = static_cast<uint8_t*>(dst);
  const float inverse = 1 / scale.scale;
  const auto lowest = static_cast<float>(-scale.zero_point), highest = lowest + 255;
  for (int64_t i = 0; i < count; ++i) {
    const float x = src[i] * inverse;
    const float clamped = x > lowest ? std::min(x, highest) : lowest;  // NaN is not above anything
    bytes[i] = static_cast<uint8_t>(static_cast<int>(std::nearbyint(clamped)) + scale.zero_point);
  }
}

template <void (*kStore)(const float*, ByteScale, void*, int64_t), class Number>
void silu_from_float32(const float* src, ByteScale scale, void* dst, int64_t count) {
  auto* numbers = static_cast<Number*>(dst);
  for (int64_t i = 0; i < count; ++i) {
    const float y = src[i] / (1 + std::exp(-src[i]));
    kStore(&y, scale, numbers + i, 1);
  }
}

void bytes_to_float32(const void* src, ByteScale scale, float* dst, int64_t count) {
  const auto* bytes = static_cast<const uint8_t*>(src);
  for (int64_t i = 0; i < count; ++i)
    dst[i] = static_cast<float>(int{bytes[i]} - scale.zero_point) * scale.scale;
}

void float32_to_bfloat16(const float* src, ByteScale, void* dst, int64_t count) {
  auto* halves = static_cast<uint16_t*>(dst);
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint32_t>(src[i]);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    // Half of the last place kept, less one where that place is even.
    halves[i] = static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

void bfloat16_to_float32(const void* src, ByteScale, float* dst, int64_t count) {
  const auto* halves = static_cast<const uint16_t*>(src);
  for (int64_t i = 0; i < count; ++i) dst[i] = std::bit_cast<float>(uint32_t{halves[i]} << 16);
}

template <int kLanes>
void add(Kernels& kernels) {
  kernels.bytes = {kPixels,           kVectors,         "plain",
                   byte_tile<kLanes>, float32_to_bytes, silu_from_float32<float32_to_bytes, uint8_t>,
                   bytes_to_float32};
  kernels.bfloat16 = {kPixels,
                      kVectors,
                      "plain",
                      bfloat16_tile<kLanes>,
                      float32_to_bfloat16,
                      silu_from_float32<float32_to_bfloat16, uint16_t>,
                      bfloat16_to_float32};
}

}  // namespace

void add_plain_low_precision_kernels(Kernels& kernels) {
  if (kernels.lanes == 4) add<4>(kernels);
  if (kernels.lanes == 8) add<8>(kernels);
  if (kernels.lanes == 16) add<16>(kernels);
}

}  // namespace marrow::engine
