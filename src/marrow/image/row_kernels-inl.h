// Included once a Highway target by row_kernels_simd.cpp.
#include <algorithm>

#include "hwy/highway.h"
#include "marrow/image/hsv_constants.h"
#include "marrow/image/row_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::image {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2

namespace hn = hwy::HWY_NAMESPACE;

using DInt = hn::ScalableTag<int32_t>;
using DFloat = hn::ScalableTag<float>;
using DByte = hn::Rebind<uint8_t, DInt>;
using VInt = hn::Vec<DInt>;
using VFloat = hn::Vec<DFloat>;

// round(numerator * 4096 / i) as in hsv_factors, finite for i = 0. Dividing is quicker than gathering, and
// single
// precision is enough: no quotient lies nearer to a half than its error.
HWY_INLINE VInt hsv_factor(int numerator, VInt i) {
  const DInt d;
  const DFloat df;
  const VFloat divisor = hn::ConvertTo(df, hn::Max(i, hn::Set(d, 1)));
  return hn::NearestInt(hn::Div(hn::Set(df, static_cast<float>(numerator << kHsvShift)), divisor));
}

// The plain form of each step is in hsv.cpp.
HWY_INLINE void to_hsv(VInt b, VInt g, VInt r, VInt& h, VInt& s, VInt& v) {
  const DInt d;
  const VInt half = hn::Set(d, kHsvHalf), zero = hn::Zero(d);
  v = hn::Max(b, hn::Max(g, r));
  const VInt spread = hn::Sub(v, hn::Min(b, hn::Min(g, r)));
  s = hn::ShiftRight<kHsvShift>(hn::Add(hn::Mul(spread, hsv_factor(255, v)), half));
  h = hn::Add(hn::Sub(r, g), hn::ShiftLeft<2>(spread));
  h = hn::IfThenElse(hn::Eq(v, g), hn::Add(hn::Sub(b, r), hn::Add(spread, spread)), h);
  h = hn::IfThenElse(hn::Eq(v, r), hn::Sub(g, b), h);
  h = hn::ShiftRight<kHsvShift>(hn::Add(hn::Mul(h, hsv_factor(kHues / 6, spread)), half));
  h = hn::Add(h, hn::IfThenElseZero(hn::Lt(h, zero), hn::Set(d, kHues)));
}

HWY_INLINE void to_bgr(VInt hue, VInt saturation, VInt value, VInt& b, VInt& g, VInt& r) {
  const DInt d;
  const DFloat df;
  const VFloat one = hn::Set(df, 1.0f), byte = hn::Set(df, 255.0f), share = hn::Set(df, 1.0f / 255);
  const VFloat position = hn::Mul(hn::ConvertTo(df, hue), hn::Set(df, 6.0f / kHues));
  const VInt sector = hn::ConvertTo(d, position);  // cuts off
  const VFloat f = hn::Sub(position, hn::ConvertTo(df, sector));
  const VFloat s = hn::Mul(hn::ConvertTo(df, saturation), share);
  const VFloat v = hn::Mul(hn::ConvertTo(df, value), share);
  const auto to_byte = [&](VFloat part) { return hn::ConvertTo(d, hn::Mul(part, byte)); };
  const VInt full = to_byte(v);
  const VInt p = to_byte(hn::Mul(v, hn::Sub(one, s)));
  const VInt q = to_byte(hn::Mul(v, hn::NegMulAdd(s, f, one)));
  const VInt t = to_byte(hn::Mul(v, hn::NegMulAdd(s, hn::Sub(one, f), one)));
  // Hues are below 180, so sectors are 0..5.
  const auto is0 = hn::Eq(sector, hn::Zero(d)), is1 = hn::Eq(sector, hn::Set(d, 1)),
             is2 = hn::Eq(sector, hn::Set(d, 2)), is3 = hn::Eq(sector, hn::Set(d, 3)),
             is4 = hn::Eq(sector, hn::Set(d, 4));
  b = hn::IfThenElse(hn::Or(is0, is1), p, hn::IfThenElse(is2, t, hn::IfThenElse(hn::Or(is3, is4), full, q)));
  g = hn::IfThenElse(is0, t, hn::IfThenElse(hn::Or(is1, is2), full, hn::IfThenElse(is3, q, p)));
  r = hn::IfThenElse(is1, q, hn::IfThenElse(hn::Or(is2, is3), p, hn::IfThenElse(is4, t, full)));
}

int adjust_hsv(uint8_t* row, int width, const HsvTables& tables) {
  const DInt d;
  const DByte db;
  const int count = width / kHsvVectorPixels * kHsvVectorPixels;
  for (int x = 0; x < count; x += static_cast<int>(hn::Lanes(d))) {
    uint8_t* pixels = row + 3 * x;
    hn::Vec<DByte> b8, g8, r8;
    hn::LoadInterleaved3(db, pixels, b8, g8, r8);
    VInt h, s, v, b, g, r;
    to_hsv(hn::PromoteTo(d, b8), hn::PromoteTo(d, g8), hn::PromoteTo(d, r8), h, s, v);
    to_bgr(hn::GatherIndex(d, tables.h.data(), h), hn::GatherIndex(d, tables.s.data(), s),
           hn::GatherIndex(d, tables.v.data(), v), b, g, r);
    hn::StoreInterleaved3(hn::DemoteTo(db, b), hn::DemoteTo(db, g), hn::DemoteTo(db, r), db, pixels);
  }
  return count;
}

int split(const uint8_t* src, int width, uint8_t* first, uint8_t* middle, uint8_t* last) {
  const hn::FixedTag<uint8_t, 16> d;
  int x = 0;
  for (; x + 16 <= width; x += 16) {
    hn::Vec<decltype(d)> a, b, c;
    hn::LoadInterleaved3(d, src + 3 * x, a, b, c);
    hn::StoreU(a, d, first + x);
    hn::StoreU(b, d, middle + x);
    hn::StoreU(c, d, last + x);
  }
  return x;
}

int mirror(uint8_t* row, int width) {
  const hn::FixedTag<uint8_t, 16> d;
  using V = hn::Vec<decltype(d)>;
  const V last_to_first = hn::Sub(hn::Set(d, 15), hn::Iota(d, 0));
  const auto reversed = [&](V v) { return hn::TableLookupBytes(v, last_to_first); };
  int x = 0;
  for (; 2 * (x + 16) <= width; x += 16) {
    uint8_t* left = row + 3 * x;
    uint8_t* right = row + 3 * (width - x - 16);
    V a0, a1, a2, b0, b1, b2;
    hn::LoadInterleaved3(d, left, a0, a1, a2);
    hn::LoadInterleaved3(d, right, b0, b1, b2);
    hn::StoreInterleaved3(reversed(a0), reversed(a1), reversed(a2), d, right);
    hn::StoreInterleaved3(reversed(b0), reversed(b1), reversed(b2), d, left);
  }
  return x;
}

// One pixel at a time: its three channels and both columns lie in 8 bytes of each row.
int warp(ConstPixels src, WarpPosition start, const WarpPosition* steps, int count, uint8_t* dst) {
  const hn::FixedTag<uint8_t, 8> d8;
  const hn::FixedTag<int16_t, 8> d16;
  const hn::FixedTag<int16_t, 4> d16_half;
  const hn::FixedTag<int32_t, 4> d32;
  const hn::FixedTag<uint8_t, 4> d8_half;
  const auto rounding = hn::Set(d32, 512);
  const auto row_bytes = static_cast<ptrdiff_t>(src.row_bytes);
  const ptrdiff_t last_read = row_bytes * (src.height - 1) + ptrdiff_t{3} * src.width - 8;
  int i = 0;
  for (; i + 1 < count; ++i, dst += 3) {
    const int32_t x = (start.x + steps[i].x) >> 5, y = (start.y + steps[i].y) >> 5;
    const ptrdiff_t offset = (y >> 5) * row_bytes + ptrdiff_t{3} * (x >> 5);
    if (offset + row_bytes > last_read) break;
    const auto fx = static_cast<int16_t>(x & 31), fy = static_cast<int16_t>(y & 31);
    const auto upper = hn::PromoteTo(d16, hn::LoadU(d8, src.data + offset));
    const auto lower = hn::PromoteTo(d16, hn::LoadU(d8, src.data + offset + row_bytes));
    const auto column = hn::Add(hn::Mul(upper, hn::Set(d16, static_cast<int16_t>(32 - fy))),
                                hn::Mul(lower, hn::Set(d16, fy)));
    const auto left = hn::PromoteTo(d32, hn::LowerHalf(d16_half, column));
    const auto right = hn::PromoteTo(d32, hn::LowerHalf(d16_half, hn::ShiftRightLanes<3>(d16, column)));
    const auto sum =
        hn::Add(hn::Mul(left, hn::Set(d32, 32 - fx)), hn::Add(hn::Mul(right, hn::Set(d32, fx)), rounding));
    hn::StoreU(hn::DemoteTo(d8_half, hn::ShiftRight<10>(sum)), d8_half, dst);
  }
  return i;
}

RowKernels make_row_kernels() {
  return {"avx2", adjust_hsv, split, mirror, warp};
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::image
HWY_AFTER_NAMESPACE();
