// A dense convolution of any kernel, stride and padding, a band of output rows at a time.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "marrow/train/native/steps/convolution.h"
#include "marrow/train/native/steps/windows.h"

namespace marrow::train::native {
namespace {

class Direct final : public DenseConvolution {
 public:
  Direct(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes)
      : DenseConvolution(setting, maps, lanes),
        y_(reader().height(), maps[static_cast<size_t>(output)].height, op_, rows_.before),
        x_(reader().width(), maps[static_cast<size_t>(output)].width, op_, columns_.before),
        block_channels_(reader().aligned() ? std::min(channels_ + channels_ % pair_channels(), lanes)
                                           : lanes) {
    const int64_t cache_floats = (pairs_ ? 80 : 40) * 1024;  // pairs take half the room
    const int64_t row = (reader().blocks() * x_.covered(x_.out) * op_.stride + out_blocks_ * x_.out) * lanes_;
    most_ = std::clamp<int64_t>(cache_floats / row, 1, y_.out);
    chunks_ = reader().images() * bands_of(y_, most_);
    for (int row_tap = 0; row_tap < op_.kernel; ++row_tap)
      for (int column = 0; column < op_.kernel; ++column)
        taps_.push_back((int64_t{row_tap} * windows().input_width() + column) * op_.dilation *
                        pixel_floats());
    for (size_t row_phase = 0; row_phase < y_.phases.size(); ++row_phase)
      for (size_t column = 0; column < x_.phases.size(); ++column) add_phase(row_phase, column);
  }

  int64_t scratch_floats() const override {
    const int64_t floats = pairs_ ? std::max(windows().input_block(), windows().gradient_block()) : 0;
    return reader().blocks() * input_block() + out_blocks_ * (gradient_block() + outer_block()) +
           results_floats() + floats;
  }

  int64_t shared_floats() const override { return shared_of(taps() * matrix_floats()); }
  std::string kind() const override {
    return fmt::format("direct {0}x{0}/{1}{2}", op_.kernel, op_.stride, precision());
  }

  void forward(const Run& run) override {
    pack_weights(run);
    product_.begin_forward(run);
    const Windows windows = this->windows();
    run.for_chunks(chunks_, std::min(chunks_, kMostShares), [&](int64_t chunk, int64_t share, int thread) {
      const Band band = native::band(y_, most_, chunk);
      const Scratch scratch = scratch_of(run, thread);
      for (int block = 0; block < reader().blocks(); ++block) {
        float* x = scratch.x + block * input_block();
        windows.prepare_input(run, reader(), band, block, pairs_ ? scratch.floats : x);
        if (pairs_)
          run.kernels->pair_lanes(scratch.floats, x, windows.input_rows(band.rows) * windows.input_width());
      }
      const float* weights = packed_.forward.values().data();
      const int64_t plane = most_ * x_.out * lanes_;
      for (int64_t first = 0, blocks = 0; first < out_blocks_; first += blocks) {
        blocks = next_group(static_cast<int>(out_blocks_ - first), run.kernels->output_group);
        for (int64_t row = 0; row < band.rows; ++row)
          multiply(run, {.src = scratch.x + row * op_.stride * windows.input_width() * pixel_floats(),
                         .src_block = input_block(),
                         .src_step = int64_t{op_.stride} * pixel_floats(),
                         .blocks = reader().blocks(),
                         .block_channels = block_channels_ / pair_channels(),
                         .taps = taps_.data(),
                         .tap_count = taps(),
                         .weights = weights,
                         .outputs = static_cast<int>(blocks),
                         .dst = scratch.results + row * x_.out * lanes_,
                         .dst_block = plane,
                         .dst_step = lanes_,
                         .pixels = x_.out});
        for (int64_t block = 0; block < blocks; ++block)
          product_.store(run, share, band.image, first + block, band.first * x_.out, band.rows * x_.out,
                         scratch.results + block * plane);
        weights += group_floats(reader().blocks(), block_channels_ / pair_channels(), taps(), blocks);
      }
    });
    product_.end_forward(run);
  }

  void backward(const Run& run) override {
    product_.begin_backward(run);
    Reader& input = reader();
    const bool data = input.wants_gradient(run.maps), weights = weight_.gradient != nullptr;
    if (data) input.begin_backward(lanes_);
    const int64_t all = taps() * matrix_floats();
    const int64_t shares = std::min(chunks_, weights ? weight_shares(all) : kMostShares);
    float* acc = weights ? run.zeros(shares * all) : nullptr;
    const Windows windows = this->windows();
    run.for_chunks(chunks_, shares, [&](int64_t chunk, int64_t share, int thread) {
      const Band band = native::band(y_, most_, chunk);
      const Scratch scratch = scratch_of(run, thread);
      for (int64_t block = 0; block < out_blocks_; ++block) {
        float* dy = scratch.dy + block * gradient_block();
        windows.prepare_gradient(run, product_, share, band, block, pairs_ ? scratch.floats : dy);
        if (pairs_ && data)
          run.kernels->pair_lanes(scratch.floats, dy, windows.gradient_rows(band) * windows.gradient_width());
        if (pairs_ && weights)
          pair_gradients(run, windows, band, scratch.floats, scratch.outer_dy + block * outer_block());
      }
      if (weights) {
        for (int block = 0; block < input.blocks(); ++block) {
          float* x = scratch.x + block * input_block();
          windows.prepare_input(run, input, band, block, pairs_ ? scratch.floats : x);
          if (pairs_) pair_inputs(run, windows, band, scratch.floats, x);
        }
        for (int tap = 0; tap < taps(); ++tap)
          add_tap(run, windows, band, tap, scratch, acc + share * all + tap * matrix_floats());
      }
      if (data) give_data(run, windows, share, band, scratch);
    });
    if (weights) add_tap_gradients(run, acc, shares);
    if (data) input.end_backward(run);
    product_.end_backward(run);
  }

 private:
  static constexpr int64_t kMostGroup = 4;  // blocks of outputs that a tile computes together

  // Input pixels whose row and column are of a phase each.
  struct Phase {
    int64_t row, column;
    std::vector<int> taps;
    std::vector<int64_t> offsets;  // floats from the gradient at the phase's index
  };

  Windows windows() const { return Windows(y_, x_, most_, lanes_); }

  // Pairs: of neighbouring lanes for the products that make outputs and inputs, of neighbouring output pixels
  // for the gradient of the weights. A tap of the kernel's columns then has its own pairs of the input,
  // [column tap][row][pair].
  struct Scratch {
    float* x;
    float* dy;
    float* outer_dy;  // [block][row of the band][pair]
    float* results;
    float* floats;  // of one block, before they are pairs
  };
  int pair_channels() const { return pairs_ ? 2 : 1; }
  int64_t halved(int64_t floats) const { return (floats / lanes_ + 1) / 2 * lanes_; }  // whole vectors
  int64_t row_pairs() const { return (x_.out + 1) / 2 * lanes_; }
  int64_t tap_pairs() const { return windows().input_rows(most_) * row_pairs(); }
  int64_t input_block() const {
    const int64_t floats = windows().input_block();
    return pairs_ ? std::max(halved(floats), op_.kernel * tap_pairs()) : floats;
  }
  int64_t gradient_block() const {
    const int64_t floats = windows().gradient_block();
    return pairs_ ? halved(floats) : floats;
  }
  int64_t results_floats() const {
    return kMostGroup * std::max(most_ * x_.out, windows().most_indices() * op_.stride * x_.in) * lanes_;
  }
  int64_t outer_block() const { return pairs_ ? most_ * row_pairs() : 0; }
  Scratch scratch_of(const Run& run, int thread) const {
    Scratch scratch{};
    scratch.x = run.thread_scratch(thread);
    scratch.dy = scratch.x + reader().blocks() * input_block();
    scratch.outer_dy = scratch.dy + out_blocks_ * gradient_block();
    scratch.results = scratch.outer_dy + out_blocks_ * outer_block();
    scratch.floats = scratch.results + results_floats();
    return scratch;
  }

  void pair_inputs(const Run& run, const Windows& windows, const Band& band, const float* src,
                   float* dst) const {
    for (int column = 0; column < op_.kernel; ++column)
      for (int64_t row = 0; row < windows.input_rows(band.rows); ++row)
        run.kernels->pair_pixels(
            {.src = src + (row * windows.input_width() + int64_t{column} * op_.dilation) * lanes_,
             .src_step = int64_t{op_.stride} * lanes_,
             .dst = dst + column * tap_pairs() + row * row_pairs(),
             .pixels = x_.out});
  }
  void pair_gradients(const Run& run, const Windows& windows, const Band& band, const float* src,
                      float* dst) const {
    for (int64_t row = 0; row < band.rows; ++row)
      run.kernels->pair_pixels(
          {.src = src + windows.gradient_origin() + row * windows.gradient_width() * lanes_,
           .src_step = lanes_,
           .dst = dst + row * row_pairs(),
           .pixels = x_.out});
  }

  // The gradient of a tap's weights.
  void add_tap(const Run& run, const Windows& windows, const Band& band, int tap, const Scratch& scratch,
               float* acc) const {
    OuterArgs args{.dy = scratch.dy + windows.gradient_origin(),
                   .dy_block = gradient_block(),
                   .dy_row = windows.gradient_width() * lanes_,
                   .outputs = static_cast<int>(out_blocks_),
                   .x = scratch.x + taps_[static_cast<size_t>(tap)],
                   .x_block = input_block(),
                   .x_row = op_.stride * windows.input_width() * lanes_,
                   .x_step = int64_t{op_.stride} * lanes_,
                   .inputs = reader().blocks(),
                   .rows = band.rows,
                   .pixels = x_.out,
                   .acc = acc,
                   .acc_step = input_lanes()};
    if (pairs_) {
      const int64_t row = tap / op_.kernel, column = tap % op_.kernel;
      args.dy = scratch.outer_dy;
      args.dy_block = outer_block();
      args.dy_row = row_pairs();
      args.x = scratch.x + column * tap_pairs() + row * op_.dilation * row_pairs();
      args.x_row = op_.stride * row_pairs();
      args.x_step = lanes_;
      args.pixels = (x_.out + 1) / 2;
    }
    outer(run, args);
  }

  void add_phase(size_t row, size_t column) {
    Phase phase{static_cast<int64_t>(row), static_cast<int64_t>(column), {}, {}};
    const PhaseTaps &rows = y_.phases[row], &columns = x_.phases[column];
    for (size_t i = 0; i < rows.taps.size(); ++i)
      for (size_t j = 0; j < columns.taps.size(); ++j) {
        phase.taps.push_back(rows.taps[i] * op_.kernel + columns.taps[j]);
        phase.offsets.push_back((rows.offsets[i] * windows().gradient_width() + columns.offsets[j]) *
                                pixel_floats());
      }
    phases_.push_back(std::move(phase));
  }

  void pack_weights(const Run& run) {
    if (!packed_.need(kind(), run.version)) return;
    std::vector<int> all(static_cast<size_t>(taps()));
    std::iota(all.begin(), all.end(), 0);
    pack(run, {.taps = all, .block_channels = block_channels_}, packed_.forward);
    if (!reader().wants_gradient(run.maps)) return;
    packed_.phases.resize(phases_.size());
    for (size_t i = 0; i < phases_.size(); ++i)
      pack(run, {.turned = true, .taps = phases_[i].taps, .block_channels = lanes_}, packed_.phases[i]);
  }

  void give_data(const Run& run, const Windows& windows, int64_t share, const Band& band,
                 const Scratch& scratch) {
    Reader& input = reader();
    const int64_t first_row = band.first * op_.stride;
    const int64_t rows = std::min(band.indices * op_.stride, y_.in - first_row);
    if (rows <= 0) return;
    const int64_t plane = rows * x_.in * lanes_;
    for (int64_t first = 0, blocks = 0; first < input.blocks(); first += blocks) {
      blocks = next_group(static_cast<int>(input.blocks() - first), run.kernels->output_group);
      for (size_t i = 0; i < phases_.size(); ++i) {
        const Phase& phase = phases_[i];
        const auto count = static_cast<int64_t>(phase.taps.size());
        const int64_t pixels = (x_.in - phase.column + op_.stride - 1) / op_.stride;
        const float* weights =
            packed_.phases[i].values().data() + group_floats(out_blocks_, pixel_floats(), count, first);
        for (int64_t index = 0; index * op_.stride + phase.row < rows; ++index)
          multiply(run, {.src = scratch.dy + windows.gradient_origin() / pair_channels() +
                                index * windows.gradient_width() * pixel_floats(),
                         .src_block = gradient_block(),
                         .src_step = pixel_floats(),
                         .blocks = static_cast<int>(out_blocks_),
                         .block_channels = pixel_floats(),
                         .taps = phase.offsets.data(),
                         .tap_count = static_cast<int>(count),
                         .weights = weights,
                         .outputs = static_cast<int>(blocks),
                         .dst = scratch.results +
                                ((index * op_.stride + phase.row) * x_.in + phase.column) * lanes_,
                         .dst_block = plane,
                         .dst_step = int64_t{op_.stride} * lanes_,
                         .pixels = pixels});
      }
      for (int64_t block = 0; block < blocks; ++block)
        input.give(run, share, band.image, static_cast<int>(first + block), first_row * x_.in, rows * x_.in,
                   scratch.results + block * plane);
    }
  }

  Axis y_, x_;
  int block_channels_;
  int64_t most_ = 1, chunks_ = 1;  // rows of a band
  std::vector<int64_t> taps_;
  std::vector<Phase> phases_;
};

}  // namespace

StepPtr make_direct(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes) {
  return std::make_unique<Direct>(setting, maps, lanes);
}

}  // namespace marrow::train::native
