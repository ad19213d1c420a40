// Convolutions: a description, and the table of implementations that compete for it.
#pragma once

#include <span>

#include "engine/step.h"
#include "graph/operation.h"

namespace marrow {

struct ConvDescription {
  int kernel = 1;
  int stride = 1;
  int dilation = 1;
  int groups = 1;
  Padding pad_y, pad_x;  // resolved: no SAME
  View src, dst;
  std::span<const float> weight;  // (out, in / groups, kernel, kernel)
  std::span<const float> bias;    // empty when there is none
  Epilogue epilogue;
  const Kernels* kernels = nullptr;
  ThreadPool* pool = nullptr;  // packs the weights; its size also decides how finely the work is cut
};

struct ConvImplementation {
  bool (*accepts)(const ConvDescription& conv);
  StepPtr (*make)(const ConvDescription& conv);
};

// Tried in order; the last accepts anything.
std::span<const ConvImplementation> conv_implementations();
StepPtr make_convolution(const ConvDescription& conv);

bool accepts_depthwise(const ConvDescription& conv);
StepPtr make_depthwise(const ConvDescription& conv);
bool accepts_winograd(const ConvDescription& conv);
StepPtr make_winograd(const ConvDescription& conv);
StepPtr make_direct(const ConvDescription& conv);

// Any kernel, stride and padding, bias as above; weight (in, out, kernel, kernel); no epilogue, groups or
// dilation.
StepPtr make_conv_transpose(const ConvDescription& conv);

}  // namespace marrow
