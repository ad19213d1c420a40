// 3x3 convolutions by Winograd's minimal filtering: a quarter of the multiplications for stride 1, little more than half for
// stride 2 (kernels/winograd_points.h).
//
// The output is cut into tiles of 4 x 4 pixels. A task takes some neighbouring tiles: the patches of input under them become
// so many numbers a channel, the products; for each class of products, which share their weights, tiles times input channels
// times output channels is a matrix product, two output blocks at a time; the results become the tile's pixels. What lies
// between stays in the thread's scratch, in the second-level cache. Each output number is one chain of operations that does
// not depend on how tiles are cut into tasks.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/tensor.h"
#include "engine/kernels/winograd_points.h"
#include "engine/steps/convolution.h"
#include "engine/steps/matrix_product.h"

namespace marrow {
namespace {

using winograd::kTile;

// Of what lies between the transforms of a task: a part of the second-level cache.
constexpr int64_t kTaskFloats = 96 * 1024;

template <class Form>
class Winograd final : public Step {
 public:
  explicit Winograd(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("winograd 3x3/{} {} tiles{}", Form::kStride, tiles_, to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override {
    return kProducts * (in_blocks_ + most_vectors_) * most_tiles_ * kernels_.lanes;
  }

 private:
  static constexpr int kProducts = Form::kProducts * Form::kProducts;
  static constexpr int kClasses = Form::kClasses * Form::kClasses;
  static constexpr int members(int product_class) {
    return Form::kMembers[product_class / Form::kClasses] * Form::kMembers[product_class % Form::kClasses];
  }

  void cut_into_tasks(int64_t threads);
  void pack();
  void pack_group(size_t g);
  void transform_inputs(const RunContext& context, int64_t image, int64_t first, int64_t count,
                        float* inputs) const;
  void multiply(size_t g, int64_t count, const float* inputs, float* products) const;
  void finish(const RunContext& context, int64_t image, size_t g, int64_t first, int64_t count,
              const float* products) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  const WinogradKernels& transforms_;
  int64_t in_blocks_;
  std::vector<OutputGroup> groups_;
  int64_t tiles_x_, tiles_;
  int64_t chunks_ = 1;               // tasks that an image's tiles are cut into
  int64_t group_chunks_ = 1;         // and the output groups
  int64_t most_tiles_ = 1;           // of a task
  int64_t most_vectors_ = 1;         // of a group
  std::vector<int64_t> offsets_;     // of each input channel in a class's transformed inputs
  std::vector<int64_t> weights_at_;  // of each group
  Tensor weights_;                   // [group][class][input channel][width]
  Tensor bias_;                      // [output channel], whole blocks
  Tensor zero_;                      // the bias of the products, and rows outside the map
};

template <class Form>
Winograd<Form>::Winograd(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      transforms_(kernels_.winograd[Form::kStride - 1]),
      in_blocks_(conv.src.blocks(kernels_.lanes)),
      groups_(group_outputs(conv.dst.channels, kernels_.lanes)),
      tiles_x_((conv.dst.width + kTile - 1) / kTile),
      tiles_(tiles_x_ * ((conv.dst.height + kTile - 1) / kTile)) {
  for (const OutputGroup& group : groups_) most_vectors_ = std::max<int64_t>(most_vectors_, group.vectors());
  cut_into_tasks(conv.pool->threads());
  for (int64_t c = 0; c < conv.src.channels; ++c)
    offsets_.push_back((c / kernels_.lanes * kProducts * most_tiles_) * kernels_.lanes + c % kernels_.lanes);
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

// As many tiles as the cache takes, in whole register tiles, and cut so that all threads get equal shares.
template <class Form>
void Winograd<Form>::cut_into_tasks(int64_t threads) {
  const int64_t tile_pixels = kernels_.tile_pixels;
  const int64_t fit = kTaskFloats / (kProducts * (in_blocks_ + most_vectors_) * kernels_.lanes);
  const int64_t wanted = std::max<int64_t>(fit / tile_pixels, 1) * tile_pixels;
  chunks_ = (tiles_ + wanted - 1) / wanted;
  if (chunks_ * conv_.dst.images < 4 * threads) chunks_ = (chunks_ + threads - 1) / threads * threads;
  chunks_ = std::min(chunks_, (tiles_ + tile_pixels / 2) / std::max<int64_t>(tile_pixels / 2, 1));
  chunks_ = std::clamp<int64_t>(chunks_, 1, tiles_);
  most_tiles_ = (tiles_ + chunks_ - 1) / chunks_;
  // Few tiles for many threads: each transforms them again for its part of the output channels.
  const auto groups = static_cast<int64_t>(groups_.size());
  while (chunks_ * group_chunks_ * conv_.dst.images < threads && group_chunks_ < groups) ++group_chunks_;
}

template <class Form>
void Winograd<Form>::pack() {
  int64_t floats = 0;
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(floats);
    floats += kClasses * conv_.src.channels * group.width();
  }
  weights_ = Tensor({floats});
  bias_ = Tensor({conv_.dst.blocks(kernels_.lanes) * kernels_.lanes});
  zero_ = Tensor({std::max<int64_t>(most_vectors_, Form::kPatch) * kernels_.lanes});
  std::ranges::copy(conv_.bias, bias_.values().begin());
  conv_.pool->parallel_for(static_cast<int64_t>(groups_.size()),
                           [&](int64_t g, int) { pack_group(static_cast<size_t>(g)); });
}

// G g G^T of one 3x3 kernel, by class.
template <class Form>
std::array<double, size_t{Form::kClasses} * Form::kClasses> transform_weights(const float* g) {
  double half[Form::kClasses][3] = {};
  for (int i = 0; i < Form::kClasses; ++i)
    for (int x = 0; x < 3; ++x)
      for (int y = 0; y < 3; ++y) half[i][x] += Form::kWeight[i][y] * double{g[3 * y + x]};
  std::array<double, size_t{Form::kClasses} * Form::kClasses> result{};
  for (int i = 0; i < Form::kClasses; ++i)
    for (int j = 0; j < Form::kClasses; ++j)
      for (int x = 0; x < 3; ++x)
        result[static_cast<size_t>(Form::kClasses * i + j)] += half[i][x] * Form::kWeight[j][x];
  return result;
}

template <class Form>
void Winograd<Form>::pack_group(size_t g) {
  const int64_t width = groups_[g].width();
  const int64_t inputs = conv_.src.channels;
  float* packed = weights_.values().data() + weights_at_[g];
  for (int64_t slot = 0; slot < width; ++slot) {
    const int64_t out = groups_[g].channel(slot);
    if (out >= conv_.dst.channels) continue;
    for (int64_t in = 0; in < inputs; ++in) {
      const auto classes = transform_weights<Form>(conv_.weight.data() + (out * inputs + in) * 9);
      for (int64_t c = 0; c < kClasses; ++c)
        packed[(c * inputs + in) * width + slot] = static_cast<float>(classes[static_cast<size_t>(c)]);
    }
  }
}

template <class Form>
void Winograd<Form>::run(const RunContext& context) const {
  const int64_t tasks = conv_.dst.images * chunks_ * group_chunks_;
  context.pool->parallel_for(tasks, [&](int64_t task, int thread) {
    float* inputs = context.thread_scratch(thread);
    float* products = inputs + kProducts * in_blocks_ * most_tiles_ * kernels_.lanes;
    const int64_t part = task % group_chunks_;
    const int64_t chunk = task / group_chunks_ % chunks_;
    const int64_t image = task / group_chunks_ / chunks_;
    const int64_t first = chunk * tiles_ / chunks_;
    const int64_t count = (chunk + 1) * tiles_ / chunks_ - first;
    transform_inputs(context, image, first, count, inputs);
    const auto groups = static_cast<int64_t>(groups_.size());
    const auto last_group = static_cast<size_t>((part + 1) * groups / group_chunks_);
    for (auto g = static_cast<size_t>(part * groups / group_chunks_); g < last_group; ++g) {
      multiply(g, count, inputs, products);
      finish(context, image, g, first, count, products);
    }
  });
}

// inputs: [input block][product][tile], blocks apart by as many tiles as a task has at most
template <class Form>
void Winograd<Form>::transform_inputs(const RunContext& context, int64_t image, int64_t first, int64_t count,
                                      float* inputs) const {
  constexpr int64_t kPatch = Form::kPatch;
  const int lanes = kernels_.lanes;
  const int64_t height = conv_.src.height, width = conv_.src.width;
  const float* map = context.read(conv_.src) + image * conv_.src.image_stride;
  WinogradInputArgs args;
  args.dst_step = count * lanes;
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t y = (first + tile) / tiles_x_ * kTile * Form::kStride - conv_.pad_y.before;
    const int64_t x = (first + tile) % tiles_x_ * kTile * Form::kStride - conv_.pad_x.before;
    args.first_column = static_cast<int>(std::clamp<int64_t>(-x, 0, kPatch));
    args.end_column = static_cast<int>(std::clamp<int64_t>(width - x, args.first_column, kPatch));
    for (int64_t block = 0; block < in_blocks_; ++block) {
      const float* src = map + block * height * width * lanes;
      for (int64_t row = 0; row < kPatch; ++row)
        args.rows[static_cast<size_t>(row)] =
            y + row >= 0 && y + row < height ? src + ((y + row) * width + x) * lanes : zero_.values().data();
      args.dst = inputs + (block * kProducts * most_tiles_ + tile) * lanes;
      transforms_.input(args);
    }
  }
}

// products: [vector][product][tile], as above
template <class Form>
void Winograd<Form>::multiply(size_t g, int64_t count, const float* inputs, float* products) const {
  const int lanes = kernels_.lanes;
  const OutputGroup& group = groups_[g];
  MatrixProduct product;
  product.src = inputs;
  product.offsets = offsets_.data();
  product.channels = conv_.src.channels;
  product.weights = weights_.values().data() + weights_at_[g];
  product.bias = zero_.values().data();
  product.dst = products;
  product.dst_block = kProducts * most_tiles_ * lanes;
  for (int c = 0; c < kClasses; ++c) {
    product.pixels = members(c) * count;
    marrow::multiply(kernels_, group, product);
    product.src += product.pixels * lanes;
    product.dst += product.pixels * lanes;
    product.weights += conv_.src.channels * group.width();
  }
}

template <class Form>
void Winograd<Form>::finish(const RunContext& context, int64_t image, size_t g, int64_t first, int64_t count,
                            const float* products) const {
  const int lanes = kernels_.lanes;
  const View& dst = conv_.dst;
  WinogradOutputArgs args;
  args.src_step = count * lanes;
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
        args.src = products + (v * kProducts * most_tiles_ + tile) * lanes;
        args.dst = TilePlace{image, block, 1, y * dst.width + x, 1}.in(dst, context.write(dst), lanes);
        transforms_.output(args);
      }
      for (int row = 0; row < args.rows; ++row)
        finish_tile(context, conv_,
                    {image, block, 1, (y + row) * dst.width + begin_x, std::min(x, dst.width) - begin_x});
    }
  }
}

}  // namespace

bool accepts_winograd(const ConvDescription& conv) {
  return conv.kernel == 3 && conv.stride <= 2 && conv.dilation == 1 && conv.groups == 1 &&
         conv.src.layout == Layout::kBlocked;
}

StepPtr make_winograd(const ConvDescription& conv) {
  if (conv.stride == 1) return std::make_unique<Winograd<winograd::Unit>>(conv);
  return std::make_unique<Winograd<winograd::Strided>>(conv);
}

}  // namespace marrow
