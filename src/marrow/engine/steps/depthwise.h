// The rows of a depthwise convolution, for steps that have its source in the arena or in their scratch.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

class DepthwiseRows {
 public:
  explicit DepthwiseRows(const ConvDescription& conv);  // packs the weights

  // Computes output row y of a block of channels, with the epilogue. src: pixel 0 of the block's source row
  // `first_row`; all rows that y reads follow.
  void run(const RunContext& context, int64_t image, int64_t block, int64_t y, const float* src,
           int64_t first_row) const;

  const ConvDescription& conv() const { return conv_; }
  std::string text() const;  // for Step::kernel()

 private:
  ConvDescription conv_;  // without weights
  Tensor weights_, bias_;
};

}  // namespace marrow::engine
