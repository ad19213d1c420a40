// What the 3x3 convolutions of bytes and of bfloat16 by Winograd's minimal filtering have in common: the
// order of the work, and the way from results to dst.
//
// A task takes some tiles of the output and keeps what lies between the transforms in the second-level cache:
// patches of input become 16-bit numbers, 36 products a tile and channel; each product is a 1x1 convolution
// of the tiles; its sums become the tiles' pixels. Stride 2 is not here: its 81 products for 144 do not pay
// for the transforms.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/winograd_tiles.h"

namespace marrow::engine {

struct WinogradTask {
  int64_t image;
  int64_t first, count;             // of the image's tiles
  int64_t first_group, last_group;  // of outputs; the last is not the task's
};

class WinogradTiles : public WinogradGrid {
 public:
  // `tile_bytes`: what lies between the transforms of a tile, for all inputs and one group of outputs, of
  // which there are `groups`. `tile_pixels`: of a register tile, whose pixels are Winograd's tiles here.
  WinogradTiles(const ConvDescription& conv, int64_t tile_bytes, int tile_pixels, int64_t groups);

  int64_t most() const { return most_tiles_; }  // of a task
  int64_t tasks() const { return images_ * chunks_ * group_chunks_; }
  WinogradTask task(int64_t index) const;

 private:
  int64_t images_, groups_;
  int64_t chunks_ = 1;        // tasks that an image's tiles are cut into
  int64_t group_chunks_ = 1;  // and the groups of outputs
  int64_t most_tiles_ = 1;
};

class LowPrecisionWinograd : public Step {
 public:
  void run(const RunContext& context) const final;
  std::string kernel() const final;
  int64_t scratch_floats() const final;

 protected:
  static constexpr int kProducts = winograd::Unit::kProducts * winograd::Unit::kProducts;
  // Tiles of a row that get their epilogue together: their pixels stay in the first-level cache.
  static constexpr int64_t kRunTiles = 8;

  // `tile_words`: the 16-bit numbers of a product that a transformed tile has. What is kept of conv has no
  // weights.
  LowPrecisionWinograd(const ConvDescription& conv, int64_t tile_words);

  int64_t groups() const {
    return (out_blocks_ + low_precision_.tile_vectors - 1) / low_precision_.tile_vectors;
  }
  int vectors(int64_t group) const;  // output blocks of a group
  // Floats from one output block's products to the next one's.
  int64_t products_block() const { return kProducts * tiles_.most() * lanes_; }

  ConvDescription conv_;
  const Kernels& kernels_;
  const LowPrecisionKernels& low_precision_;
  const int lanes_;
  const int64_t in_blocks_, out_blocks_;
  const int64_t tile_words_;
  WinogradTiles tiles_;
  Tensor bias_;  // [output channel], whole blocks

 private:
  // Transformed inputs of a task with the most tiles.
  virtual int64_t inputs_floats() const = 0;
  virtual void transform_inputs(const RunContext& context, const WinogradTask& task, void* inputs) const = 0;
  // Of `count` tiles, all products of one group of outputs: [output block][product][tile].
  virtual void multiply(int64_t group, int64_t count, const void* inputs, float* products) const = 0;
  // Neighbours in a row of the map, one output block.
  virtual void transform_results(const WinogradOutputArgs& args, int64_t block) const = 0;

  int64_t products_floats() const { return low_precision_.tile_vectors * products_block(); }
  int64_t row_floats() const { return kRunTiles * winograd::kTile * lanes_; }
  void finish(const RunContext& context, const WinogradTask& task, int64_t group, const float* products,
              float* rows) const;
  void finish_run(const RunContext& context, const WinogradTask& task, int64_t tile, int64_t end,
                  int64_t block, const float* products, float* rows) const;
};

}  // namespace marrow::engine
