#include "marrow/engine/kernels/kernels.h"

namespace marrow {

namespace {

Kernels make(SimdLevel level) {
  Kernels kernels;
  kernels.level = level;
  if (level == SimdLevel::kPlain) {
    add_plain_kernels(kernels);
    add_plain_narrow_kernels(kernels);
    return kernels;
  }
  add_elementwise_kernels(kernels);
  add_conv_kernels(kernels);
  add_pointwise_kernels(kernels);
  add_winograd_kernels(kernels);
  add_window_kernels(kernels);
  add_reduction_kernels(kernels);
  add_layout_kernels(kernels);
  add_plain_narrow_kernels(kernels);
  add_narrow_kernels(kernels);
  add_vnni_kernels(kernels);
  return kernels;
}

template <SimdLevel kLevel>
const Kernels& made_once() {
  static const Kernels kernels = make(kLevel);
  return kernels;
}

}  // namespace

const Kernels& kernels_of(SimdLevel level) {
  switch (level) {
    case SimdLevel::kPlain:
      return made_once<SimdLevel::kPlain>();
    case SimdLevel::kSse4:
      return made_once<SimdLevel::kSse4>();
    case SimdLevel::kNeon:
      return made_once<SimdLevel::kNeon>();
    case SimdLevel::kAvx2:
      return made_once<SimdLevel::kAvx2>();
    case SimdLevel::kAvx512:
      return made_once<SimdLevel::kAvx512>();
  }
  return made_once<SimdLevel::kPlain>();
}

}  // namespace marrow
