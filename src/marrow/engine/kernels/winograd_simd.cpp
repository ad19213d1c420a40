// The two transforms of Winograd's F(4x4, 3x3) around its 36 matrix products (steps/winograd.cpp).
#include "engine/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/winograd_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "engine/kernels/winograd_points.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using namespace winograd;

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillWinograd(Kernels&) {}

#else

constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// One dimension of B^T d, from six vectors to six.
struct Six {
  V v0, v1, v2, v3, v4, v5;
};

HWY_INLINE Six transform_input(const Six& d) {
  const D tag;
  const auto constant = [&](double value) { return hn::Set(tag, static_cast<float>(value)); };
  const V a2 = constant(kA2), b2 = constant(kB2), product = constant(kA2 * kB2), sum = constant(kA2 + kB2);
  const V even_a = hn::NegMulAdd(b2, d.v2, d.v4);
  const V odd_a = hn::Mul(constant(kA), hn::NegMulAdd(b2, d.v1, d.v3));
  const V even_b = hn::NegMulAdd(a2, d.v2, d.v4);
  const V odd_b = hn::Mul(constant(kB), hn::NegMulAdd(a2, d.v1, d.v3));
  return {hn::MulAdd(product, d.v0, hn::NegMulAdd(sum, d.v2, d.v4)),
          hn::Add(even_a, odd_a),
          hn::Sub(even_a, odd_a),
          hn::Add(even_b, odd_b),
          hn::Sub(even_b, odd_b),
          hn::MulAdd(product, d.v1, hn::NegMulAdd(sum, d.v3, d.v5))};
}

void winograd_input(const WinogradInputArgs& args) {
  const D tag;
  HWY_ALIGN float columns[6][6][kLanes];  // [x][transformed y]
  for (int x = 0; x < 6; ++x) {
    const float* src = args.src + x * kLanes;
    const auto at = [&](int y) { return hn::LoadU(tag, src + y * args.src_row); };
    const Six t = transform_input({at(0), at(1), at(2), at(3), at(4), at(5)});
    const V rows[6] = {t.v0, t.v1, t.v2, t.v3, t.v4, t.v5};
    for (int y = 0; y < 6; ++y) hn::Store(rows[y], tag, columns[x][y]);
  }
  for (int y = 0; y < 6; ++y) {
    const auto at = [&](int x) { return hn::Load(tag, columns[x][y]); };
    const Six t = transform_input({at(0), at(1), at(2), at(3), at(4), at(5)});
    float* dst = args.dst + 6 * y * args.dst_step;
    hn::StoreU(t.v0, tag, dst);
    hn::StoreU(t.v1, tag, dst + args.dst_step);
    hn::StoreU(t.v2, tag, dst + 2 * args.dst_step);
    hn::StoreU(t.v3, tag, dst + 3 * args.dst_step);
    hn::StoreU(t.v4, tag, dst + 4 * args.dst_step);
    hn::StoreU(t.v5, tag, dst + 5 * args.dst_step);
  }
}

// One dimension of A^T m, from six vectors to four.
struct Four {
  V v0, v1, v2, v3;
};

HWY_INLINE Four transform_output(const Six& m) {
  const D tag;
  const auto constant = [&](double value) { return hn::Set(tag, static_cast<float>(value)); };
  const V sum_a = hn::Add(m.v1, m.v2), difference_a = hn::Sub(m.v1, m.v2);
  const V sum_b = hn::Add(m.v3, m.v4), difference_b = hn::Sub(m.v3, m.v4);
  return {hn::Add(hn::Add(m.v0, sum_a), sum_b),
          hn::MulAdd(constant(kB), difference_b, hn::Mul(constant(kA), difference_a)),
          hn::MulAdd(constant(kB2), sum_b, hn::Mul(constant(kA2), sum_a)),
          hn::MulAdd(constant(kB * kB2), difference_b, hn::MulAdd(constant(kA * kA2), difference_a, m.v5))};
}

void winograd_output(const WinogradOutputArgs& args) {
  const D tag;
  HWY_ALIGN float rows[6][4][kLanes];  // [y][transformed x]
  for (int y = 0; y < 6; ++y) {
    const float* src = args.src + 6 * y * args.src_step;
    const auto at = [&](int x) { return hn::LoadU(tag, src + x * args.src_step); };
    const Four t = transform_output({at(0), at(1), at(2), at(3), at(4), at(5)});
    hn::Store(t.v0, tag, rows[y][0]);
    hn::Store(t.v1, tag, rows[y][1]);
    hn::Store(t.v2, tag, rows[y][2]);
    hn::Store(t.v3, tag, rows[y][3]);
  }
  const V bias = hn::LoadU(tag, args.bias);
  for (int x = 0; x < args.columns; ++x) {
    const auto at = [&](int y) { return hn::Load(tag, rows[y][x]); };
    const Four t = transform_output({at(0), at(1), at(2), at(3), at(4), at(5)});
    const V results[4] = {t.v0, t.v1, t.v2, t.v3};
    for (int y = 0; y < args.rows; ++y)
      hn::StoreU(hn::Add(results[y], bias), tag, args.dst + y * args.dst_row + x * kLanes);
  }
}

void FillWinograd(Kernels& kernels) {
  kernels.winograd_input = winograd_input;
  kernels.winograd_output = winograd_output;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow {

void add_winograd_kernels(Kernels& kernels) {
  MARROW_FILL_KERNELS(kernels, FillWinograd);
}

}  // namespace marrow
#endif
