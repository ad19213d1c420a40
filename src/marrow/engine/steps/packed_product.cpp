#include "marrow/engine/steps/packed_product.h"

#include <algorithm>

namespace marrow::engine {
namespace {

// Calls multiply(run of tiles, operand). Each tile asks for its share of the next weights.
template <class Multiply>
void for_runs(const Kernels& kernels, const OutputGroup& group, const PackedProduct& product,
              const Multiply& multiply) {
  const int64_t lanes = kernels.lanes;
  const int64_t blocks = (product.channels + lanes - 1) / lanes;
  const int64_t weights = product.channels * group.width();
  PackedOperand operand{product.src,  0, static_cast<int>(product.channels), product.weights, product.next,
                        product.next, 0};
  if (product.next != nullptr) {
    operand.ahead_end += weights;
    operand.ahead_lines = static_cast<int>(weights / kLineFloats / (product.tiles->count() * blocks) + 1);
  }
  for (const PackedTiles::Run& run : product.tiles->runs()) {
    if (run.tiles == 0) continue;
    operand.tiles = static_cast<int>(run.tiles);
    multiply(run, operand);
    operand.src += run.tiles * run.tile_pixels * blocks * lanes;
    operand.ahead +=
        std::min(run.tiles * blocks * operand.ahead_lines * kLineFloats, operand.ahead_end - operand.ahead);
  }
}

}  // namespace

void multiply_packed(const Kernels& kernels, const OutputGroup& group, const PackedProduct& product,
                     const float* bias, float* dst, int64_t dst_block) {
  const auto& tiles = kernels.packed_tile[static_cast<size_t>(group.halves - 1)];
  for_runs(kernels, group, product, [&](const PackedTiles::Run& run, const PackedOperand& operand) {
    tiles[static_cast<size_t>(run.tile_pixels - 1)](
        {operand, bias, dst + run.first * kernels.lanes, dst_block});
  });
}

void add_packed(const Kernels& kernels, const OutputGroup& group, const PackedProduct& product,
                std::span<const PackedResult> results, int64_t dst_block) {
  const auto& tiles = kernels.add_packed_tile[static_cast<size_t>(group.vectors() - 1)];
  for_runs(kernels, group, product, [&](const PackedTiles::Run& run, const PackedOperand& operand) {
    AddPackedTileArgs args{operand, {}, static_cast<int>(results.size()), dst_block};
    std::ranges::copy(results, args.results.begin());
    for (PackedResult& result : args.results) result.dst += run.first * kernels.lanes;
    tiles[static_cast<size_t>(run.tile_pixels - 1)](args);
  });
}

}  // namespace marrow::engine
