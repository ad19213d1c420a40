// Steps on maps that are stored in fewer bits than float32 (engine/kernels/low_precision.h).
#pragma once

#include <vector>

#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/layout.h"

namespace marrow::engine {

// A dense convolution of src, which is of low precision (bytes: of so few terms that sums fit into int32);
// dst and what the epilogue joins may be of any element. bytes: weights are rounded to int8 with one scale an
// output channel; the sums are exact, everything after them is float32. bfloat16: sums are float32; 3x3
// convolutions of stride 1 go by Winograd's algorithm, whose transformed inputs and weights are rounded to
// bfloat16.
StepPtr make_low_precision_convolution(const ConvDescription& conv);

StepPtr make_low_precision_direct(const ConvDescription& conv);    // any
StepPtr make_low_precision_winograd(const ConvDescription& conv);  // 3x3, stride 1, no dilation, bfloat16
bool prefers_low_precision_winograd(const ConvDescription& conv);  // is one of those, and faster so

// Between any two elements; blocked maps of one shape.
StepPtr make_convert(const View& src, const View& dst, const Kernels& kernels);

// As in layout.h and pooling.h, on maps of low precision; src and dst of one element and scale.
StepPtr make_low_precision_gather(std::vector<View> sources, std::vector<ChannelSource> channels,
                                  const View& dst, int first_channel, const Kernels& kernels);
StepPtr make_low_precision_max_pool(const View& src, const View& dst, int kernel, int stride, int padding,
                                    const Kernels& kernels);
StepPtr make_low_precision_upsample(const View& src, const View& dst, int factor, const Kernels& kernels);

}  // namespace marrow::engine
