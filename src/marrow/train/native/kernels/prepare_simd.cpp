// What a layer reads, made again from what is stored.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/prepare_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/activations-inl.h"
#include "marrow/train/native/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillPrepare(Kernels&) {}

#else

using namespace engine::HWY_NAMESPACE::activation;

template <class Activation>
void prepare(const PrepareArgs& args) {
  const D d;
  const V scale = hn::LoadU(d, args.scale), shift = hn::LoadU(d, args.shift);
  activate(
      Activation(), [&](int64_t i) { return hn::MulAdd(hn::LoadU(d, args.src + i), scale, shift); }, args.dst,
      args.pixels * kLanes, hn::Set(d, args.parameter));
}

void prepare_gradient(const PrepareGradientArgs& args) {
  const D d;
  const V factor = hn::LoadU(d, args.factor), slope = hn::LoadU(d, args.slope);
  const V centre = hn::LoadU(d, args.centre), offset = hn::LoadU(d, args.offset);
  for (int64_t i = 0; i < args.pixels * kLanes; i += kLanes) {
    const V deviation = hn::Sub(hn::LoadU(d, args.y + i), centre);
    const V sum = hn::MulAdd(hn::LoadU(d, args.dn + i), factor, hn::MulAdd(deviation, slope, offset));
    hn::StoreU(sum, d, args.dst + i);
  }
}

void FillPrepare(Kernels& kernels) {
  kernels.prepare = {prepare<Identity>, prepare<Relu>,      prepare<Relu6>,       prepare<LeakyRelu>,
                     prepare<Silu>,     prepare<HardSwish>, prepare<HardSigmoid>, prepare<Sigmoid>,
                     prepare<Tanh>,     prepare<Gelu>,      prepare<Mish>,        prepare<Elu>};
  kernels.prepare_gradient = prepare_gradient;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_prepare_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillPrepare)(kernels);
}

}  // namespace marrow::train::native
#endif
