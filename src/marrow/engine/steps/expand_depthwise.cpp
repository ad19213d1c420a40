// A task takes a band of the output's rows and one group of the expansion's output channels. It expands the
// rows that some output rows read into the thread's scratch, runs the depthwise convolution on them from
// there, keeps the rows that the next ones read too, and goes on. Groups vary fastest: the source rows of a
// band are read from memory for the first group and from a cache for the others.
#include "marrow/engine/steps/expand_depthwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/depthwise.h"
#include "marrow/engine/steps/matrix_product.h"
#include "marrow/engine/steps/pointwise_layer.h"

namespace marrow::engine {
namespace {

// Of the source, a band reads at most as much as so many second-level caches hold. The rows stream from the
// third level for every group, which costs less than what smaller bands expand twice.
constexpr int64_t kSourceCaches = 4;

class ExpandDepthwise final : public Step {
 public:
  ExpandDepthwise(const ConvDescription& expand, const ConvDescription& depthwise);
  void run(const RunContext& context) const override;
  std::string kernel() const override;
  int64_t scratch_floats() const override {
    return most_vectors_ * rows_ * row_floats() + depthwise_.scratch_floats(rows_);
  }

 private:
  void cut_into_tasks();
  int64_t row_floats() const { return expand_.dst.width * kernels_.lanes; }
  void run_task(const RunContext& context, size_t group, int64_t image, int64_t band, float* rows) const;
  void expand_rows(const RunContext& context, size_t group, int64_t image, int64_t first, int64_t end,
                   float* rows) const;

  ConvDescription expand_;
  DepthwiseRows depthwise_;
  const Kernels& kernels_;
  PointwiseLayer layer_;      // the expansion
  int64_t rows_ = 0;          // of a block of the expanded map that the scratch holds
  int64_t bands_ = 1;         // tasks that the output's rows are cut into
  int64_t most_vectors_ = 0;  // of a group
};

ExpandDepthwise::ExpandDepthwise(const ConvDescription& expand, const ConvDescription& depthwise)
    : expand_(expand), depthwise_(depthwise), kernels_(*expand.kernels), layer_(expand) {
  for (const OutputGroup& group : layer_.groups)
    most_vectors_ = std::max<int64_t>(most_vectors_, group.vectors());
  cut_into_tasks();
  expand_.weight = {};
  expand_.bias = {};
  expand_.pool = nullptr;
}

void ExpandDepthwise::cut_into_tasks() {
  const ConvDescription& depthwise = depthwise_.conv();
  const int64_t row_bytes = row_floats() * int64_t{sizeof(float)};
  rows_ = std::clamp<int64_t>(cpu::cache_bytes(2) / 2 / (most_vectors_ * row_bytes), depthwise.kernel,
                              std::max<int64_t>(expand_.dst.height, depthwise.kernel));
  const auto groups = static_cast<int64_t>(layer_.groups.size());
  const int64_t wanted = kTasksPerThread * expand_.pool->threads() / (groups * expand_.dst.images) + 1;
  const int64_t source_bytes =
      (layer_.channels + kernels_.lanes - 1) / kernels_.lanes * expand_.dst.height * row_bytes;
  bands_ = std::clamp<int64_t>(std::max(wanted, source_bytes / (kSourceCaches * cpu::cache_bytes(2))), 1,
                               most_bands(depthwise.dst.height, depthwise.kernel, depthwise.stride));
}

void ExpandDepthwise::run(const RunContext& context) const {
  const auto groups = static_cast<int64_t>(layer_.groups.size());
  context.pool->parallel_for(expand_.dst.images * bands_ * groups, [&](int64_t task, int thread) {
    run_task(context, static_cast<size_t>(task % groups), task / groups / bands_, task / groups % bands_,
             context.thread_scratch(thread));
  });
}

// rows: [block][row][x], from row `first` of the expanded map on.
void ExpandDepthwise::run_task(const RunContext& context, size_t g, int64_t image, int64_t band,
                               float* rows) const {
  const OutputGroup& group = layer_.groups[g];
  const int64_t height = depthwise_.conv().dst.height;
  const int64_t last = (band + 1) * height / bands_;
  int64_t first = 0, end = 0;  // the rows that are there
  for (int64_t y = band * height / bands_; y < last;) {
    const int64_t begin = depthwise_.first_row(y);
    int64_t next = y + 1;
    while (next < last && depthwise_.end_row(next) - begin <= rows_) ++next;
    const int64_t kept = std::max<int64_t>(end - begin, 0);
    for (int v = 0; kept > 0 && v < group.vectors(); ++v) {
      float* block = rows + v * rows_ * row_floats();
      std::memmove(block, block + (begin - first) * row_floats(),
                   static_cast<size_t>(kept * row_floats()) * sizeof(float));
    }
    first = begin;
    end = std::max(depthwise_.end_row(next - 1), begin + kept);
    expand_rows(context, g, image, first + kept, end, rows + kept * row_floats());
    for (int v = 0; v < group.vectors(); ++v)
      depthwise_.run(context, image, group.first_block + v, y, next, rows + v * rows_ * row_floats(), first,
                     rows + most_vectors_ * rows_ * row_floats());
    y = next;
  }
}

void ExpandDepthwise::expand_rows(const RunContext& context, size_t g, int64_t image, int64_t first,
                                  int64_t end, float* rows) const {
  if (first >= end) return;
  const OutputGroup& group = layer_.groups[g];
  MatrixProduct product;
  product.src = context.arena + first * row_floats();
  product.offsets = layer_.offsets_of(image);
  product.channels = layer_.channels;
  product.weights = layer_.weights_of(g, 0);
  product.bias = layer_.bias_of(g);
  product.dst = rows;
  product.dst_block = rows_ * row_floats();
  product.pixels = (end - first) * expand_.dst.width;
  multiply(kernels_, group, product);
  for (int v = 0; v < group.vectors(); ++v)
    apply(expand_.epilogue, kernels_, rows + v * product.dst_block, nullptr, product.pixels * kernels_.lanes);
}

std::string ExpandDepthwise::kernel() const {
  return fmt::format("expand 1x1{}{} + {}", expand_.scattered.empty() ? "" : " scattered",
                     to_string(expand_.epilogue), depthwise_.text());
}

}  // namespace

int64_t most_bands(int64_t output_rows, int kernel, int stride) {
  constexpr int kParts = 4;  // of a band, for one that is expanded twice
  const int64_t twice = std::max(kernel - stride, 0);
  return std::max<int64_t>(output_rows / std::max<int64_t>((kParts * twice + stride - 1) / stride, 1), 1);
}

bool accepts_expand_depthwise(const ConvDescription& expand, const ConvDescription& depthwise) {
  return accepts_pointwise(expand) && expand.epilogue.join == Epilogue::Join::kNone &&
         accepts_depthwise(depthwise) && depthwise.dilation == 1;
}

StepPtr make_expand_depthwise(const ConvDescription& expand, const ConvDescription& depthwise) {
  return std::make_unique<ExpandDepthwise>(expand, depthwise);
}

}  // namespace marrow::engine
