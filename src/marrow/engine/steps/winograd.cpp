// 3x3 convolutions by Winograd's minimal filtering: a quarter of the multiplications for stride 1, little
// more than half for stride 2 (kernels/winograd_points.h).
//
// The output is cut into tiles of 4 x 4 pixels. A task takes some neighbouring tiles: the patches of input
// under them become so many numbers a channel, the products; for each class of products, which share their
// weights, tiles times input channels times output channels is a matrix product, two output blocks at a time;
// the results become the tile's pixels. What lies between stays in the thread's scratch, in the second-level
// cache. Each output number is one chain of operations that does not depend on how tiles are cut into tasks.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/matrix_product.h"
#include "marrow/engine/steps/winograd_tiles.h"

namespace marrow::engine {
namespace {

using winograd::kTile;

int64_t most_vectors(const std::vector<OutputGroup>& groups) {
  int64_t most = 0;
  for (const OutputGroup& group : groups) most = std::max<int64_t>(most, group.vectors());
  return most;
}

template <class Form>
class Winograd final : public Step {
 public:
  explicit Winograd(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("winograd 3x3/{} {} tiles{}", Form::kStride, tiles_.count(),
                       to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override {
    return kProducts * (in_blocks_ + most_vectors_) * tiles_.most() * kernels_.lanes;
  }

 private:
  static constexpr int kProducts = Form::kProducts * Form::kProducts;
  static constexpr int kClasses = Form::kClasses * Form::kClasses;
  static constexpr int members(int product_class) {
    return Form::kMembers[product_class / Form::kClasses] * Form::kMembers[product_class % Form::kClasses];
  }

  void pack();
  void pack_group(size_t g);
  void transform_inputs(const RunContext& context, const WinogradTask& task, float* inputs) const;
  void multiply(size_t g, int64_t count, const float* inputs, float* products) const;
  void finish(const RunContext& context, const WinogradTask& task, size_t g, const float* products) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  const WinogradKernels& transforms_;
  int64_t in_blocks_;
  std::vector<OutputGroup> groups_;
  int64_t most_vectors_;  // of a group
  WinogradTiles tiles_;
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
      most_vectors_(most_vectors(groups_)),
      tiles_(conv, kProducts * (in_blocks_ + most_vectors_) * kernels_.lanes * int64_t{sizeof(float)},
             kernels_.tile_pixels, static_cast<int64_t>(groups_.size())) {
  for (int64_t c = 0; c < conv.src.channels; ++c)
    offsets_.push_back((c / kernels_.lanes * kProducts * tiles_.most()) * kernels_.lanes +
                       c % kernels_.lanes);
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
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

template <class Form>
void Winograd<Form>::pack_group(size_t g) {
  const int64_t width = groups_[g].width();
  const int64_t inputs = conv_.src.channels;
  float* packed = weights_.values().data() + weights_at_[g];
  // Whole lines of memory are written: classes lie far apart.
  std::vector<float> of_input(static_cast<size_t>(kClasses * width));
  for (int64_t in = 0; in < inputs; ++in) {
    for (int64_t slot = 0; slot < width; ++slot) {
      const int64_t out = groups_[g].channel(slot);
      if (out >= conv_.dst.channels) continue;
      const auto classes = winograd::transform_weights<Form>(conv_.weight.data() + (out * inputs + in) * 9);
      for (int64_t c = 0; c < kClasses; ++c)
        of_input[static_cast<size_t>(c * width + slot)] = static_cast<float>(classes[static_cast<size_t>(c)]);
    }
    for (int64_t c = 0; c < kClasses; ++c)
      std::copy_n(of_input.data() + c * width, width, packed + (c * inputs + in) * width);
  }
}

template <class Form>
void Winograd<Form>::run(const RunContext& context) const {
  context.pool->parallel_for(tiles_.tasks(), [&](int64_t index, int thread) {
    float* inputs = context.thread_scratch(thread);
    float* products = inputs + kProducts * in_blocks_ * tiles_.most() * kernels_.lanes;
    const WinogradTask task = tiles_.task(index);
    transform_inputs(context, task, inputs);
    for (int64_t group = task.first_group; group < task.last_group; ++group) {
      const auto g = static_cast<size_t>(group);
      multiply(g, task.count, inputs, products);
      finish(context, task, g, products);
    }
  });
}

// inputs: [input block][product][tile], blocks apart by as many tiles as a task has at most
template <class Form>
void Winograd<Form>::transform_inputs(const RunContext& context, const WinogradTask& task,
                                      float* inputs) const {
  const int lanes = kernels_.lanes;
  const View& src = conv_.src;
  const float* map = context.read(src) + task.image * src.image_stride;
  WinogradInputArgs<float> args;
  args.dst_step = task.count * lanes;
  for (int64_t tile = 0; tile < task.count; ++tile) {
    const int64_t y = tiles_.y(task.first + tile) * Form::kStride - conv_.pad_y.before;
    const int64_t x = tiles_.x(task.first + tile) * Form::kStride - conv_.pad_x.before;
    for (int64_t block = 0; block < in_blocks_; ++block) {
      point_at_patch(src, map + block * src.block_floats(lanes), y, x, Form::kPatch, lanes,
                     zero_.values().data(), args);
      args.dst = inputs + (block * kProducts * tiles_.most() + tile) * lanes;
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
  product.dst_block = kProducts * tiles_.most() * lanes;
  for (int c = 0; c < kClasses; ++c) {
    product.pixels = members(c) * count;
    engine::multiply(kernels_, group, product);
    product.src += product.pixels * lanes;
    product.dst += product.pixels * lanes;
    product.weights += conv_.src.channels * group.width();
  }
}

template <class Form>
void Winograd<Form>::finish(const RunContext& context, const WinogradTask& task, size_t g,
                            const float* products) const {
  const int lanes = kernels_.lanes;
  const View& dst = conv_.dst;
  WinogradOutputArgs args;
  args.src_step = task.count * lanes;
  args.dst_row = dst.width * lanes;
  for (int v = 0; v < groups_[g].vectors(); ++v) {
    const int64_t block = groups_[g].first_block + v;
    args.bias = bias_.values().data() + block * lanes;
    // Tiles that are neighbours in a row of the map get their epilogue together.
    for (int64_t tile = 0; tile < task.count;) {
      const int64_t y = tiles_.y(task.first + tile);
      const int64_t begin_x = tiles_.x(task.first + tile);
      const int64_t end = std::min(task.count, tile + tiles_.left_in_row(task.first + tile));
      args.rows = static_cast<int>(std::min<int64_t>(kTile, dst.height - y));
      int64_t x = begin_x;
      for (; tile < end; ++tile, x += kTile) {
        args.columns = static_cast<int>(std::min<int64_t>(kTile, dst.width - x));
        args.src = products + (v * kProducts * tiles_.most() + tile) * lanes;
        args.dst = TilePlace{task.image, block, 1, y * dst.width + x, 1}.in(dst, context.write(dst), lanes);
        transforms_.output(args);
      }
      for (int row = 0; row < args.rows; ++row)
        finish_tile(
            context, conv_,
            {task.image, block, 1, (y + row) * dst.width + begin_x, std::min(x, dst.width) - begin_x});
    }
  }
}

}  // namespace

bool accepts_winograd(const ConvDescription& conv) {
  return conv.is_float32() && conv.kernel == 3 && conv.stride <= 2 && conv.dilation == 1 &&
         conv.groups == 1 && conv.src.layout == Layout::kBlocked;
}

StepPtr make_winograd(const ConvDescription& conv) {
  if (conv.stride == 1) return std::make_unique<Winograd<winograd::Unit>>(conv);
  return std::make_unique<Winograd<winograd::Strided>>(conv);
}

}  // namespace marrow::engine
