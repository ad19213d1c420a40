// A depthwise convolution: each lane by itself, a band of rows of one block at a time.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "marrow/train/native/steps/convolution.h"
#include "marrow/train/native/steps/windows.h"

namespace marrow::train::native {
namespace {

class Depthwise final : public Step {
 public:
  Depthwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes)
      : op_(setting.op),
        weight_(setting.weight),
        product_(setting.output, setting.op.out_channels, setting.bias),
        lanes_(lanes),
        blocks_(setting.input.blocks()),
        y_(setting.input.height(), maps[static_cast<size_t>(setting.output)].height, op_,
           setting.rows.before),
        x_(setting.input.width(), maps[static_cast<size_t>(setting.output)].width, op_,
           setting.columns.before),
        macs_(macs_of(op_, setting.input.channels(), maps[static_cast<size_t>(setting.output)])) {
    output = setting.output;
    inputs.push_back(setting.input);
    constexpr int64_t kCacheFloats = 32 * 1024;
    const int64_t row = (x_.covered(x_.out) * op_.stride + 2 * x_.out + x_.in * op_.stride) * lanes;
    most_ = std::clamp<int64_t>(kCacheFloats / row, 1, y_.out);
    bands_ = bands_of(y_, most_);
    for (int tap_row = 0; tap_row < op_.kernel; ++tap_row)
      for (int column = 0; column < op_.kernel; ++column)
        taps_.push_back((int64_t{tap_row} * windows().input_width() + column) * op_.dilation * lanes);
  }

  int64_t scratch_floats() const override {
    const Windows windows = this->windows();
    return windows.input_block() + windows.gradient_block() +
           std::max(most_ * x_.out, windows.most_indices() * op_.stride * x_.in) * lanes_ + taps() * lanes_;
  }

  double macs() const override { return macs_; }
  std::string kind() const override { return fmt::format("depthwise {0}x{0}/{1}", op_.kernel, op_.stride); }

  int64_t shared_floats() const override { return kMostShares * blocks_ * taps() * lanes_; }

  void forward(const Run& run) override {
    pack_weights(run);
    product_.begin_forward(run);
    const Windows windows = this->windows();
    const int64_t chunks = inputs[0].images() * bands_ * blocks_;
    run.for_chunks(chunks, std::min(chunks, kMostShares), [&](int64_t chunk, int64_t share, int thread) {
      const auto block = static_cast<int>(chunk % blocks_);
      const Band band = native::band(y_, most_, chunk / blocks_);
      float* x = run.thread_scratch(thread);
      float* y = x + windows.input_block();
      windows.prepare_input(run, inputs[0], band, block, x);
      for (int64_t row = 0; row < band.rows; ++row)
        run.kernels->lane_taps({.src = x + row * op_.stride * windows.input_width() * lanes_,
                                .src_step = int64_t{op_.stride} * lanes_,
                                .taps = taps_.data(),
                                .tap_count = taps(),
                                .weights = weights_.data() + int64_t{block} * taps() * lanes_,
                                .dst = y + row * x_.out * lanes_,
                                .dst_step = lanes_,
                                .pixels = x_.out});
      product_.store(run, share, band.image, block, band.first * x_.out, band.rows * x_.out, y);
    });
    product_.end_forward(run);
  }

  void backward(const Run& run) override {
    product_.begin_backward(run);
    Reader& input = inputs[0];
    const bool data = input.wants_gradient(run.maps), weights = weight_.gradient != nullptr;
    if (data) input.begin_backward(lanes_);
    const Windows windows = this->windows();
    const int64_t chunks = input.images() * bands_ * blocks_, shares = std::min(chunks, kMostShares);
    const int64_t all = blocks_ * taps() * lanes_;
    float* acc = weights ? run.zeros(shares * all) : nullptr;
    run.for_chunks(chunks, shares, [&](int64_t chunk, int64_t share, int thread) {
      const auto block = static_cast<int>(chunk % blocks_);
      const Band band = native::band(y_, most_, chunk / blocks_);
      float* x = run.thread_scratch(thread);
      float* dy = x + windows.input_block();
      float* dx = dy + windows.gradient_block();
      windows.prepare_gradient(run, product_, share, band, block, dy);
      if (weights) {
        windows.prepare_input(run, input, band, block, x);
        outer(run, windows, band, dy, x, acc + share * all + int64_t{block} * taps() * lanes_);
      }
      if (data) give_data(run, windows, share, band, block, dy, dx);
    });
    if (weights) add_gradient(acc, shares);
    if (data) input.end_backward(run);
    product_.end_backward(run);
  }

 private:
  Windows windows() const { return Windows(y_, x_, most_, lanes_); }
  int taps() const { return op_.kernel * op_.kernel; }

  void pack_weights(const Run& run) {
    if (version_ == run.version) return;
    version_ = run.version;
    std::vector<int> channels(static_cast<size_t>(blocks_ * lanes_), kNoChannel),
        all(static_cast<size_t>(taps()));
    std::iota(channels.begin(), channels.begin() + op_.out_channels, 0);
    std::iota(all.begin(), all.end(), 0);
    weights_.resize(channels.size() * all.size());
    pack_lane_weights(weight_.value, taps(), channels, all, *run.kernels, weights_.data());
  }

  // A row of taps at a time; a dilated one tap by tap.
  void outer(const Run& run, const Windows& windows, const Band& band, const float* dy, const float* x,
             float* acc) const {
    const int together = op_.dilation == 1 ? op_.kernel : 1;
    for (int tap = 0; tap < taps(); tap += together)
      run.kernels->lane_outer({.dy = dy + windows.gradient_origin(),
                               .dy_row = windows.gradient_width() * lanes_,
                               .x = x + taps_[static_cast<size_t>(tap)],
                               .x_row = op_.stride * windows.input_width() * lanes_,
                               .x_step = int64_t{op_.stride} * lanes_,
                               .taps = together,
                               .rows = band.rows,
                               .pixels = x_.out,
                               .acc = acc + int64_t{tap} * lanes_});
  }

  void give_data(const Run& run, const Windows& windows, int64_t share, const Band& band, int block,
                 const float* dy, float* dx) {
    const int64_t first_row = band.first * op_.stride;
    const int64_t rows = std::min(band.indices * op_.stride, y_.in - first_row);
    if (rows <= 0) return;
    float* packed = dx + std::max(most_ * x_.out, windows.most_indices() * op_.stride * x_.in) * lanes_;
    std::vector<int64_t> offsets;
    for (size_t row_phase = 0; row_phase < y_.phases.size(); ++row_phase)
      for (size_t column_phase = 0; column_phase < x_.phases.size(); ++column_phase) {
        const PhaseTaps &of_row = y_.phases[row_phase], &of_column = x_.phases[column_phase];
        offsets.clear();
        for (size_t i = 0; i < of_row.taps.size(); ++i)
          for (size_t j = 0; j < of_column.taps.size(); ++j) {
            const int64_t tap = of_row.taps[i] * op_.kernel + of_column.taps[j];
            std::copy_n(weights_.data() + (int64_t{block} * taps() + tap) * lanes_, lanes_,
                        packed + static_cast<int64_t>(offsets.size()) * lanes_);
            offsets.push_back((of_row.offsets[i] * windows.gradient_width() + of_column.offsets[j]) * lanes_);
          }
        const auto column = static_cast<int64_t>(column_phase), row = static_cast<int64_t>(row_phase);
        const int64_t pixels = (x_.in - column + op_.stride - 1) / op_.stride;
        for (int64_t index = 0; index * op_.stride + row < rows; ++index)
          run.kernels->lane_taps(
              {.src = dy + windows.gradient_origin() + index * windows.gradient_width() * lanes_,
               .src_step = lanes_,
               .taps = offsets.data(),
               .tap_count = static_cast<int>(offsets.size()),
               .weights = packed,
               .dst = dx + ((index * op_.stride + row) * x_.in + column) * lanes_,
               .dst_step = int64_t{op_.stride} * lanes_,
               .pixels = pixels});
      }
    inputs[0].give(run, share, band.image, block, first_row * x_.in, rows * x_.in, dx);
  }

  void add_gradient(const float* acc, int64_t shares) const {
    const int64_t all = blocks_ * taps() * lanes_;
    for (int64_t c = 0; c < op_.out_channels; ++c)
      for (int64_t tap = 0; tap < taps(); ++tap) {
        const float* place = acc + (c / lanes_ * taps() + tap) * lanes_ + c % lanes_;
        float sum = 0;
        for (int64_t share = 0; share < shares; ++share) sum += place[share * all];
        weight_.gradient[c * taps() + tap] += sum;
      }
  }

  Conv op_;
  ParameterPlace weight_;
  ProductOutput product_;
  int lanes_;
  int64_t blocks_;
  Axis y_, x_;
  double macs_;
  int64_t most_ = 1, bands_ = 1;
  std::vector<int64_t> taps_;
  int64_t version_ = -1;
  std::vector<float> weights_;
};

}  // namespace

StepPtr make_depthwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes) {
  return std::make_unique<Depthwise>(setting, maps, lanes);
}

}  // namespace marrow::train::native
