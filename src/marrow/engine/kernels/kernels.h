// The innermost loops, one table of function pointers a SIMD level. Nothing here knows about graphs or
// threads.
//
// Maps are stored in blocks of `lanes` channels, lanes = floats in one vector: [image][block][y][x][lane].
// Where the channels do not fill the last block its spare lanes hold numbers that nobody reads. A pixel of a
// block is one vector, so most kernels see runs of vectors: `count` is in floats and a multiple of `lanes`
// unless stated.
#pragma once

#include <array>
#include <cstdint>

#include "marrow/cpu/simd_level.h"
#include "marrow/engine/kernels/byte_winograd.h"
#include "marrow/engine/kernels/low_precision.h"

namespace marrow::engine {

// Register tiles of a dense convolution: `pixels` neighbours of one output row times `halves` half blocks of
// output channels, as many as a group of outputs has (steps/output_groups.h). The weights of a channel and
// the bias are `width` floats each, width = (halves + 1) / 2 * lanes: whole blocks, and the outputs of a half
// block twice.

// Any convolution.
//   dst[v][p] = bias[v] + sum over block, row, tap, lane of src[block][row][tap][p][lane] *
//   weights[...][lane][v]
struct ConvTileArgs {
  const float* src;       // the first pixel's first tap, in the first channel block
  int64_t src_block;      // floats between channel blocks
  int64_t src_row;        // floats between the rows of taps (dilation included)
  int64_t src_tap;        // floats between taps of a row (dilation included)
  int64_t src_pixel;      // floats between neighbouring outputs' first taps
  int rows;               // of taps that fall inside the map
  int taps;               // in a row
  int blocks;             // input channel blocks
  int block_channels;     // channels in a block: `lanes`, or 1 where src is planar (NCHW)
  int last_channels;      // channels in the last block
  const float* weights;   // [block][row][tap][channel][width], with all rows of the kernel
  int64_t weights_block;  // floats between blocks
  int first_row;          // of the kernel that falls inside the map
  const float* bias;      // width
  float* dst;             // consecutive pixels of the first output block
  int64_t dst_block;      // floats between output blocks
};
using ConvTile = void (*)(const ConvTileArgs& args);

constexpr int64_t kLineFloats = 16;  // of a line of the caches, 64 bytes

// A 1x1 convolution of stride 1, whose input channels may lie anywhere.
//   dst[v][p] = bias[v] + sum over c of src[offsets[c] + p * lanes] * weights[c][v]
struct PointwiseTileArgs {
  const float* src;        // the first pixel
  const int64_t* offsets;  // floats from src to that pixel of each input channel
  int channels;
  const float* weights;  // [channel][width]
  const float* bias;     // width; nullptr: the sums go on from what dst holds
  float* dst;            // consecutive pixels of the first output block
  int64_t dst_block;     // floats between output blocks
  // Weights that are wanted next are asked for on the way: so many lines each kAheadChannels.
  const float* ahead;
  int ahead_lines;
};
constexpr int kAheadChannels = 8;
using PointwiseTile = void (*)(const PointwiseTileArgs& args);

// Tiles of pixels packed, [tile][block of channels][pixel][lane], one run of memory; and the weights to
// multiply them with, [channel][width].
struct PackedOperand {
  const float* src;
  int tiles;
  int channels;
  const float* weights;
  // Weights that are wanted next are asked for on the way: so many lines a block, up to the end.
  const float* ahead;
  const float* ahead_end;
  int ahead_lines;
};
//   dst[v][p] = bias[v] + sum over c of src[c][p] * weights[c][v]      p over the pixels of all tiles
struct PackedTileArgs {
  PackedOperand operand;
  const float* bias;  // width; nullptr: the sums go on from what dst holds
  float* dst;         // consecutive pixels of the first output block
  int64_t dst_block;  // floats between output blocks
};
using PackedTile = void (*)(const PackedTileArgs& args);
// The same sums, from 0 on, are added to or subtracted from several results.
//   dst[v][p] = (bias[v], or dst[v][p] where it is nullptr) + sign * sum
struct PackedResult {
  float* dst;
  float sign;
  const float* bias;
};
constexpr int kMostPackedResults = 4;
struct AddPackedTileArgs {
  PackedOperand operand;
  std::array<PackedResult, kMostPackedResults> results;
  int count;  // of results
  int64_t dst_block;
};
using AddPackedTile = void (*)(const AddPackedTileArgs& args);
// Packs some pixels of a map, or the sum of one, two or four places of it.
//   dst[block][p] = src[0][block * src_block + p] + factor[1] * src[1][block * src_block + p] + ...
constexpr int kMostPackedSources = 4;
struct PackPixelsArgs {
  std::array<const float*, kMostPackedSources> src;
  std::array<float, kMostPackedSources> factor;  // 1 for the first
  int count;                                     // of sources: 1, 2 or 4
  int64_t src_block;
  int64_t blocks;
  int pixels;
  float* dst;
};

// One output row of a depthwise convolution for one channel block; taps outside the map count nothing.
struct DepthwiseRowArgs {
  const float* src;      // pixel 0 of the first row of taps
  int64_t src_row;       // floats between the rows of taps (dilation included)
  int width;             // pixels in a source row
  int rows;              // of taps that fall inside the map
  int taps;              // in a row
  int stride, dilation;  // in pixels
  int pad_before;        // output x reads source pixels x * stride - pad_before + tap * dilation
  const float* weights;  // [row][tap][lanes], beginning with the first row inside the map
  const float* bias;     // lanes
  float* dst;
  int out_width;
};

// Tiles for narrow rows whose padding is written out, pad_before 0 and no tap outside: where the usual ones
// of 8 pixels would compute most pixels twice.
constexpr std::array<int, 2> kPaddedTiles = {7, 10};
// The one to take for rows of so many outputs, or 0.
constexpr int padded_tile(int out_width) {
  if (out_width == kPaddedTiles[0]) return kPaddedTiles[0];
  const bool one = out_width == kPaddedTiles[1], two = out_width > 16 && out_width <= 2 * kPaddedTiles[1];
  return one || two ? kPaddedTiles[1] : 0;
}

// One output row of max pooling; as above, without weights.
struct MaxPoolRowArgs {
  const float* src;
  int64_t src_row;
  int width;
  int rows;
  int taps;
  int stride;
  int pad_before;
  float* dst;
  int out_width;
};

// Winograd's transforms for one channel block (kernels/winograd_points.h) of tiles that are neighbours in a
// row of the map: a patch of pixels becomes so many products, and those 4 x 4 pixels. Product (i, j) of a
// tile, i down and j across, lies (i * products of one dimension + j) * step numbers from the first; tiles
// lie side by side. Number: float, or uint16_t for bfloat16, which is computed with in float32 and rounded to
// nearest when it is stored.
constexpr int kMostWinogradPatch = 9;
template <class Number>
struct WinogradInputArgs {
  // Pixel 0 of each row of the first tile's patch; rows outside the map point at zeros.
  std::array<const Number*, kMostWinogradPatch> rows;
  int first_column, end_column;  // that lie inside the map, from the first patch's first
  int tiles;
  Number* dst;
  int64_t dst_step;
};
struct WinogradOutputArgs {
  const float* src;
  int64_t src_step;
  const float* bias;  // lanes
  float* dst;
  int64_t dst_row;
  int rows;     // that lie inside the map, 1 to 4
  int columns;  // of all tiles
};
// The weights of so many output channels for one input channel, one or two blocks: product class c of them
// lies side by side at dst + c * dst_step. Computed in float64. REQUIRES: dst and dst_step are aligned to a
// block.
struct WinogradWeightArgs {
  const float* const* kernels;  // where those of each output channel begin; nullptr: zeros
  int64_t offset;               // from there to the 3x3 of the input channel
  int count;                    // of output channels
  float* dst;
  int64_t dst_step;
};
struct WinogradKernels {
  void (*input)(const WinogradInputArgs<float>& args) = nullptr;
  void (*output)(const WinogradOutputArgs& args) = nullptr;
  void (*weights)(const WinogradWeightArgs& args) = nullptr;
};

// The distribution focal loss decode of one side of the box, for `count` anchors.
//   dst[i] = sum_b bins[b] exp(x_b) / sum_b exp(x_b),  x_b = src[b * src_bin + i]      (less the largest x)
struct DflArgs {
  const float* src;
  int64_t src_bin;
  int reg_max;
  const float* bins;
  float* dst;
  int count;  // any number
};

// For each pixel, over all channels of its blocks:
//   x_c = exp(factor (x_c - m)) / sum_d exp(factor (x_d - m)),  m = the largest x
struct SoftmaxArgs {
  float* scores;
  int64_t block;  // floats between blocks
  int64_t blocks;
  int64_t pixels;
  float factor;
};

// The kinds of ActivationKind, in its order, then kScale: x * parameter.
constexpr int kUnaryKinds = 13;
constexpr int kScale = 12;
// dst may be src. `count` is any number of floats. `parameter` is the slope of leaky ReLU and ELU.
using Unary = void (*)(const float* src, float* dst, int64_t count, float parameter);
// dst[i] = a[i] + b[i], or a[i] * b[i]; dst may be a or b; any count.
using Binary = void (*)(const float* a, const float* b, float* dst, int64_t count);
// dst[p][lane] = src[p][lane] * scale[lane] + shift[lane]; shift may be nullptr; dst may be src.
using ScaleLanes = void (*)(const float* src, const float* scale, const float* shift, float* dst,
                            int64_t count);
// sums[lane] = sum over p of src[p][lane]
using SumLanes = void (*)(const float* src, int64_t count, float* sums);
// dst[row * row_stride + p] = src[p * lanes + row] for the first `rows` lanes and any number of pixels
using BlockToRows = void (*)(const float* src, int64_t pixels, int64_t rows, float* dst, int64_t row_stride);
// sum of a[i] * b[i]; any count
using Dot = float (*)(const float* a, const float* b, int64_t count);

constexpr int kMaxTilePixels = 14;
constexpr int kMaxTileHalves = 4;
// The distances between neighbouring outputs' taps for which there is a tile with constant offsets, and one
// for any distance.
enum class TileStep { kTwoLanes, kTwo, kFour, kAny };
constexpr int kTileSteps = 4;

struct Kernels {
  cpu::SimdLevel level = cpu::SimdLevel::kPlain;
  int lanes = 0;

  int tile_pixels = 0;       // the largest tile; 0: this level has none
  bool half_blocks = false;  // there are tiles of an odd number of half blocks, and they are worth it
  // conv_tile[step][halves - 1][pixels - 1]
  std::array<std::array<std::array<ConvTile, kMaxTilePixels>, kMaxTileHalves>, kTileSteps> conv_tile = {};
  // pointwise_tile[halves - 1][pixels - 1]
  std::array<std::array<PointwiseTile, kMaxTilePixels>, kMaxTileHalves> pointwise_tile = {};
  std::array<std::array<PackedTile, kMaxTilePixels>, kMaxTileHalves> packed_tile = {};
  // add_packed_tile[vectors - 1][pixels - 1]
  std::array<std::array<AddPackedTile, kMaxTilePixels>, kMaxTileHalves / 2> add_packed_tile = {};
  void (*pack_pixels)(const PackPixelsArgs& args) = nullptr;

  std::array<WinogradKernels, 2> winograd;                                             // of stride 1 and 2
  void (*winograd_bfloat16_input)(const WinogradInputArgs<uint16_t>& args) = nullptr;  // of stride 1
  void (*depthwise_row)(const DepthwiseRowArgs& args) = nullptr;
  bool has_padded_tiles = false;
  void (*max_pool_row)(const MaxPoolRowArgs& args) = nullptr;
  void (*dfl)(const DflArgs& args) = nullptr;
  void (*softmax)(const SoftmaxArgs& args) = nullptr;
  std::array<Unary, kUnaryKinds> unary = {};
  Binary add = nullptr;
  Binary multiply = nullptr;
  ScaleLanes scale_lanes = nullptr;
  SumLanes sum_lanes = nullptr;
  BlockToRows block_to_rows = nullptr;
  Dot dot = nullptr;

  LowPrecisionKernels bytes, bfloat16;
  ByteWinogradKernels byte_winograd;
  const LowPrecisionKernels& low_precision(Element element) const {
    return element == Element::kByte ? bytes : bfloat16;
  }
};

// The table of a level, made once. REQUIRES: the CPU has the level.
const Kernels& kernels_of(cpu::SimdLevel level);
// The table's parts, by file, for the level that the table names.
void add_plain_kernels(Kernels& kernels);
void add_elementwise_kernels(Kernels& kernels);
void add_conv_kernels(Kernels& kernels);
void add_pointwise_kernels(Kernels& kernels);
void add_packed_kernels(Kernels& kernels);
void add_winograd_kernels(Kernels& kernels);
void add_window_kernels(Kernels& kernels);
void add_reduction_kernels(Kernels& kernels);
void add_layout_kernels(Kernels& kernels);

}  // namespace marrow::engine
