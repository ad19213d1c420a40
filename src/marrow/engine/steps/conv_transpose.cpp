// Transposed convolution as one small convolution a phase. With u = y + padding, output row y takes kernel
// rows u % stride + j * stride from input rows u / stride - j, j = 0, 1, ...; columns likewise. The pixels of
// a phase are `stride` apart, so a tile is computed into scratch and scattered.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {
namespace {

class ConvTransposeStep final : public Step {
 public:
  explicit ConvTransposeStep(const ConvDescription& conv) : conv_(conv), kernels_(*conv.kernels) {
    taps_ = (conv.kernel + conv.stride - 1) / conv.stride;
    pack();
    conv_.weight = {};
    conv_.bias = {};
  }

  void run(const RunContext& context) const override {
    const int64_t blocks = conv_.dst.blocks(kernels_.lanes);
    const int64_t height = conv_.dst.height;
    context.pool->parallel_for(conv_.dst.images * height * blocks, [&](int64_t task, int thread) {
      for (int phase = 0; phase < conv_.stride; ++phase)
        run_row(context, task / blocks / height, task % blocks, task / blocks % height, phase,
                context.thread_scratch(thread));
    });
  }

  std::string kernel() const override {
    return fmt::format("transposed {0}x{0}/{1}", conv_.kernel, conv_.stride);
  }

  int64_t scratch_floats() const override {
    const int64_t lanes = kernels_.lanes;
    return conv_.src.blocks(kernels_.lanes) * taps_ * (kernels_.tile_pixels + taps_) * lanes +
           kernels_.tile_pixels * lanes;
  }

 private:
  int64_t phase_floats() const { return conv_.src.channels * int64_t{taps_} * taps_ * kernels_.lanes; }
  int64_t phase_offset(int64_t block, int64_t phase_y, int64_t phase_x) const {
    return ((block * conv_.stride + phase_y) * conv_.stride + phase_x) * phase_floats();
  }

  // [out block][phase y][phase x][in block][row][tap][channel][lane], taps in the order of the input's rows
  // and columns (j descending); those beyond the kernel are zero.
  void pack() {
    const int64_t lanes = kernels_.lanes;
    const int64_t blocks = conv_.dst.blocks(kernels_.lanes);
    const int64_t stride = conv_.stride;
    const int64_t size = conv_.kernel;
    const int64_t in_channels = conv_.src.channels;
    weights_ = Tensor({blocks * stride * stride * phase_floats()});
    bias_ = Tensor({blocks * lanes});
    std::ranges::copy(conv_.bias, bias_.values().begin());
    for (int64_t in = 0; in < in_channels; ++in) {
      const int64_t channels = std::min(lanes, in_channels - in / lanes * lanes);
      for (int64_t out = 0; out < conv_.dst.channels; ++out)
        for (int64_t ky = 0; ky < size; ++ky)
          for (int64_t kx = 0; kx < size; ++kx) {
            float* phase = weights_.values().data() + phase_offset(out / lanes, ky % stride, kx % stride);
            const int64_t tap = (taps_ - 1 - ky / stride) * taps_ + taps_ - 1 - kx / stride;
            phase[((in / lanes * lanes * taps_ * taps_) + tap * channels + in % lanes) * lanes +
                  out % lanes] =
                conv_.weight[static_cast<size_t>(((in * conv_.dst.channels + out) * size + ky) * size + kx)];
          }
    }
  }

  void run_row(const RunContext& context, int64_t image, int64_t block, int64_t y, int phase,
               float* scratch) const {
    const int lanes = kernels_.lanes;
    const int64_t stride = conv_.stride;
    // Output columns x with (x + padding) % stride == phase: x = first, first + stride, ...
    const int64_t first = (phase - conv_.pad_x.before % stride + stride) % stride;
    const int64_t count = first < conv_.dst.width ? (conv_.dst.width - 1 - first) / stride + 1 : 0;
    const int64_t in_x = (first + conv_.pad_x.before) / stride;
    const int64_t in_y = (y + conv_.pad_y.before) / stride;
    float* tile = scratch;
    float* patch = scratch + int64_t{kernels_.tile_pixels} * lanes;
    float* row = context.write(conv_.dst) + image * conv_.dst.image_stride +
                 block * conv_.dst.block_floats(lanes) + y * conv_.dst.width * lanes;

    for (int64_t done = 0; done < count; done += kernels_.tile_pixels) {
      const auto pixels = static_cast<int>(std::min<int64_t>(kernels_.tile_pixels, count - done));
      fill_patch(context, image, in_y - taps_ + 1, in_x + done - taps_ + 1, pixels + taps_ - 1, patch);
      const int64_t span = pixels + taps_ - 1;
      ConvTileArgs args;
      args.src = patch;
      args.src_pixel = lanes;
      args.src_tap = lanes;
      args.src_row = span * lanes;
      args.src_block = taps_ * span * lanes;
      args.rows = args.taps = taps_;
      args.first_row = 0;
      args.blocks = static_cast<int>(conv_.src.blocks(lanes));
      args.block_channels = lanes;
      args.last_channels = conv_.src.channels - (args.blocks - 1) * lanes;
      args.weights = weights_.values().data() + phase_offset(block, (y + conv_.pad_y.before) % stride, phase);
      args.weights_block = int64_t{taps_} * taps_ * lanes * lanes;
      args.bias = bias_.values().data() + block * lanes;
      args.dst = tile;
      args.dst_block = 0;
      kernels_.conv_tile[static_cast<size_t>(TileStep::kAny)][1][static_cast<size_t>(pixels - 1)](args);
      for (int p = 0; p < pixels; ++p)
        std::memcpy(row + (first + (done + p) * stride) * lanes, tile + int64_t{p} * lanes,
                    static_cast<size_t>(lanes) * sizeof(float));
    }
  }

  // [in block][row][pixel], zeros outside the map.
  void fill_patch(const RunContext& context, int64_t image, int64_t y, int64_t x, int64_t span,
                  float* patch) const {
    const int64_t lanes = kernels_.lanes;
    const View& src = conv_.src;
    const int64_t left = std::clamp<int64_t>(-x, 0, span);
    const int64_t end = std::clamp<int64_t>(src.width - x, left, span);
    for (int64_t block = 0; block < src.blocks(kernels_.lanes); ++block)
      for (int64_t in_y = y; in_y < y + taps_; ++in_y, patch += span * lanes) {
        std::memset(patch, 0, static_cast<size_t>(span * lanes) * sizeof(float));
        if (in_y < 0 || in_y >= src.height || left == end) continue;
        const float* from = context.read(src) + image * src.image_stride +
                            block * src.block_floats(kernels_.lanes) + (in_y * src.width + x + left) * lanes;
        std::memcpy(patch + left * lanes, from, static_cast<size_t>((end - left) * lanes) * sizeof(float));
      }
  }

  ConvDescription conv_;
  const Kernels& kernels_;
  int taps_ = 1;  // of a phase, on one axis
  Tensor weights_, bias_;
};

}  // namespace

StepPtr make_conv_transpose(const ConvDescription& conv) {
  return std::make_unique<ConvTransposeStep>(conv);
}

}  // namespace marrow::engine
