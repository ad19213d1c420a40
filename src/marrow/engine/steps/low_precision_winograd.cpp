#include "marrow/engine/steps/low_precision_winograd.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/low_precision_epilogue.h"

namespace marrow::engine {
namespace {

using winograd::kTile;

constexpr int64_t kWordBytes = sizeof(uint16_t);

// Of what lies between the transforms of a task.
int64_t task_bytes() {
  return cpu::cache_bytes(2) * 3 / 8;
}

}  // namespace

// As many tiles as the cache takes, in whole register tiles, and cut so that all threads get equal shares.
WinogradTiles::WinogradTiles(const ConvDescription& conv, int64_t tile_bytes, int tile_pixels, int64_t groups)
    : WinogradGrid(conv.dst), images_(conv.dst.images), groups_(groups) {
  const int64_t threads = conv.pool->threads();
  const int64_t wanted = std::max<int64_t>(task_bytes() / tile_bytes / tile_pixels, 1) * tile_pixels;
  chunks_ = (count() + wanted - 1) / wanted;
  if (chunks_ * images_ < 4 * threads) chunks_ = (chunks_ + threads - 1) / threads * threads;
  chunks_ = std::min(chunks_, (count() + tile_pixels / 2) / std::max<int64_t>(tile_pixels / 2, 1));
  chunks_ = std::clamp<int64_t>(chunks_, 1, count());
  most_tiles_ = (count() + chunks_ - 1) / chunks_;
  // Few tiles for many threads: each transforms them again for its part of the output channels.
  while (chunks_ * group_chunks_ * images_ < threads && group_chunks_ < groups) ++group_chunks_;
}

WinogradTask WinogradTiles::task(int64_t index) const {
  const int64_t part = index % group_chunks_;
  const int64_t chunk = index / group_chunks_ % chunks_;
  const int64_t first = chunk * count() / chunks_;
  return {index / group_chunks_ / chunks_, first, (chunk + 1) * count() / chunks_ - first,
          part * groups_ / group_chunks_, (part + 1) * groups_ / group_chunks_};
}

LowPrecisionWinograd::LowPrecisionWinograd(const ConvDescription& conv, int64_t tile_words)
    : conv_(conv),
      kernels_(*conv.kernels),
      low_precision_(kernels_.low_precision(conv.src.element)),
      lanes_(kernels_.lanes),
      in_blocks_(conv.src.blocks(lanes_)),
      out_blocks_(conv.dst.blocks(lanes_)),
      tile_words_(tile_words),
      tiles_(conv,
             kProducts * (tile_words * kWordBytes +
                          low_precision_.tile_vectors * lanes_ * element_bytes(Element::kFloat32)),
             low_precision_.tile_pixels, groups()),
      bias_({out_blocks_ * lanes_}) {
  std::ranges::copy(conv.bias, bias_.values().begin());
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

int LowPrecisionWinograd::vectors(int64_t group) const {
  return static_cast<int>(
      std::min<int64_t>(low_precision_.tile_vectors, out_blocks_ - group * low_precision_.tile_vectors));
}

std::string LowPrecisionWinograd::kernel() const {
  return fmt::format("{} {} winograd 3x3/1 {} tiles{}", conv_.src.element == Element::kByte ? "int8" : "bf16",
                     low_precision_.name, tiles_.count(), to_string(conv_.epilogue));
}

// Behind inputs and products a run's rows of pixels, and one that is joined to them.
int64_t LowPrecisionWinograd::scratch_floats() const {
  return inputs_floats() + products_floats() + (kTile + 1) * row_floats();
}

void LowPrecisionWinograd::run(const RunContext& context) const {
  context.pool->parallel_for(tiles_.tasks(), [&](int64_t index, int thread) {
    float* inputs = context.thread_scratch(thread);
    float* products = inputs + inputs_floats();
    const WinogradTask task = tiles_.task(index);
    transform_inputs(context, task, inputs);
    for (int64_t group = task.first_group; group < task.last_group; ++group) {
      multiply(group, task.count, inputs, products);
      finish(context, task, group, products, products + products_floats());
    }
  });
}

void LowPrecisionWinograd::finish(const RunContext& context, const WinogradTask& task, int64_t group,
                                  const float* products, float* rows) const {
  for (int vector = 0; vector < vectors(group); ++vector)
    for (int64_t tile = 0, end = 0; tile < task.count; tile = end) {
      end = std::min({task.count, tile + tiles_.left_in_row(task.first + tile), tile + kRunTiles});
      finish_run(context, task, tile, end, group * low_precision_.tile_vectors + vector,
                 products + vector * products_block(), rows);
    }
}

// Of tiles that are neighbours in a row of the map, one output block.
void LowPrecisionWinograd::finish_run(const RunContext& context, const WinogradTask& task, int64_t tile,
                                      int64_t end, int64_t block, const float* products, float* rows) const {
  const View& dst = conv_.dst;
  const int64_t y = tiles_.y(task.first + tile);
  const int64_t x = tiles_.x(task.first + tile);
  const int64_t width = std::min((end - tile) * kTile, dst.width - x);
  TilePlace place{task.image, block, 1, y * dst.width + x, width};

  WinogradOutputArgs args;
  args.src = products + tile * lanes_;
  args.src_step = task.count * lanes_;
  args.bias = bias_.values().data() + block * lanes_;
  args.rows = static_cast<int>(std::min<int64_t>(kTile, dst.height - y));
  args.columns = static_cast<int>(width);
  args.dst = rows;
  args.dst_row = row_floats();
  if (dst.element == Element::kFloat32) {
    args.dst = place.in(dst, context.write(dst), lanes_);
    args.dst_row = dst.width * lanes_;
  }
  transform_results(args, block);
  for (int row = 0; row < args.rows; ++row, place.pixel += dst.width)
    finish_low_precision_tile(context, conv_, place, args.dst + row * args.dst_row, 0,
                              rows + kTile * row_floats());
}

}  // namespace marrow::engine
