#include "marrow/train/native/kernels/kernels.h"

namespace marrow::train::native {

namespace {

Kernels make(cpu::SimdLevel level) {
  Kernels kernels;
  kernels.level = level;
  if (level == cpu::SimdLevel::kPlain) {
    add_plain_kernels(kernels);
    return kernels;
  }
  add_prepare_kernels(kernels);
  add_finish_kernels(kernels);
  add_multiply_kernels(kernels);
  add_outer_kernels(kernels);
  add_pair_kernels(kernels);
  add_lane_kernels(kernels);
  add_pool_kernels(kernels);
  add_winograd_kernels(kernels);
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

}  // namespace marrow::train::native
