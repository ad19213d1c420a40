// What makes a kernel of floats one of pairs of bfloat16: AVX-512 BF16's product, which Highway 1.0 lacks.
// Included once a target: see Highway's guide on -inl.h files.
#if defined(MARROW_TRAIN_NATIVE_KERNELS_PAIR_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MARROW_TRAIN_NATIVE_KERNELS_PAIR_PRODUCTS_INL_H_
#undef MARROW_TRAIN_NATIVE_KERNELS_PAIR_PRODUCTS_INL_H_
#else
#define MARROW_TRAIN_NATIVE_KERNELS_PAIR_PRODUCTS_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

// sum + a[0] * b[0] + a[1] * b[1], in float32, of the pair in each dword. Its intrinsic would want functions
// of a target of their own.
struct PairProduct {
  using V = hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::ScalableTag<float>>;
  HWY_INLINE V operator()(V a, V b, V sum) const {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#endif
