// A 1x1 convolution and the depthwise one that alone reads it, as in inverted residuals: the wide map between
// them is computed some rows at a time and never lies in memory as a whole.
#pragma once

#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

// Whether one step may compute both. expand: its dst has a shape and no place. depthwise: its src is that.
bool accepts_expand_depthwise(const ConvDescription& expand, const ConvDescription& depthwise);

// Into how many bands of rows, each a task, an image's output may be cut: few enough that of what is expanded
// at most a fifth is expanded twice, since rows at the bounds belong to two bands.
int64_t most_bands(int64_t output_rows, int kernel, int stride);

// Each number is the same chain of operations as in the two steps.
StepPtr make_expand_depthwise(const ConvDescription& expand, const ConvDescription& depthwise);

}  // namespace marrow::engine
