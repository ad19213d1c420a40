// The innermost loops of training, beside the engine's (engine/kernels/kernels.h): one table of function
// pointers a SIMD level. Nothing here knows about graphs or threads.
//
// Maps are the engine's: [image][block][y][x][lane]. Spare lanes of a last block hold zeros. A pixel is one
// vector of `lanes` floats; `pixels` counts vectors. A batch-normed convolution stores its output y alone:
// who reads it makes z = act(scale y + shift) again, and the gradient that travels is dn, that of the batch
// norm's output n = scale y + shift.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "marrow/cpu/simd_level.h"
#include "marrow/engine/kernels/kernels.h"

namespace marrow::train::native {

// dst[p] = act(src[p] * scale + shift), one block of channels. dst may be src.
struct PrepareArgs {
  const float* src;
  const float *scale, *shift;  // lanes
  float parameter;             // slope of leaky ReLU and ELU
  float* dst;
  int64_t pixels;
};

// dst[p] = factor * dn[p] + slope * (y[p] - centre) + offset: the gradient of a batch norm's input.
struct PrepareGradientArgs {
  const float *dn, *y;
  const float *factor, *slope, *centre, *offset;  // lanes
  float* dst;
  int64_t pixels;
};

// Copies a block of pixels to the map and takes its moments on the way.
//   mean[lane] = mean over p of src[p];  squares[lane] = sum over p of (src[p] - mean)^2
struct FinishArgs {
  const float* src;
  float* dst;      // may be src
  bool streamed;   // past the caches, for a map larger than they are; dst begins at a multiple of a vector
  int64_t pixels;  // at least 1
  double *mean, *squares;  // lanes
};

// dn[p] = dz[p] * act'(y[p] * scale + shift), or that added to dn.
//   sums[lane] += sum over p of the new dn[p];  products[lane] += sum of the new dn[p] (y[p] - centre)
// where the new dn is what this call computed, without what was there before.
struct FinishGradientArgs {
  const float *dz, *y;
  const float *scale, *shift, *centre;  // lanes
  float parameter;
  float* dn;            // may be dz
  bool adds, streamed;  // streamed: as above
  int64_t pixels;
  double *sums, *products;  // lanes; nullptr: not wanted, nor is `centre` without products
};

// Of `left` blocks, how many make the next group where a register tile has `most`: groups of nearly one size,
// since a small tile cannot hide how long its multiply-adds take.
constexpr int next_group(int left, int most) {
  const int groups = (left + most - 1) / most;
  return (left + groups - 1) / groups;
}

// Memory that is wanted soon, fetched on the way: so many lines of 64 bytes a register tile, in the order of
// the runs, up to the end.
struct Ahead {
  std::span<const float* const> runs;
  int64_t run_lines = 0;
  int64_t tile_lines = 0;
  int64_t next = 0;  // line
};

// A dense product, of neighbouring outputs. Any count of blocks, taps and pixels.
//   dst[o][p] = sum over block, tap, lane of src[block * src_block + taps[tap] + p * src_step + lane]
//               * weights[group][block][tap][lane][vectors of the group]
// Outputs come in groups, cut by next_group() for the blocks that a register tile has at most (output_group);
// the packed weights of a group follow those of the one before (kernels/pack.h). Where they do not begin at a
// multiple of a vector's size, a tile of three vectors takes a third longer.
struct MultiplyArgs {
  const float* src;
  int64_t src_block;
  int64_t src_step;     // floats between neighbouring outputs' sources
  int blocks;           // of input channels
  int block_channels;   // lanes that count in a block: `lanes`, or fewer where there is only one block
  const int64_t* taps;  // floats from src
  int tap_count;
  const float* weights;  // of this group
  int outputs;           // blocks in this group, 1 to output_group
  float* dst;
  int64_t dst_block;
  int64_t dst_step;  // floats between neighbouring outputs
  int64_t pixels;
  Ahead* ahead = nullptr;
};

// acc[o][c] += sum over rows and pixels of dy[p][o] * x[p][c]: the gradient of a product's weights.
struct OuterArgs {
  const float* dy;
  int64_t dy_block, dy_row;
  int outputs;  // blocks
  const float* x;
  int64_t x_block, x_row;
  int64_t x_step;  // floats between the sources of neighbouring outputs
  int inputs;      // blocks
  int64_t rows, pixels;
  float* acc;        // [outputs * lanes][acc_step]
  int64_t acc_step;  // floats between outputs, at least inputs * lanes
};

// Where the processor multiplies bfloat16 (has_pair_products), both products also take pairs of bfloat16,
// each in the place of a float, and add up in float32. The arguments are the same, counted in pairs:
//   multiply  neighbouring lanes of a pixel are a pair, of src as of weights: `lanes` / 2 pairs to a pixel
//   outer     neighbouring pixels of a lane are a pair, of dy as of x: `lanes` pairs to two pixels
// Numbers are rounded to nearest even; what is too small for a normal number is 0.
//   pair_pixels: dst[p / 2] = pairs of the lanes of src[p * src_step] and of src[(p + 1) * src_step]; the
//   last pixel of an odd number is paired with zeros.
struct PairPixelsArgs {
  const float* src;
  int64_t src_step;  // floats between pixels
  float* dst;
  int64_t pixels;
};

// Depthwise: every lane by itself.
//   dst[p * dst_step] = sum over tap of src[taps[tap] + p * src_step] * weights[tap]      (vectors)
struct LaneTapsArgs {
  const float* src;
  int64_t src_step;
  const int64_t* taps;
  int tap_count;
  const float* weights;  // [tap][lanes]
  float* dst;
  int64_t dst_step;
  int64_t pixels;
};
//   acc[tap] += sum over rows and pixels of dy[row][p] * x[row][p * x_step + tap * lanes]   (vectors)
struct LaneOuterArgs {
  const float* dy;
  int64_t dy_row;
  const float* x;
  int64_t x_row, x_step;
  int taps;  // of one row of the kernel, side by side
  int64_t rows, pixels;
  float* acc;  // [tap][lanes]
};

// Of every lane, the largest of some taps: the first of equal ones in their order, and a NaN before all.
//   dst[p] = max over tap of src[taps[tap] + p * src_step]
struct MaxTapsArgs {
  const float* src;
  int64_t src_step;
  const int64_t* taps;
  int tap_count;  // at least 1
  float* dst;
  int64_t pixels;
};
//   dx[taps[largest] + p * src_step] += dy[p]
struct MaxTapsGradientArgs {
  const float* src;
  int64_t src_step;
  const int64_t* taps;
  int tap_count;
  const float* dy;
  float* dx;  // laid out as src
  int64_t pixels;
};

// Winograd's F(4x4, 3x3), at the engine's points (engine/kernels/winograd_points.h): the input and output
// transforms are the engine's; here is what the weights, which change, and their gradient want.
//   V = A dY A^T of a tile of 4 x 4 pixels, 36 vectors; dW = G^T S G of sums S of products, 36 to 9.
struct WinogradGradientArgs {
  const float* src;  // the first tile's upper left pixel; tiles are neighbours in a row
  int64_t src_row;
  int rows;     // that lie inside the map, 1 to 4
  int columns;  // of all tiles
  int tiles;
  float* dst;  // product k of tile t at k * dst_step + t * lanes
  int64_t dst_step;
};
//   dst[k * dst_step + i] = (G g G^T)[k], g[tap] = src[tap * src_step + i], i over count floats
struct WinogradWeightsArgs {
  const float* src;
  int64_t src_step;
  float* dst;
  int64_t dst_step;
  int64_t count;  // a multiple of lanes
};
//   dst[tap * dst_step + i] = (G^T S G)[tap], S[k] = src[k * src_step + i], i over count floats
struct WinogradWeightGradientArgs {
  const float* src;
  int64_t src_step;
  float* dst;
  int64_t dst_step;
  int64_t count;  // any
};

struct Kernels {
  cpu::SimdLevel level = cpu::SimdLevel::kPlain;
  int lanes = 0;
  int output_group = 0;  // blocks

  // By engine's unary kinds, of which kScale is not one here.
  std::array<void (*)(const PrepareArgs&), engine::kScale> prepare = {};
  std::array<void (*)(const FinishGradientArgs&), engine::kScale> finish_gradient = {};
  void (*prepare_gradient)(const PrepareGradientArgs&) = nullptr;
  void (*finish)(const FinishArgs&) = nullptr;
  void (*multiply)(const MultiplyArgs&) = nullptr;
  void (*outer)(const OuterArgs&) = nullptr;
  // nullptr where the processor has no products of bfloat16.
  void (*multiply_pairs)(const MultiplyArgs&) = nullptr;
  void (*outer_pairs)(const OuterArgs&) = nullptr;
  void (*pair_lanes)(const float* src, float* dst, int64_t pixels) = nullptr;
  void (*pair_pixels)(const PairPixelsArgs&) = nullptr;
  void (*lane_taps)(const LaneTapsArgs&) = nullptr;
  void (*lane_outer)(const LaneOuterArgs&) = nullptr;
  void (*max_taps)(const MaxTapsArgs&) = nullptr;
  void (*max_taps_gradient)(const MaxTapsGradientArgs&) = nullptr;
  void (*winograd_gradient)(const WinogradGradientArgs&) = nullptr;
  void (*winograd_weights)(const WinogradWeightsArgs&) = nullptr;
  void (*winograd_weight_gradient)(const WinogradWeightGradientArgs&) = nullptr;
};

// The table of a level, made once. REQUIRES: the CPU has the level.
const Kernels& kernels_of(cpu::SimdLevel level);
// Whether this processor multiplies pairs of bfloat16 at a level.
bool has_pair_products(cpu::SimdLevel level);
// The table's parts, by file, for the level that the table names.
void add_plain_kernels(Kernels& kernels);
void add_prepare_kernels(Kernels& kernels);
void add_finish_kernels(Kernels& kernels);
void add_multiply_kernels(Kernels& kernels);
void add_outer_kernels(Kernels& kernels);
void add_pair_kernels(Kernels& kernels);
void add_lane_kernels(Kernels& kernels);
void add_pool_kernels(Kernels& kernels);
void add_winograd_kernels(Kernels& kernels);

}  // namespace marrow::train::native
