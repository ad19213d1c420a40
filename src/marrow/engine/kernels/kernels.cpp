#include "marrow/engine/kernels/kernels.h"

namespace marrow::engine {

namespace {

Kernels make(cpu::SimdLevel level) {
  Kernels kernels;
  kernels.level = level;
  if (level == cpu::SimdLevel::kPlain) {
    add_plain_kernels(kernels);
    add_plain_low_precision_kernels(kernels);
    return kernels;
  }
  add_elementwise_kernels(kernels);
  add_conv_kernels(kernels);
  add_pointwise_kernels(kernels);
  add_packed_kernels(kernels);
  add_winograd_kernels(kernels);
  add_window_kernels(kernels);
  add_reduction_kernels(kernels);
  add_layout_kernels(kernels);
  add_plain_low_precision_kernels(kernels);
  add_low_precision_kernels(kernels);
  add_low_precision_tiles(kernels);
  add_byte_winograd_kernels(kernels);
  add_vnni_kernels(kernels);
  return kernels;
}

template <cpu::SimdLevel kLevel>
const Kernels& made_once() {
  static const Kernels kernels = make(kLevel);
  return kernels;
}

}  // namespace

const Kernels& kernels_of(cpu::SimdLevel level) {
  switch (level) {
    case cpu::SimdLevel::kPlain:
      return made_once<cpu::SimdLevel::kPlain>();
    case cpu::SimdLevel::kSse4:
      return made_once<cpu::SimdLevel::kSse4>();
    case cpu::SimdLevel::kNeon:
      return made_once<cpu::SimdLevel::kNeon>();
    case cpu::SimdLevel::kAvx2:
      return made_once<cpu::SimdLevel::kAvx2>();
    case cpu::SimdLevel::kAvx512:
      return made_once<cpu::SimdLevel::kAvx512>();
  }
  return made_once<cpu::SimdLevel::kPlain>();
}

}  // namespace marrow::engine
