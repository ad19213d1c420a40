// The rows of a depthwise convolution, for steps that have its source in the arena or in their scratch.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

class DepthwiseRows {
 public:
  explicit DepthwiseRows(const ConvDescription& conv);  // packs the weights

  // Computes output rows [begin, end) of a block of channels, with the epilogue. src: pixel 0 of the block's
  // source row `first_row`; all rows that are read follow. scratch: of the thread.
  void run(const RunContext& context, int64_t image, int64_t block, int64_t begin, int64_t end,
           const float* src, int64_t first_row, float* scratch) const;
  // Of a run that reads so many source rows.
  int64_t scratch_floats(int64_t source_rows) const;

  // The first source row that output row y reads, and the one behind the last.
  int64_t first_row(int64_t y) const;
  int64_t end_row(int64_t y) const;

  const ConvDescription& conv() const { return conv_; }
  std::string text() const;  // for Step::kernel()

 private:
  void run_row(const RunContext& context, int64_t image, int64_t block, int64_t y, const float* src,
               int64_t first_row) const;
  int64_t row_floats() const;  // of a source row, with its padding if that is written out

  ConvDescription conv_;  // without weights
  bool pads_;             // copies source rows and writes their padding out
  Tensor weights_, bias_;
};

}  // namespace marrow::engine
