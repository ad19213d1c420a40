// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications (kernels/winograd_points.h).
//
// The output is cut into tiles of 4 x 4 pixels. A task takes some neighbouring tiles: their 6 x 6 inputs become 36 numbers
// a channel; for each of the 36, tiles times input channels times output channels is a matrix product, two output blocks at
// a time; the 36 results become the tile's pixels. What lies between stays in the thread's scratch, in the second-level
// cache. Each output number is one chain of operations that does not depend on how tiles are cut into tasks.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/tensor.h"
#include "engine/kernels/winograd_points.h"
#include "engine/steps/convolution.h"
#include "engine/steps/output_groups.h"

namespace marrow {
namespace {

constexpr int64_t kInputFloats =
    96 * 1024;  // of transformed input in a task: a part of the second-level cache

using namespace winograd;

// G g G^T of one 3x3 kernel.
std::array<double, kProducts> transform_weights(const float* g) {
  double half[kPatch][3];
  for (int i = 0; i < kPatch; ++i)
    for (int x = 0; x < 3; ++x) {
      half[i][x] = 0;
      for (int y = 0; y < 3; ++y) half[i][x] += kWeight[i][y] * double{g[3 * y + x]};
    }
  std::array<double, kProducts> result{};
  for (int i = 0; i < kPatch; ++i)
    for (int j = 0; j < kPatch; ++j)
      for (int x = 0; x < 3; ++x) result[static_cast<size_t>(kPatch * i + j)] += half[i][x] * kWeight[j][x];
  return result;
}

constexpr int64_t kMostVectors = (kMaxTileHalves + 1) / 2;

class Winograd final : public Step {
 public:
  explicit Winograd(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("winograd 3x3/1 {} tiles{}", tiles_, to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override { return patch_floats() + input_floats() + product_floats(); }

 private:
  int64_t patch_floats() const { return kPatch * kPatch * kernels_.lanes; }
  int64_t input_floats() const { return kProducts * in_blocks_ * most_tiles_ * kernels_.lanes; }
  int64_t product_floats() const { return kProducts * kMostVectors * most_tiles_ * kernels_.lanes; }

  void pack();
  void pack_group(size_t g);
  void transform_inputs(const RunContext& context, int64_t image, int64_t first, int64_t count,
                        float* scratch) const;
  void multiply(size_t g, int64_t count, float* scratch) const;
  void finish(const RunContext& context, int64_t image, size_t g, int64_t first, int64_t count,
              const float* scratch) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  int64_t in_blocks_;
  std::vector<OutputGroup> groups_;
  int64_t tiles_x_, tiles_y_, tiles_;
  int64_t chunks_ = 1;               // tasks that an image's tiles are cut into
  int64_t group_chunks_ = 1;         // and the output groups
  int64_t most_tiles_ = 1;           // of a task
  std::vector<int64_t> offsets_;     // of each input channel in a point's transformed inputs
  std::vector<int64_t> weights_at_;  // of each group
  Tensor weights_;                   // [group][point][input channel][width]
  Tensor bias_;                      // [output channel], whole blocks
  Tensor zero_;                      // the bias of the products
};

Winograd::Winograd(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      in_blocks_(conv.src.blocks(kernels_.lanes)),
      groups_(group_outputs(conv.dst.channels, kernels_.lanes)),
      tiles_x_((conv.dst.width + kTile - 1) / kTile),
      tiles_y_((conv.dst.height + kTile - 1) / kTile),
      tiles_(tiles_x_ * tiles_y_) {
  // As many tiles as the cache takes, in whole register tiles, and cut so that all threads get equal shares.
  const int64_t fit = kInputFloats / (kProducts * in_blocks_ * kernels_.lanes);
  const int64_t wanted = std::max<int64_t>(fit / kernels_.tile_pixels, 1) * kernels_.tile_pixels;
  const int64_t threads = conv.pool->threads();
  chunks_ = (tiles_ + wanted - 1) / wanted;
  if (chunks_ * conv.dst.images < 4 * threads) chunks_ = (chunks_ + threads - 1) / threads * threads;
  chunks_ = std::min(chunks_, (tiles_ + kernels_.tile_pixels / 2) / std::max(kernels_.tile_pixels / 2, 1));
  chunks_ = std::clamp<int64_t>(chunks_, 1, tiles_);
  most_tiles_ = (tiles_ + chunks_ - 1) / chunks_;
  // Few tiles for many threads: each transforms them again for its part of the output channels.
  const auto groups = static_cast<int64_t>(groups_.size());
  while (chunks_ * group_chunks_ * conv.dst.images < threads && group_chunks_ < groups) ++group_chunks_;
  for (int64_t c = 0; c < conv.src.channels; ++c)
    offsets_.push_back(c / kernels_.lanes * most_tiles_ * kernels_.lanes + c % kernels_.lanes);
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

void Winograd::pack() {
  int64_t floats = 0;
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(floats);
    floats += kProducts * conv_.src.channels * group.width();
  }
  weights_ = Tensor({floats});
  bias_ = Tensor({conv_.dst.blocks(kernels_.lanes) * kernels_.lanes});
  zero_ = Tensor({kMostVectors * kernels_.lanes});
  std::ranges::copy(conv_.bias, bias_.values().begin());
  conv_.pool->parallel_for(static_cast<int64_t>(groups_.size()),
                           [&](int64_t g, int) { pack_group(static_cast<size_t>(g)); });
}

void Winograd::pack_group(size_t g) {
  const int64_t width = groups_[g].width();
  const int64_t inputs = conv_.src.channels;
  float* packed = weights_.values().data() + weights_at_[g];
  for (int64_t slot = 0; slot < width; ++slot) {
    const int64_t out = groups_[g].channel(slot);
    if (out >= conv_.dst.channels) continue;
    for (int64_t in = 0; in < inputs; ++in) {
      const auto points = transform_weights(conv_.weight.data() + (out * inputs + in) * 9);
      for (int64_t p = 0; p < kProducts; ++p)
        packed[(p * inputs + in) * width + slot] = static_cast<float>(points[static_cast<size_t>(p)]);
    }
  }
}

void Winograd::run(const RunContext& context) const {
  const int64_t tasks = conv_.dst.images * chunks_ * group_chunks_;
  context.pool->parallel_for(tasks, [&](int64_t task, int thread) {
    float* scratch = context.thread_scratch(thread);
    const int64_t part = task % group_chunks_;
    const int64_t chunk = task / group_chunks_ % chunks_;
    const int64_t image = task / group_chunks_ / chunks_;
    const int64_t first = chunk * tiles_ / chunks_;
    const int64_t count = (chunk + 1) * tiles_ / chunks_ - first;
    transform_inputs(context, image, first, count, scratch);
    const auto groups = static_cast<int64_t>(groups_.size());
    const auto last_group = static_cast<size_t>((part + 1) * groups / group_chunks_);
    for (auto g = static_cast<size_t>(part * groups / group_chunks_); g < last_group; ++g) {
      multiply(g, count, scratch);
      finish(context, image, g, first, count, scratch);
    }
  });
}

// scratch: a patch, [point][input block][tile], [point][vector][tile]
void Winograd::transform_inputs(const RunContext& context, int64_t image, int64_t first, int64_t count,
                                float* scratch) const {
  const int lanes = kernels_.lanes;
  const int64_t height = conv_.src.height, width = conv_.src.width;
  const float* map = context.read(conv_.src) + image * conv_.src.image_stride;
  float* patch = scratch;
  float* inputs = scratch + patch_floats();
  WinogradInputArgs args;
  args.dst_step = in_blocks_ * most_tiles_ * lanes;
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t y = (first + tile) / tiles_x_ * kTile - conv_.pad_y.before;
    const int64_t x = (first + tile) % tiles_x_ * kTile - conv_.pad_x.before;
    const int64_t top = std::clamp<int64_t>(-y, 0, kPatch),
                  bottom = std::clamp<int64_t>(height - y, top, kPatch);
    const int64_t left = std::clamp<int64_t>(-x, 0, kPatch),
                  right = std::clamp<int64_t>(width - x, left, kPatch);
    const bool inside = top == 0 && left == 0 && bottom == kPatch && right == kPatch;
    if (!inside) std::memset(patch, 0, static_cast<size_t>(patch_floats()) * sizeof(float));
    for (int64_t block = 0; block < in_blocks_; ++block) {
      const float* src = map + block * height * width * lanes;
      if (inside) {
        args.src = src + (y * width + x) * lanes;
        args.src_row = width * lanes;
      } else {
        for (int64_t row = top; row < bottom; ++row)
          std::memcpy(patch + (row * kPatch + left) * lanes, src + ((y + row) * width + x + left) * lanes,
                      static_cast<size_t>((right - left) * lanes) * sizeof(float));
        args.src = patch;
        args.src_row = int64_t{kPatch} * lanes;
      }
      args.dst = inputs + (block * most_tiles_ + tile) * lanes;
      kernels_.winograd_input(args);
    }
  }
}

void Winograd::multiply(size_t g, int64_t count, float* scratch) const {
  const int lanes = kernels_.lanes;
  const OutputGroup& group = groups_[g];
  const float* inputs = scratch + patch_floats();
  float* products = scratch + patch_floats() + input_floats();
  const int64_t segments = (count + kernels_.tile_pixels - 1) / kernels_.tile_pixels;
  PointwiseTileArgs args;
  args.offsets = offsets_.data();
  args.channels = static_cast<int>(conv_.src.channels);
  args.bias = zero_.values().data();
  args.dst_block = most_tiles_ * lanes;
  const auto& tiles = kernels_.pointwise_tile[static_cast<size_t>(group.halves - 1)];
  for (int64_t point = 0; point < kProducts; ++point) {
    args.weights = weights_.values().data() + weights_at_[g] + point * conv_.src.channels * group.width();
    for (int64_t segment = 0; segment < segments; ++segment) {
      const int64_t begin = segment * count / segments;
      const int64_t pixels = (segment + 1) * count / segments - begin;
      args.src = inputs + (point * in_blocks_ * most_tiles_ + begin) * lanes;
      args.dst = products + (point * kMostVectors * most_tiles_ + begin) * lanes;
      tiles[static_cast<size_t>(pixels - 1)](args);
    }
  }
}

void Winograd::finish(const RunContext& context, int64_t image, size_t g, int64_t first, int64_t count,
                      const float* scratch) const {
  const int lanes = kernels_.lanes;
  const float* products = scratch + patch_floats() + input_floats();
  const View& dst = conv_.dst;
  const View& other = conv_.epilogue.other;
  const bool joins = conv_.epilogue.join != Epilogue::Join::kNone;
  const auto at = [&](const View& view, int64_t block, int64_t y, int64_t x) {
    return image * view.image_stride + block * view.block_floats(lanes) + (y * view.width + x) * lanes;
  };
  WinogradOutputArgs args;
  args.src_step = kMostVectors * most_tiles_ * lanes;
  args.dst_row = dst.width * lanes;
  for (int v = 0; v < groups_[g].vectors(); ++v) {
    const int64_t block = groups_[g].first_block + v;
    args.bias = bias_.values().data() + block * lanes;
    // Tiles that are neighbours in a row of the map get their epilogue together.
    for (int64_t tile = 0; tile < count;) {
      const int64_t y = (first + tile) / tiles_x_ * kTile;
      const int64_t begin_x = (first + tile) % tiles_x_ * kTile;
      const int64_t end = std::min(count, tile + tiles_x_ - (first + tile) % tiles_x_);
      args.rows = static_cast<int>(std::min<int64_t>(kTile, dst.height - y));
      int64_t x = begin_x;
      for (; tile < end; ++tile, x += kTile) {
        args.columns = static_cast<int>(std::min<int64_t>(kTile, dst.width - x));
        args.src = products + (v * most_tiles_ + tile) * lanes;
        args.dst = context.write(dst) + at(dst, block, y, x);
        kernels_.winograd_output(args);
      }
      if (conv_.epilogue.empty()) continue;
      const int64_t floats = (std::min(x, dst.width) - begin_x) * lanes;
      for (int row = 0; row < args.rows; ++row)
        apply(conv_.epilogue, kernels_, context.write(dst) + at(dst, block, y + row, begin_x),
              joins ? context.read(other) + at(other, block, y + row, begin_x) : nullptr, floats);
    }
  }
}

}  // namespace

bool accepts_winograd(const ConvDescription& conv) {
  return conv.kernel == 3 && conv.stride == 1 && conv.dilation == 1 && conv.groups == 1 &&
         conv.src.layout == Layout::kBlocked;
}

StepPtr make_winograd(const ConvDescription& conv) {
  return std::make_unique<Winograd>(conv);
}

}  // namespace marrow
