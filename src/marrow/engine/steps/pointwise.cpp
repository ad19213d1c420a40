// 1x1 convolutions of stride 1: a matrix product that reads the map in place. The map is one long row of
// pixels.
#include <fmt/format.h>

#include <algorithm>

#include "marrow/engine/steps/matrix_product.h"
#include "marrow/engine/steps/pointwise_layer.h"

namespace marrow::engine {
namespace {

// At most: enough to use a group's weights often, few enough for the cache.
constexpr int64_t kTaskTiles = 16;

class Pointwise final : public Step {
 public:
  explicit Pointwise(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override;

 private:
  void cut_into_tasks();
  void run_task(const RunContext& context, size_t group, int64_t image, int64_t chunk) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  PointwiseLayer layer_;
  int64_t pixels_;
  int64_t chunks_ = 1;  // tasks that an image's pixels are cut into
};

Pointwise::Pointwise(const ConvDescription& conv)
    : conv_(conv), kernels_(*conv.kernels), layer_(conv), pixels_(conv.dst.pixels()) {
  cut_into_tasks();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

void Pointwise::cut_into_tasks() {
  const int64_t tiles = (pixels_ + kernels_.tile_pixels - 1) / kernels_.tile_pixels;
  const int64_t wanted = kTasksPerThread * conv_.pool->threads();
  const auto groups = static_cast<int64_t>(layer_.groups.size());
  int64_t task_tiles = std::min(kTaskTiles, tiles);
  while (task_tiles > 4 && (tiles + task_tiles - 1) / task_tiles * groups * conv_.dst.images < wanted)
    task_tiles /= 2;
  chunks_ = (tiles + task_tiles - 1) / task_tiles;
}

void Pointwise::run(const RunContext& context) const {
  const auto groups = static_cast<int64_t>(layer_.groups.size());
  // Output groups vary fastest, so that a thread's share is a region of the map: the next layer finds it in
  // the same core's cache.
  context.pool->parallel_for(conv_.dst.images * chunks_ * groups, [&](int64_t task, int) {
    run_task(context, static_cast<size_t>(task % groups), task / groups / chunks_, task / groups % chunks_);
  });
}

void Pointwise::run_task(const RunContext& context, size_t g, int64_t image, int64_t chunk) const {
  const int lanes = kernels_.lanes;
  const OutputGroup& group = layer_.groups[g];
  const int64_t first = chunk * pixels_ / chunks_;
  const TilePlace place{image, group.first_block, group.vectors(), first,
                        (chunk + 1) * pixels_ / chunks_ - first};
  MatrixProduct product;
  product.src = context.arena + first * lanes;
  product.offsets = layer_.offsets_of(image);
  product.channels = layer_.channels;
  product.weights = layer_.weights_of(g, 0);
  product.bias = layer_.bias_of(g);
  product.dst = place.in(conv_.dst, context.write(conv_.dst), lanes);
  product.dst_block = conv_.dst.block_floats(lanes);
  product.pixels = place.pixels;
  if (g + 1 < layer_.groups.size()) product.next = layer_.weights_of(g + 1, 0);
  multiply(kernels_, group, product);
  finish_tile(context, conv_, place);
}

std::string Pointwise::kernel() const {
  return fmt::format("direct 1x1/1{} x{}{}", conv_.scattered.empty() ? "" : " scattered",
                     layer_.groups.front().halves / 2.0, to_string(conv_.epilogue));
}

}  // namespace

StepPtr make_pointwise(const ConvDescription& conv) {
  return std::make_unique<Pointwise>(conv);
}

}  // namespace marrow::engine
