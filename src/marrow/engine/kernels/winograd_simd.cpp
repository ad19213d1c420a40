// Winograd's transforms around its matrix products (steps/winograd.cpp).
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/winograd_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/kernels/winograd_points.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillWinograd(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
using D = hn::ScalableTag<float>;
using Halves = hn::Rebind<uint16_t, D>;
using V = hn::Vec<D>;
constexpr int kWideLanes = kLanes / 2;
using WideTag = hn::ScalableTag<double>;
using Wide = hn::Vec<WideTag>;

HWY_INLINE V constant(double value) {
  return hn::Set(D(), static_cast<float>(value));
}

HWY_INLINE V load(const float* src) {
  return hn::LoadU(D(), src);
}
HWY_INLINE V load(const uint16_t* src) {
  const hn::RebindToUnsigned<D> bits;
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(Halves(), src))));
}
HWY_INLINE void store(V x, float* dst) {
  hn::StoreU(x, D(), dst);
}
// Ties away from zero: a shorter way than to even. NaN stays, for its last 16 bits are 0 where src is
// bfloat16.
HWY_INLINE void store(V x, uint16_t* dst) {
  const hn::RebindToUnsigned<D> bits;
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::BitCast(bits, x), hn::Set(bits, 0x8000)));
  hn::StoreU(hn::TruncateTo(Halves(), rounded), Halves(), dst);
}

// One dimension of the transforms: B^T d of a patch's pixels, A^T m of the products.
struct UnitForm : winograd::Unit {
  static HWY_INLINE void input(const V (&d)[6], V (&t)[6]) {
    const V a2 = constant(kA2), b2 = constant(kB2), product = constant(kA2 * kB2), sum = constant(kA2 + kB2);
    const V a = constant(kA), b = constant(kB);
    const V even_a = hn::NegMulAdd(b2, d[2], d[4]), odd_a = hn::NegMulAdd(b2, d[1], d[3]);
    const V even_b = hn::NegMulAdd(a2, d[2], d[4]), odd_b = hn::NegMulAdd(a2, d[1], d[3]);
    t[0] = hn::MulAdd(product, d[0], hn::NegMulAdd(sum, d[2], d[4]));
    t[1] = hn::MulAdd(a, odd_a, even_a);
    t[2] = hn::NegMulAdd(a, odd_a, even_a);
    t[3] = hn::MulAdd(b, odd_b, even_b);
    t[4] = hn::NegMulAdd(b, odd_b, even_b);
    t[5] = hn::MulAdd(product, d[1], hn::NegMulAdd(sum, d[3], d[5]));
  }
  static HWY_INLINE void output(const V (&m)[6], V (&y)[4]) {
    const V sum_a = hn::Add(m[1], m[2]), difference_a = hn::Sub(m[1], m[2]);
    const V sum_b = hn::Add(m[3], m[4]), difference_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(hn::Add(m[0], sum_a), sum_b);
    y[1] = hn::MulAdd(constant(kB), difference_b, hn::Mul(constant(kA), difference_a));
    y[2] = hn::MulAdd(constant(kB2), sum_b, hn::Mul(constant(kA2), sum_a));
    y[3] = hn::MulAdd(constant(kB * kB2), difference_b, hn::MulAdd(constant(kA * kA2), difference_a, m[5]));
  }
};

struct StridedForm : winograd::Strided {
  static HWY_INLINE void input(const V (&d)[9], V (&t)[9]) {
    const V a2 = constant(kA2), b2 = constant(kB2), product = constant(kA2 * kB2), sum = constant(kA2 + kB2);
    const V a = constant(kA), b = constant(kB);
    const V even_a = hn::NegMulAdd(b2, d[0], d[4]), odd_a = hn::NegMulAdd(b2, d[2], d[6]);
    const V even_b = hn::NegMulAdd(a2, d[0], d[4]), odd_b = hn::NegMulAdd(a2, d[2], d[6]);
    t[0] = hn::MulAdd(a, even_a, odd_a);
    t[1] = hn::NegMulAdd(a, even_a, odd_a);
    t[2] = hn::MulAdd(b, even_b, odd_b);
    t[3] = hn::NegMulAdd(b, even_b, odd_b);
    t[4] = hn::MulAdd(product, d[0], hn::NegMulAdd(sum, d[4], d[8]));
    t[5] = d[1];
    t[6] = d[3];
    t[7] = d[5];
    t[8] = d[7];
  }
  static HWY_INLINE void output(const V (&m)[9], V (&y)[4]) {
    const V sum_a = hn::Add(m[0], m[1]), difference_a = hn::Sub(m[0], m[1]);
    const V sum_b = hn::Add(m[2], m[3]), difference_b = hn::Sub(m[2], m[3]);
    y[0] = hn::Add(hn::Add(sum_a, sum_b), m[5]);
    y[1] = hn::MulAdd(constant(kB), difference_b, hn::MulAdd(constant(kA), difference_a, m[6]));
    y[2] = hn::MulAdd(constant(kB2), sum_b, hn::MulAdd(constant(kA2), sum_a, m[7]));
    y[3] = hn::MulAdd(constant(kB * kB2), difference_b,
                      hn::MulAdd(constant(kA * kA2), difference_a, hn::Add(m[4], m[8])));
  }
};

template <class Form, class Number>
void winograd_input(const WinogradInputArgs<Number>& args) {
  constexpr int kPatch = Form::kPatch, kProducts = Form::kProducts;
  constexpr int kStep = winograd::kTile * Form::kStride;
  constexpr int kMostTiles = 6;  // at a time: their columns stay in the first-level cache
  const D tag;
  const auto rows = args.rows;  // copies: what is stored might change the arguments
  const int64_t step = args.dst_step;
  const int first_column = args.first_column, end_column = args.end_column;
  HWY_ALIGN float columns[(kMostTiles - 1) * kStep + kPatch][kProducts][kLanes];  // [x][transformed y]
  for (int first = 0; first < args.tiles; first += kMostTiles) {
    const int tiles = std::min(kMostTiles, args.tiles - first);
    const int begin = first * kStep, count = (tiles - 1) * kStep + kPatch;
    for (int x = 0; x < count; ++x) {
      if (begin + x >= first_column && begin + x < end_column) {
        V d[kPatch];
        V t[kProducts];
#pragma GCC unroll 9
        for (int y = 0; y < kPatch; ++y)
          d[y] = load(rows[static_cast<size_t>(y)] + int64_t{begin + x} * kLanes);
        Form::input(d, t);
#pragma GCC unroll 9
        for (int i = 0; i < kProducts; ++i) hn::Store(t[i], tag, columns[x][i]);
      } else {
#pragma GCC unroll 9
        for (int i = 0; i < kProducts; ++i) hn::Store(hn::Zero(tag), tag, columns[x][i]);
      }
    }
    for (int tile = 0; tile < tiles; ++tile) {
      Number* dst = args.dst + int64_t{first + tile} * kLanes;
      for (int i = 0; i < kProducts; ++i) {
        V d[kPatch];
        V t[kProducts];
#pragma GCC unroll 9
        for (int x = 0; x < kPatch; ++x) d[x] = hn::Load(tag, columns[tile * kStep + x][i]);
        Form::input(d, t);
#pragma GCC unroll 9
        for (int j = 0; j < kProducts; ++j, dst += step) store(t[j], dst);
      }
    }
  }
}

template <class Form>
void winograd_output(const WinogradOutputArgs& args) {
  constexpr int kProducts = Form::kProducts, kTile = winograd::kTile;
  const D tag;
  HWY_ALIGN float rows[kProducts][kTile][kLanes];  // [product][x]
  const V bias = hn::LoadU(tag, args.bias);
  const int64_t step = args.src_step, dst_row = args.dst_row;
  for (int first = 0, tile = 0; first < args.columns; first += kTile, ++tile) {
    const float* src = args.src + int64_t{tile} * kLanes;
    for (int i = 0; i < kProducts; ++i) {
      V m[kProducts];
      V y[kTile];
#pragma GCC unroll 9
      for (int j = 0; j < kProducts; ++j, src += step) m[j] = hn::LoadU(tag, src);
      Form::output(m, y);
#pragma GCC unroll 4
      for (int x = 0; x < kTile; ++x) hn::Store(y[x], tag, rows[i][x]);
    }
    const int columns = std::min(kTile, args.columns - first);
    for (int x = 0; x < columns; ++x) {
      V m[kProducts];
      V results[kTile];
#pragma GCC unroll 9
      for (int i = 0; i < kProducts; ++i) m[i] = hn::Load(tag, rows[i][x]);
      Form::output(m, results);
      float* dst = args.dst + int64_t{first + x} * kLanes;
      if (args.rows == kTile) {
#pragma GCC unroll 4
        for (int y = 0; y < kTile; ++y, dst += dst_row) hn::StoreU(hn::Add(results[y], bias), tag, dst);
      } else {
        for (int y = 0; y < args.rows; ++y, dst += dst_row) hn::StoreU(hn::Add(results[y], bias), tag, dst);
      }
    }
  }
}

// G x of a column of three, each a vector of kernels.
template <class Form>
HWY_INLINE void transform_column(const Wide (&x)[3], Wide (&t)[Form::kClasses]) {
  const WideTag wide;
#pragma GCC unroll 6
  for (int i = 0; i < Form::kClasses; ++i) {
    t[i] = hn::Zero(wide);
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j)
      if (Form::kWeight[i][j] != 0) t[i] = hn::MulAdd(hn::Set(wide, Form::kWeight[i][j]), x[j], t[i]);
  }
}

// The products of an input channel lie far apart, in the same sets of the caches: each is written in whole
// lines, past the caches. Other threads see them from the end of the pool's region on, as atomic operations
// order such writes too.
template <class Form>
void winograd_weights(const WinogradWeightArgs& args) {
  constexpr int kClasses = Form::kClasses;
  const D tag;
  const WideTag wide;
  const hn::Rebind<float, WideTag> narrow;
  HWY_ALIGN double kernels[9][kWideLanes];  // some side by side
  HWY_ALIGN float products[kClasses * kClasses][kMaxTileHalves / 2 * kLanes];
  for (int first = 0; first < args.count; first += kWideLanes) {
    for (int i = 0; i < kWideLanes; ++i) {
      const float* kernel = args.kernels[first + i];
#pragma GCC unroll 9
      for (int tap = 0; tap < 9; ++tap)
        kernels[tap][i] = kernel != nullptr ? double{kernel[args.offset + tap]} : 0;
    }
    Wide half[3][kClasses];  // [x][class down]
#pragma GCC unroll 3
    for (int x = 0; x < 3; ++x)
      transform_column<Form>(
          {hn::Load(wide, kernels[x]), hn::Load(wide, kernels[3 + x]), hn::Load(wide, kernels[6 + x])},
          half[x]);
#pragma GCC unroll 6
    for (int i = 0; i < kClasses; ++i) {
      Wide row[kClasses];
      transform_column<Form>({half[0][i], half[1][i], half[2][i]}, row);
#pragma GCC unroll 6
      for (int j = 0; j < kClasses; ++j)
        hn::Store(hn::DemoteTo(narrow, row[j]), narrow, products[i * kClasses + j] + first);
    }
  }
  float* dst = args.dst;
  for (int p = 0; p < kClasses * kClasses; ++p, dst += args.dst_step)
    for (int slot = 0; slot < args.count; slot += kLanes)
      hn::Stream(hn::Load(tag, products[p] + slot), tag, dst + slot);
}

void FillWinograd(Kernels& kernels) {
  kernels.winograd = {
      {{winograd_input<UnitForm, float>, winograd_output<UnitForm>, winograd_weights<winograd::Unit>},
       {winograd_input<StridedForm, float>, winograd_output<StridedForm>,
        winograd_weights<winograd::Strided>}}};
  kernels.winograd_bfloat16_input = winograd_input<UnitForm, uint16_t>;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_winograd_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillWinograd)(kernels);
}

}  // namespace marrow::engine
#endif
