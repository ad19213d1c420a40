// A 1x1 convolution of stride 1, or a linear layer: pixels of all images in a row, cut into chunks whose
// prepared blocks stay in the second-level cache.
#include <algorithm>
#include <optional>

#include "marrow/train/native/steps/convolution.h"

namespace marrow::train::native {
namespace {

class Pointwise final : public DenseConvolution {
 public:
  Pointwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes)
      : DenseConvolution(setting, maps, lanes) {
    constexpr int64_t kLeast = 48, kMost = 384, kTile = 12;
    total_ = reader().images() * reader().pixels();
    // Pairs take half the room. Where matrices are large, adding to their gradients takes longer than pairs'
    // products unless a chunk is long; but all shares want one.
    constexpr int64_t kLongChunk = 144;
    const int64_t cache_floats = (pairs_ ? 64 : 32) * 1024;
    const int64_t least =
        pairs_ ? std::clamp(total_ / kMostShares / kTile * kTile, kLeast, kLongChunk) : kLeast;
    const int64_t blocks = reader().blocks() + out_blocks_;
    pixels_ = std::clamp(cache_floats / (blocks * lanes_) / kTile * kTile, least, kMost);
    pixels_ = std::min(pixels_, total_);
    chunks_ = (total_ + pixels_ - 1) / pixels_;
  }

  int64_t scratch_floats() const override {
    const int64_t operands = reader().blocks() + (pairs_ ? 2 : 1) * out_blocks_;
    return operands * operand_block() + (kMostGroup + 1) * pixels_ * lanes_;
  }
  int64_t shared_floats() const override { return shared_of(matrix_floats()); }
  std::string kind() const override { return std::string("1x1") + precision(); }

  void forward(const Run& run) override {
    pack_weights(run);
    product_.begin_forward(run);
    run.for_chunks(chunks_, std::min(chunks_, kMostShares), [&](int64_t chunk, int64_t share, int thread) {
      const int64_t first = chunk * pixels_, count = std::min(pixels_, total_ - first);
      const Scratch scratch = scratch_of(run, thread);
      prepare_inputs(run, first, count, scratch,
                     [&](const float* src, float* dst) { run.kernels->pair_lanes(src, dst, count); });
      std::vector<const float*> places;
      if (const auto next = pixel_of(chunk + 1))
        for (int block = 0; block < reader().blocks(); ++block)
          reader().add_places(run, next->image, block, next->pixel, places);
      Ahead ahead = fetching(places, out_blocks_);
      multiply_all(run, scratch.x, reader().blocks(), count, packed_.forward, out_blocks_, scratch, ahead,
                   [&](int64_t block, float* rows) {
                     for_images(first, count, [&](int64_t image, int64_t pixel, int64_t n, int64_t at) {
                       product_.store(run, share, image, block, pixel, n, rows + at * lanes_);
                     });
                   });
    });
    product_.end_forward(run);
  }

  void backward(const Run& run) override {
    product_.begin_backward(run);
    Reader& input = reader();
    const bool data = input.wants_gradient(run.maps), weights = weight_.gradient != nullptr;
    if (data) input.begin_backward(lanes_);
    const int64_t shares = std::min(chunks_, weights ? weight_shares(matrix_floats()) : kMostShares);
    float* acc = weights ? run.zeros(shares * matrix_floats()) : nullptr;
    run.for_chunks(chunks_, shares, [&](int64_t chunk, int64_t share, int thread) {
      const int64_t first = chunk * pixels_, count = std::min(pixels_, total_ - first);
      const Scratch scratch = scratch_of(run, thread);
      prepare_gradients(run, share, first, count, weights, data, scratch);
      if (weights) {
        prepare_inputs(run, first, count, scratch, [&](const float* src, float* dst) {
          run.kernels->pair_pixels({src, lanes_, dst, count});
        });
        outer(run, {.dy = scratch.outer_dy,
                    .dy_block = operand_block(),
                    .dy_row = 0,
                    .outputs = static_cast<int>(out_blocks_),
                    .x = scratch.x,
                    .x_block = operand_block(),
                    .x_row = 0,
                    .x_step = lanes_,
                    .inputs = input.blocks(),
                    .rows = 1,
                    .pixels = pairs_ ? (count + 1) / 2 : count,
                    .acc = acc + share * matrix_floats(),
                    .acc_step = input_lanes()});
      }
      if (data) {
        std::vector<const float*> places;
        if (const auto next = pixel_of(chunk + 1)) {
          for (int64_t block = 0; block < out_blocks_; ++block)
            product_.add_places(run, next->image, block, next->pixel, places);
          for (int block = 0; block < input.blocks(); ++block)
            input.add_places(run, next->image, block, next->pixel, places);
        }
        Ahead ahead = fetching(places, input.blocks());
        multiply_all(run, scratch.dy, out_blocks_, count, packed_.backward, input.blocks(), scratch, ahead,
                     [&](int64_t block, float* rows) {
                       for_images(first, count, [&](int64_t image, int64_t pixel, int64_t n, int64_t at) {
                         input.give(run, share, image, static_cast<int>(block), pixel, n, rows + at * lanes_);
                       });
                     });
      }
    });
    if (weights) add_tap_gradients(run, acc, shares);
    if (data) input.end_backward(run);
    product_.end_backward(run);
  }

 private:
  static constexpr int64_t kMostGroup = 4;  // blocks of outputs that a tile computes together

  void pack_weights(const Run& run) {
    if (!packed_.need(kind(), run.version)) return;
    const int tap = 0;
    pack(run, {.taps = {&tap, 1}, .block_channels = lanes_}, packed_.forward);
    if (reader().wants_gradient(run.maps))
      pack(run, {.turned = true, .taps = {&tap, 1}, .block_channels = lanes_}, packed_.backward);
  }

  // work(image, its first pixel, how many, where in the chunk) for the images that a chunk is of.
  template <class Work>
  void for_images(int64_t first, int64_t count, const Work& work) const {
    const int64_t image_pixels = reader().pixels();
    for (int64_t at = 0; at < count;) {
      const int64_t image = (first + at) / image_pixels, pixel = (first + at) % image_pixels;
      const int64_t n = std::min(image_pixels - pixel, count - at);
      work(image, pixel, n, at);
      at += n;
    }
  }

  struct Pixel {
    int64_t image, pixel;
  };
  // The first of a chunk, if there is one.
  std::optional<Pixel> pixel_of(int64_t chunk) const {
    const int64_t first = chunk * pixels_;
    if (first >= total_) return {};
    return Pixel{first / reader().pixels(), first % reader().pixels()};
  }
  // What the next chunk reads, spread over the register tiles of a product of so many blocks.
  Ahead fetching(const std::vector<const float*>& places, int64_t out_blocks) const {
    const int64_t left_in_image = reader().pixels();
    const int64_t lines = std::min(pixels_, left_in_image) * lanes_ / engine::kLineFloats;
    constexpr int64_t kTilePixels = 4;
    const int64_t tiles = std::max<int64_t>(pixels_ / kTilePixels * ((out_blocks + 2) / 3), 1);
    return {.runs = places,
            .run_lines = lines,
            .tile_lines = (static_cast<int64_t>(places.size()) * lines + tiles - 1) / tiles};
  }

  // Operands are [block][pixel], or of pairs as their product reads them.
  struct Scratch {
    float* x;
    float* dy;
    float* outer_dy;  // in pairs of pixels; without pairs the same
    float* results;
    float* floats;  // of one block, before they are pairs
  };
  int64_t operand_block() const { return (pairs_ ? (pixels_ + 1) / 2 : pixels_) * lanes_; }
  Scratch scratch_of(const Run& run, int thread) const {
    Scratch scratch{};
    scratch.x = run.thread_scratch(thread);
    scratch.dy = scratch.x + reader().blocks() * operand_block();
    const int64_t gradients = out_blocks_ * operand_block();
    scratch.outer_dy = scratch.dy + (pairs_ ? gradients : 0);
    scratch.results = scratch.outer_dy + gradients;
    scratch.floats = scratch.results + kMostGroup * pixels_ * lanes_;
    return scratch;
  }

  // pair(floats of a block, its operand), where there are pairs.
  template <class Pair>
  void prepare_inputs(const Run& run, int64_t first, int64_t count, const Scratch& scratch,
                      const Pair& pair) const {
    for (int block = 0; block < reader().blocks(); ++block) {
      float* x = scratch.x + block * operand_block();
      float* floats = pairs_ ? scratch.floats : x;
      for_images(first, count, [&](int64_t image, int64_t pixel, int64_t n, int64_t at) {
        reader().prepare(run, image, block, pixel, n, floats + at * lanes_);
      });
      if (pairs_) pair(floats, x);
    }
  }

  void prepare_gradients(const Run& run, int64_t share, int64_t first, int64_t count, bool weights, bool data,
                         const Scratch& scratch) {
    for (int64_t block = 0; block < out_blocks_; ++block) {
      const int64_t operand = block * operand_block();
      float* floats = pairs_ ? scratch.floats : scratch.dy + operand;
      for_images(first, count, [&](int64_t image, int64_t pixel, int64_t n, int64_t at) {
        product_.prepare_gradient(run, share, image, block, pixel, n, true, floats + at * lanes_);
      });
      if (pairs_ && data) run.kernels->pair_lanes(floats, scratch.dy + operand, count);
      if (pairs_ && weights) run.kernels->pair_pixels({floats, lanes_, scratch.outer_dy + operand, count});
    }
  }

  // done(block, its pixels) for every block of outputs, which it may change.
  template <class Done>
  void multiply_all(const Run& run, const float* src, int64_t in_blocks, int64_t count, const Tensor& packed,
                    int64_t out_blocks, const Scratch& scratch, Ahead& ahead, const Done& done) const {
    const int64_t tap = 0;
    const float* weights = packed.values().data();
    for (int64_t first = 0, blocks = 0; first < out_blocks; first += blocks) {
      blocks = next_group(static_cast<int>(out_blocks - first), run.kernels->output_group);
      multiply(run, {.src = src,
                     .src_block = operand_block(),
                     .src_step = pixel_floats(),
                     .blocks = static_cast<int>(in_blocks),
                     .block_channels = pixel_floats(),
                     .taps = &tap,
                     .tap_count = 1,
                     .weights = weights,
                     .outputs = static_cast<int>(blocks),
                     .dst = scratch.results,
                     .dst_block = pixels_ * lanes_,
                     .dst_step = lanes_,
                     .pixels = count,
                     .ahead = &ahead});
      for (int64_t block = 0; block < blocks; ++block)
        done(first + block, scratch.results + block * pixels_ * lanes_);
      weights += group_floats(in_blocks, pixel_floats(), 1, blocks);
    }
  }

  int64_t pixels_ = 0, total_ = 0, chunks_ = 0;
};

}  // namespace

StepPtr make_pointwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes) {
  return std::make_unique<Pointwise>(setting, maps, lanes);
}

}  // namespace marrow::train::native
