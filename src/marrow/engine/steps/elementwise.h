// Steps that map each number, or each number and its partner, to one number.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/step.h"

namespace marrow::engine {

// dst = epilogue(src). The views are of one shape and layout; with an empty epilogue this is a copy.
StepPtr make_elementwise(const View& src, const View& dst, const Epilogue& epilogue, const Kernels& kernels);

// dst = after(src * gate), gate (N, C, 1, 1), blocked.
StepPtr make_gate(const View& src, const View& gate, const View& dst, const Stage& after,
                  const Kernels& kernels);

// dst = after(src * scale + shift) per channel; both tensors (channels). A planar view must have one pixel.
StepPtr make_affine(const View& src, const View& dst, const Tensor& scale, const Tensor& shift,
                    const Stage& after, const Kernels& kernels);

}  // namespace marrow::engine
