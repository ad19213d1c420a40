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
    constexpr int64_t kCacheFloats = 32 * 1024, kLeast = 48, kMost = 384, kTile = 12;
    const int64_t blocks = reader().blocks() + out_blocks_;
    pixels_ = std::clamp(kCacheFloats / (blocks * lanes_) / kTile * kTile, kLeast, kMost);
    total_ = reader().images() * reader().pixels();
    pixels_ = std::min(pixels_, total_);
    chunks_ = (total_ + pixels_ - 1) / pixels_;
  }

  int64_t scratch_floats() const override {
    return (reader().blocks() + out_blocks_ + kMostGroup) * pixels_ * lanes_;
  }
  int64_t shared_floats() const override { return shared_of(matrix_floats()); }
  std::string kind() const override { return "1x1"; }

  void forward(const Run& run) override {
    pack_weights(run);
    product_.begin_forward(run);
    run.for_chunks(chunks_, std::min(chunks_, kMostShares), [&](int64_t chunk, int64_t share, int thread) {
      const int64_t first = chunk * pixels_, count = std::min(pixels_, total_ - first);
      float* x = run.thread_scratch(thread);
      float* y = x + reader().blocks() * pixels_ * lanes_;
      prepare_inputs(run, first, count, x);
      std::vector<const float*> places;
      if (const auto next = pixel_of(chunk + 1))
        for (int block = 0; block < reader().blocks(); ++block)
          reader().add_places(run, next->image, block, next->pixel, places);
      Ahead ahead = fetching(places, out_blocks_);
      multiply(run, x, reader().blocks(), count, packed_.forward, out_blocks_, y, ahead,
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
      float* x = run.thread_scratch(thread);
      float* dy = x + input.blocks() * pixels_ * lanes_;
      float* dx = dy + out_blocks_ * pixels_ * lanes_;
      for (int64_t block = 0; block < out_blocks_; ++block)
        for_images(first, count, [&](int64_t image, int64_t pixel, int64_t n, int64_t at) {
          product_.prepare_gradient(run, share, image, block, pixel, n, true,
                                    dy + (block * pixels_ + at) * lanes_);
        });
      if (weights) {
        prepare_inputs(run, first, count, x);
        run.kernels->outer({.dy = dy,
                            .dy_block = pixels_ * lanes_,
                            .dy_row = 0,
                            .outputs = static_cast<int>(out_blocks_),
                            .x = x,
                            .x_block = pixels_ * lanes_,
                            .x_row = 0,
                            .x_step = lanes_,
                            .inputs = input.blocks(),
                            .rows = 1,
                            .pixels = count,
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
        multiply(run, dy, out_blocks_, count, packed_.backward, input.blocks(), dx, ahead,
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

  void prepare_inputs(const Run& run, int64_t first, int64_t count, float* x) const {
    for (int block = 0; block < reader().blocks(); ++block)
      for_images(first, count, [&](int64_t image, int64_t pixel, int64_t n, int64_t at) {
        reader().prepare(run, image, block, pixel, n, x + (block * pixels_ + at) * lanes_);
      });
  }

  // done(block, its pixels) for every block of outputs, which it may change.
  template <class Done>
  void multiply(const Run& run, const float* src, int64_t in_blocks, int64_t count, const Tensor& packed,
                int64_t out_blocks, float* dst, Ahead& ahead, const Done& done) const {
    const int64_t tap = 0;
    const float* weights = packed.values().data();
    for (int64_t first = 0, blocks = 0; first < out_blocks; first += blocks) {
      blocks = next_group(static_cast<int>(out_blocks - first), run.kernels->output_group);
      run.kernels->multiply({.src = src,
                             .src_block = pixels_ * lanes_,
                             .src_step = lanes_,
                             .blocks = static_cast<int>(in_blocks),
                             .block_channels = lanes_,
                             .taps = &tap,
                             .tap_count = 1,
                             .weights = weights,
                             .outputs = static_cast<int>(blocks),
                             .dst = dst,
                             .dst_block = pixels_ * lanes_,
                             .dst_step = lanes_,
                             .pixels = count,
                             .ahead = &ahead});
      for (int64_t block = 0; block < blocks; ++block) done(first + block, dst + block * pixels_ * lanes_);
      weights += group_floats(in_blocks, lanes_, 1, blocks);
    }
  }

  int64_t pixels_ = 0, total_ = 0, chunks_ = 0;
};

}  // namespace

StepPtr make_pointwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes) {
  return std::make_unique<Pointwise>(setting, maps, lanes);
}

}  // namespace marrow::train::native
