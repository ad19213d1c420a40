#include "marrow/cpu/dispatch.h"
#include "marrow/image/row_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/image/row_kernels_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "marrow/image/row_kernels-inl.h"

#if HWY_ONCE

namespace marrow::image {

// Only for AVX2 with fused multiply-add, which OpenCV's colour conversion was compiled for: lower levels
// would round differently, and the levels above run these too.
RowKernels row_kernels(cpu::SimdLevel level) {
  using Make = RowKernels (*)();
  const Make make = cpu::choose<Make>(level, {.avx2 = HWY_CHOOSE_AVX2(make_row_kernels)});
  return make == nullptr ? RowKernels() : make();
}

}  // namespace marrow::image

#endif  // HWY_ONCE
