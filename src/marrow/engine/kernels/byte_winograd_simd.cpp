// The transforms of byte_winograd.h.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/byte_winograd_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

// Where low_precision_tile_simd.cpp has their products.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Integers = hn::ScalableTag<int32_t>;
using Words = hn::ScalableTag<int16_t>;
using Bytes = hn::Rebind<uint8_t, Words>;
using BlockBytes = hn::Rebind<uint8_t, Floats>;
using W = hn::Vec<Words>;
using I = hn::Vec<Integers>;
constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
constexpr int kPatch = ByteWinograd::kPatch, kProducts = ByteWinograd::kProducts, kTile = 4;

// B d of one dimension.
HWY_INLINE void input(const W (&d)[kPatch], W (&t)[kProducts]) {
  const W a = hn::Sub(d[4], d[2]), b = hn::Sub(d[3], d[1]), twice_b = hn::Add(b, b);
  const W c = hn::Sub(d[4], hn::ShiftLeft<2>(d[2])), e = hn::Sub(d[3], hn::ShiftLeft<2>(d[1]));
  t[0] = hn::Add(hn::ShiftLeft<2>(hn::Sub(d[0], d[2])), a);
  t[1] = hn::Add(c, e);
  t[2] = hn::Sub(c, e);
  t[3] = hn::Add(a, twice_b);
  t[4] = hn::Sub(a, twice_b);
  t[5] = hn::Sub(hn::Sub(d[5], d[3]), hn::ShiftLeft<2>(b));
}

// A m of one dimension.
HWY_INLINE void output(const I (&m)[kProducts], I (&y)[kTile]) {
  const I sum_a = hn::Add(m[1], m[2]), difference_a = hn::Sub(m[1], m[2]);
  const I sum_b = hn::Add(m[3], m[4]), difference_b = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], sum_b), hn::ShiftLeft<2>(sum_a));
  y[1] = hn::Add(hn::Add(difference_a, difference_a), difference_b);
  y[2] = hn::Add(sum_a, sum_b);
  y[3] = hn::Add(hn::Add(difference_a, m[5]), hn::Add(difference_b, difference_b));
}

// Two blocks of a patch.
template <class Load>
HWY_INLINE void transform(const Load& load, int16_t* dst, int64_t dst_step) {
  const Words words;
  HWY_ALIGN int16_t columns[kPatch][kProducts][2 * kLanes];  // [x][transformed y]
  for (int x = 0; x < kPatch; ++x) {
    W d[kPatch];
    W t[kProducts];
#pragma GCC unroll 6
    for (int y = 0; y < kPatch; ++y) d[y] = load(y, x);
    input(d, t);
#pragma GCC unroll 6
    for (int i = 0; i < kProducts; ++i) hn::Store(t[i], words, columns[x][i]);
  }
  for (int i = 0; i < kProducts; ++i, dst += kProducts * dst_step) {
    W d[kPatch];
    W t[kProducts];
#pragma GCC unroll 6
    for (int x = 0; x < kPatch; ++x) d[x] = hn::Load(words, columns[x][i]);
    input(d, t);
#pragma GCC unroll 6
    for (int j = 0; j < kProducts; ++j) hn::StoreU(t[j], words, dst + j * dst_step);
  }
}

void winograd_input(const ByteWinogradInputArgs& args) {
  const W outside = hn::Set(Words(), args.zero_point);
  const int64_t row = args.src_row;
  const bool inside =
      args.first_row == 0 && args.end_row == kPatch && args.first_column == 0 && args.end_column == kPatch;
  for (int block = 0; block < args.blocks; block += 2) {
    const uint8_t* first = args.src + block * args.src_block;
    const uint8_t* second = block + 1 < args.blocks ? first + args.src_block : first;
    const auto pixel = [&](int y, int x) {
      const int64_t at = y * row + x * kLanes;
      return hn::PromoteTo(Words(), hn::Combine(Bytes(), hn::LoadU(BlockBytes(), second + at),
                                                hn::LoadU(BlockBytes(), first + at)));
    };
    int16_t* dst = args.dst + block * kLanes;
    if (inside)
      transform(pixel, dst, args.dst_step);
    else
      transform(
          [&](int y, int x) {
            const bool there =
                y >= args.first_row && y < args.end_row && x >= args.first_column && x < args.end_column;
            return there ? pixel(y, x) : outside;
          },
          dst, args.dst_step);
  }
}

// Y of the numerators of one row.
template <int kRow, int kColumn>
HWY_INLINE hn::Vec<Floats> quotient(I numerator) {
  const Integers d;
  const I inverse = hn::Set(d, static_cast<int32_t>(ByteWinograd::kInverseOfNine));
  constexpr int kShift = ByteWinograd::kShift[kRow] + ByteWinograd::kShift[kColumn];
  return hn::ConvertTo(Floats(), hn::ShiftRight<kShift>(hn::Mul(numerator, inverse)));
}

void winograd_output(const ByteWinogradOutputArgs& args) {
  const Integers d;
  const Floats floats;
  HWY_ALIGN int32_t rows[kProducts][kTile][kLanes];  // [product][x]
  for (int i = 0; i < kProducts; ++i) {
    I m[kProducts];
    I y[kTile];
#pragma GCC unroll 6
    for (int j = 0; j < kProducts; ++j) m[j] = hn::LoadU(d, args.src + (kProducts * i + j) * args.src_step);
    output(m, y);
#pragma GCC unroll 4
    for (int x = 0; x < kTile; ++x) hn::Store(y[x], d, rows[i][x]);
  }
  const auto scale = hn::LoadU(floats, args.scale), bias = hn::LoadU(floats, args.bias);
  const auto column = [&]<int kColumn>(std::integral_constant<int, kColumn>) {
    if (kColumn >= args.columns) return;
    I m[kProducts];
    I numerators[kTile];
#pragma GCC unroll 6
    for (int i = 0; i < kProducts; ++i) m[i] = hn::Load(d, rows[i][kColumn]);
    output(m, numerators);
    const hn::Vec<Floats> results[kTile] = {
        quotient<0, kColumn>(numerators[0]), quotient<1, kColumn>(numerators[1]),
        quotient<2, kColumn>(numerators[2]), quotient<3, kColumn>(numerators[3])};
    for (int y = 0; y < args.rows; ++y)
      hn::StoreU(hn::MulAdd(results[y], scale, bias), floats, args.dst + y * args.dst_row + kColumn * kLanes);
  };
  column(std::integral_constant<int, 0>());
  column(std::integral_constant<int, 1>());
  column(std::integral_constant<int, 2>());
  column(std::integral_constant<int, 3>());
}

void FillByteWinograd(Kernels& kernels) {
  kernels.byte_winograd.input = winograd_input;
  kernels.byte_winograd.output = winograd_output;
}

#else

void FillByteWinograd(Kernels&) {}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_byte_winograd_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillByteWinograd)(kernels);
}

}  // namespace marrow::engine
#endif
