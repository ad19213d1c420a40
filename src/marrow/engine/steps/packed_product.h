// Matrix products whose pixels were packed for the register tiles: in 1x1 convolutions of many channels,
// Strassen's and Winograd's algorithm.
#pragma once

#include <algorithm>
#include <array>

#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/steps/output_groups.h"

namespace marrow::engine {

// Of the input, that are packed and multiplied at a time: their weights for a group stay in the first-level
// cache, or stream from the second.
constexpr int64_t kPackedChannels = 512;

// Some pixels, cut evenly into register tiles. A tile's are [block of channels][pixel][lane], and tiles
// follow each other.
class PackedTiles {
 public:
  PackedTiles(int64_t pixels, int tile_pixels)
      : pixels_(pixels),
        count_((pixels + tile_pixels - 1) / tile_pixels),
        fewest_(pixels / count_),
        larger_(pixels % count_) {}

  int64_t pixels() const { return pixels_; }
  int64_t count() const { return count_; }
  int64_t first(int64_t tile) const { return tile * fewest_ + std::min(tile, larger_); }
  int64_t pixels(int64_t tile) const { return fewest_ + (tile < larger_ ? 1 : 0); }

  // Tiles of equal width that follow each other: there are at most two such runs.
  struct Run {
    int64_t first;  // pixel
    int64_t tiles;
    int64_t tile_pixels;
  };
  std::array<Run, 2> runs() const {
    return {{{0, larger_, fewest_ + 1}, {larger_ * (fewest_ + 1), count_ - larger_, fewest_}}};
  }

 private:
  int64_t pixels_, count_;
  int64_t fewest_, larger_;  // pixels of a tile, and how many of the first tiles have one more
};

struct PackedProduct {
  const PackedTiles* tiles = nullptr;
  const float* src = nullptr;      // the packed pixels
  int64_t channels = 0;            // of the input
  const float* weights = nullptr;  // [input channel][the group's width]
  const float* next = nullptr;     // weights that are wanted next, as many; nullptr: none
};

// dst = bias + pixels * weights for one group of outputs; without a bias the sums go on from what dst holds.
// dst: pixel 0 of the group's first block; dst_block: floats between output blocks.
void multiply_packed(const Kernels& kernels, const OutputGroup& group, const PackedProduct& product,
                     const float* bias, float* dst, int64_t dst_block);

// Adds the product to up to kMostPackedResults results, or subtracts it; see PackedResult. REQUIRES: whole
// blocks.
void add_packed(const Kernels& kernels, const OutputGroup& group, const PackedProduct& product,
                std::span<const PackedResult> results, int64_t dst_block);

}  // namespace marrow::engine
