// Depthwise convolution: one input and one output channel a group, a row of one channel block at a time.
#include "marrow/engine/steps/depthwise.h"

#include <fmt/format.h>

#include <algorithm>

namespace marrow::engine {
namespace {

// Whether narrow rows take so much less time with their padding written out that the copy pays.
bool padding_pays(const ConvDescription& conv) {
  const int64_t width = conv.dst.width;
  if (!conv.kernels->has_padded_tiles || conv.dilation != 1 || padded_tile(static_cast<int>(width)) == 0)
    return false;
  if (conv.kernel == 3) return conv.stride == 1 && width <= kPaddedTiles[1];
  return (conv.kernel == 5 || conv.kernel == 7) && conv.stride <= 2;
}

}  // namespace

DepthwiseRows::DepthwiseRows(const ConvDescription& conv) : conv_(conv), pads_(padding_pays(conv)) {
  const int64_t lanes = conv.kernels->lanes;
  const int64_t area = int64_t{conv.kernel} * conv.kernel;
  const int64_t blocks = conv.dst.blocks(conv.kernels->lanes);
  weights_ = Tensor({blocks * area * lanes});
  bias_ = Tensor({blocks * lanes});
  for (int64_t c = 0; c < conv.dst.channels; ++c)
    for (int64_t tap = 0; tap < area; ++tap)
      weights_.values()[static_cast<size_t>((c / lanes * area + tap) * lanes + c % lanes)] =
          conv.weight[static_cast<size_t>(c * area + tap)];
  std::ranges::copy(conv.bias, bias_.values().begin());
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

int64_t DepthwiseRows::row_floats() const {
  const int64_t padding = pads_ ? conv_.pad_x.before + conv_.pad_x.after : 0;
  return (conv_.src.width + padding) * conv_.kernels->lanes;
}

int64_t DepthwiseRows::scratch_floats(int64_t source_rows) const {
  return pads_ ? source_rows * row_floats() : 0;
}

int64_t DepthwiseRows::first_row(int64_t y) const {
  return std::clamp<int64_t>(y * conv_.stride - conv_.pad_y.before, 0, conv_.src.height);
}

int64_t DepthwiseRows::end_row(int64_t y) const {
  const int64_t reach = int64_t{conv_.dilation} * (conv_.kernel - 1);
  return std::clamp<int64_t>(y * conv_.stride - conv_.pad_y.before + reach + 1, 0, conv_.src.height);
}

void DepthwiseRows::run(const RunContext& context, int64_t image, int64_t block, int64_t begin, int64_t end,
                        const float* src, int64_t first, float* scratch) const {
  if (pads_) {
    const int64_t lanes = conv_.kernels->lanes;
    float* at = scratch;
    for (int64_t row = first_row(begin); row < end_row(end - 1); ++row) {
      at = std::fill_n(at, conv_.pad_x.before * lanes, 0.0f);
      at = std::copy_n(src + (row - first) * conv_.src.width * lanes, conv_.src.width * lanes, at);
      at = std::fill_n(at, conv_.pad_x.after * lanes, 0.0f);
    }
    src = scratch;
    first = first_row(begin);
  }
  for (int64_t y = begin; y < end; ++y) run_row(context, image, block, y, src, first);
}

void DepthwiseRows::run_row(const RunContext& context, int64_t image, int64_t block, int64_t y,
                            const float* src, int64_t first_row) const {
  const Kernels& kernels = *conv_.kernels;
  const int lanes = kernels.lanes;
  const auto at = [&](const View& view) {
    return image * view.image_stride + block * view.block_floats(lanes) + y * view.width * lanes;
  };
  const int64_t in_y = y * conv_.stride - conv_.pad_y.before;
  const int64_t first = in_y < 0 ? (-in_y + conv_.dilation - 1) / conv_.dilation : 0;
  const int64_t room = conv_.src.height - 1 - in_y;
  const int64_t end = room < 0 ? 0 : std::min<int64_t>(conv_.kernel, room / conv_.dilation + 1);
  const int64_t area = int64_t{conv_.kernel} * conv_.kernel;

  DepthwiseRowArgs args;
  args.rows = static_cast<int>(std::max<int64_t>(end - first, 0));
  args.src = args.rows == 0 ? src : src + (in_y + first * conv_.dilation - first_row) * row_floats();
  args.src_row = conv_.dilation * row_floats();
  args.width = static_cast<int>(row_floats() / lanes);
  args.taps = conv_.kernel;
  args.stride = conv_.stride;
  args.dilation = conv_.dilation;
  args.pad_before = pads_ ? 0 : conv_.pad_x.before;
  args.weights = weights_.values().data() + (block * area + first * conv_.kernel) * lanes;
  args.bias = bias_.values().data() + block * lanes;
  args.dst = context.write(conv_.dst) + at(conv_.dst);
  args.out_width = static_cast<int>(conv_.dst.width);
  kernels.depthwise_row(args);
  if (conv_.epilogue.empty()) return;
  const bool joins = conv_.epilogue.join != Epilogue::Join::kNone;
  const View& other = conv_.epilogue.other;
  apply(conv_.epilogue, kernels, args.dst, joins ? context.read(other) + at(other) : nullptr,
        conv_.dst.width * lanes);
}

std::string DepthwiseRows::text() const {
  return fmt::format("depthwise {0}x{0}/{1}{2}", conv_.kernel, conv_.stride, to_string(conv_.epilogue));
}

namespace {

class Depthwise final : public Step {
 public:
  explicit Depthwise(const ConvDescription& conv) : rows_(conv) {}

  void run(const RunContext& context) const override {
    const View &src = rows_.conv().src, &dst = rows_.conv().dst;
    const int lanes = rows_.conv().kernels->lanes;
    const int64_t blocks = dst.blocks(lanes);
    const int64_t bands = std::clamp<int64_t>(dst.height / 4, 1, 2 * context.pool->threads());
    context.pool->parallel_for(dst.images * bands * blocks, [&](int64_t task, int thread) {
      const int64_t image = task / blocks / bands;
      const int64_t block = task % blocks;
      const int64_t band = task / blocks % bands;
      const float* map = context.read(src) + image * src.image_stride + block * src.block_floats(lanes);
      rows_.run(context, image, block, band * dst.height / bands, (band + 1) * dst.height / bands, map, 0,
                context.thread_scratch(thread));
    });
  }
  int64_t scratch_floats() const override { return rows_.scratch_floats(rows_.conv().src.height); }
  std::string kernel() const override { return rows_.text(); }

 private:
  DepthwiseRows rows_;
};

}  // namespace

bool accepts_depthwise(const ConvDescription& conv) {
  return conv.is_float32() && conv.src.layout == Layout::kBlocked && conv.groups == conv.src.channels &&
         conv.groups == conv.dst.channels;
}

StepPtr make_depthwise(const ConvDescription& conv) {
  return std::make_unique<Depthwise>(conv);
}

}  // namespace marrow::engine
