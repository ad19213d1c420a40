// Steps on maps that are stored in fewer bits than float32 (engine/kernels/low_precision.h).
#pragma once

#include <vector>

#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/layout.h"

namespace marrow::engine {

// Dense convolutions of a src of low precision (bytes: of so few terms that sums fit into int32); dst and
// what the epilogue joins may be of any element. bytes: weights are rounded to int8 with one scale an output
// channel; the sums are exact, everything after them is float32. bfloat16: sums are float32.
bool accepts_low_precision(const ConvDescription& conv);
StepPtr make_low_precision_direct(const ConvDescription& conv);
// 3x3 convolutions of bytes and of stride 1, where the kernels multiply 16 bits and all sums fit 26 bits; the
// same results as the direct way.
bool accepts_byte_winograd(const ConvDescription& conv);
StepPtr make_byte_winograd(const ConvDescription& conv);
// 3x3 convolutions of bfloat16 and of stride 1, where it is faster; transformed inputs and weights are
// rounded to bfloat16.
bool accepts_bfloat16_winograd(const ConvDescription& conv);
StepPtr make_bfloat16_winograd(const ConvDescription& conv);

// Between any two elements; blocked maps of one shape.
StepPtr make_convert(const View& src, const View& dst, const Kernels& kernels);

// What the factories of layout.h and pooling.h make of maps of low precision.
StepPtr make_low_precision_gather(std::vector<View> sources, std::vector<ChannelSource> channels,
                                  const View& dst, int first_channel, const Kernels& kernels);
StepPtr make_low_precision_max_pool(const View& src, const View& dst, int kernel, int stride, int padding,
                                    const Kernels& kernels);
StepPtr make_low_precision_upsample(const View& src, const View& dst, int factor, const Kernels& kernels);

}  // namespace marrow::engine
