// Depthwise convolution: one input and one output channel a group, a row of one channel block at a time.
#include "marrow/engine/steps/depthwise.h"

#include <fmt/format.h>

#include <algorithm>

namespace marrow::engine {

DepthwiseRows::DepthwiseRows(const ConvDescription& conv) : conv_(conv) {
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

void DepthwiseRows::run(const RunContext& context, int64_t image, int64_t block, int64_t y, const float* src,
                        int64_t first_row) const {
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
  args.src =
      args.rows == 0 ? src : src + (in_y + first * conv_.dilation - first_row) * conv_.src.width * lanes;
  args.src_row = conv_.dilation * conv_.src.width * lanes;
  args.width = static_cast<int>(conv_.src.width);
  args.taps = conv_.kernel;
  args.stride = conv_.stride;
  args.dilation = conv_.dilation;
  args.pad_before = conv_.pad_x.before;
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
    context.pool->parallel_for(dst.images * bands * blocks, [&](int64_t task, int) {
      const int64_t image = task / blocks / bands;
      const int64_t block = task % blocks;
      const int64_t band = task / blocks % bands;
      const float* map = context.read(src) + image * src.image_stride + block * src.block_floats(lanes);
      const int64_t last = (band + 1) * dst.height / bands;
      for (int64_t y = band * dst.height / bands; y < last; ++y) rows_.run(context, image, block, y, map, 0);
    });
  }

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
