// Depthwise convolution: one input and one output channel a group, a row of one channel block at a time.
#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {
namespace {

class Depthwise final : public Step {
 public:
  explicit Depthwise(const ConvDescription& conv) : conv_(conv), kernels_(*conv.kernels) {
    const int64_t lanes = kernels_.lanes;
    const int64_t area = int64_t{conv.kernel} * conv.kernel;
    const int64_t blocks = conv.dst.blocks(kernels_.lanes);
    weights_ = Tensor({blocks * area * lanes});
    bias_ = Tensor({blocks * lanes});
    for (int64_t c = 0; c < conv.dst.channels; ++c)
      for (int64_t tap = 0; tap < area; ++tap)
        weights_.values()[static_cast<size_t>((c / lanes * area + tap) * lanes + c % lanes)] =
            conv.weight[static_cast<size_t>(c * area + tap)];
    std::ranges::copy(conv.bias, bias_.values().begin());
    conv_.weight = {};
    conv_.bias = {};
  }

  void run(const RunContext& context) const override {
    const int64_t blocks = conv_.dst.blocks(kernels_.lanes);
    const int64_t bands = std::clamp<int64_t>(conv_.dst.height / 4, 1, 2 * context.pool->threads());
    context.pool->parallel_for(conv_.dst.images * bands * blocks, [&](int64_t task, int) {
      const int64_t block = task % blocks;
      const int64_t band = task / blocks % bands;
      const int64_t last = (band + 1) * conv_.dst.height / bands;
      for (int64_t y = band * conv_.dst.height / bands; y < last; ++y)
        run_row(context, task / blocks / bands, block, y);
    });
  }

  std::string kernel() const override {
    return fmt::format("depthwise {0}x{0}/{1}{2}", conv_.kernel, conv_.stride, to_string(conv_.epilogue));
  }

 private:
  void run_row(const RunContext& context, int64_t image, int64_t block, int64_t y) const {
    const int lanes = kernels_.lanes;
    const auto at = [&](const View& view, int64_t row) {
      return image * view.image_stride + block * view.block_floats(lanes) + row * view.width * lanes;
    };
    const int64_t in_y = y * conv_.stride - conv_.pad_y.before;
    const int64_t first = in_y < 0 ? (-in_y + conv_.dilation - 1) / conv_.dilation : 0;
    const int64_t room = conv_.src.height - 1 - in_y;
    const int64_t end = room < 0 ? 0 : std::min<int64_t>(conv_.kernel, room / conv_.dilation + 1);
    const int64_t area = int64_t{conv_.kernel} * conv_.kernel;

    DepthwiseRowArgs args;
    args.rows = static_cast<int>(std::max<int64_t>(end - first, 0));
    args.src = context.read(conv_.src) + at(conv_.src, args.rows == 0 ? 0 : in_y + first * conv_.dilation);
    args.src_row = conv_.dilation * conv_.src.width * lanes;
    args.width = static_cast<int>(conv_.src.width);
    args.taps = conv_.kernel;
    args.stride = conv_.stride;
    args.dilation = conv_.dilation;
    args.pad_before = conv_.pad_x.before;
    args.weights = weights_.values().data() + (block * area + first * conv_.kernel) * lanes;
    args.bias = bias_.values().data() + block * lanes;
    args.dst = context.write(conv_.dst) + at(conv_.dst, y);
    args.out_width = static_cast<int>(conv_.dst.width);
    kernels_.depthwise_row(args);
    if (conv_.epilogue.empty()) return;
    const View& other = conv_.epilogue.other;
    const bool joins = conv_.epilogue.join != Epilogue::Join::kNone;
    apply(conv_.epilogue, kernels_, args.dst, joins ? context.read(other) + at(other, y) : nullptr,
          conv_.dst.width * lanes);
  }

  ConvDescription conv_;
  const Kernels& kernels_;
  Tensor weights_, bias_;
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
