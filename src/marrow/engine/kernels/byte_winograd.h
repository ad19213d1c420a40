// Winograd's minimal filtering F(4x4, 3x3) of bytes, in whole numbers and exact: 36 products instead of 144.
//
//   d_i d_j Y_ij = [ A ((G g G^T) * (B q B^T)) A^T ]_ij     q: patch of bytes, g: weights -127 .. 127
//
// At the points 0, +-1, +-2 all matrices hold whole numbers once the denominators of the usual G are moved to
// the divisors d. Transformed bytes and weights fit 16 bits. Sums over channels may overflow: whole numbers
// of 32 bits are right modulo 2^32, and so is their product with the inverse of 9, the odd part of a divisor.
// The other part is a power of two, 2^6 at most: the quotient is right where the true sum fits 26 bits, which
// the weights tell beforehand.
#pragma once

#include <array>
#include <cstdint>

namespace marrow::engine {

struct LowPrecisionTileArgs;

struct ByteWinograd {
  static constexpr int kPatch = 6, kProducts = 6;
  static constexpr int kInput[kProducts][kPatch] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},  // B
                                                    {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                                    {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  static constexpr int kWeight[kProducts][3] = {{6, 0, 0}, {-1, -1, -1}, {-1, 1, -1},  // G
                                                {1, 2, 4}, {1, -2, 4},   {0, 0, 6}};
  static constexpr int kOutput[4][kProducts] = {{1, 4, 4, 1, 1, 0},  // A
                                                {0, 2, -2, 1, -1, 0},
                                                {0, 1, 1, 1, 1, 0},
                                                {0, 1, -1, 2, -2, 1}};
  // The divisors are 3 * 2^k.
  static constexpr int kShift[4] = {3, 2, 1, 1};
  static constexpr uint32_t kInverseOfNine = 954437177;  // modulo 2^32
  static constexpr int64_t kMostSum = (int64_t{1} << 25) - 1;
  // A patch of equal bytes has one transformed number that is not 0, that of row and column 1.
  static constexpr int kConstantProduct = 7, kConstant = 36;
};
static_assert(ByteWinograd::kInverseOfNine * 9u == 1);

// A patch, whose bytes outside the map are the zero point, becomes 36 vectors of int16 for every two
// neighbouring channel blocks. The neighbour of the last block of an odd number holds numbers that nobody
// reads.
struct ByteWinogradInputArgs {
  const uint8_t* src;  // the patch's first pixel in the first block, maybe outside the map
  int64_t src_row, src_block;
  int blocks;
  int first_row, end_row, first_column, end_column;  // of the patch that lie inside the map
  uint8_t zero_point;
  int16_t* dst;      // of the first product: all channels
  int64_t dst_step;  // numbers between products
};
// dst = bias + scale * Y
struct ByteWinogradOutputArgs {
  const int32_t* src;
  int64_t src_step;
  const float* scale;
  const float* bias;  // each lanes
  float* dst;
  int64_t dst_row;
  int rows, columns;  // that lie inside the map, 1 to 4
};

struct ByteWinogradKernels {
  void (*input)(const ByteWinogradInputArgs& args) = nullptr;  // nullptr: this level has none of them
  // As the tile of bytes that were widened, but dst holds its int32 sums modulo 2^32. Any pixels.
  void (*multiply)(const LowPrecisionTileArgs& args) = nullptr;
  void (*output)(const ByteWinogradOutputArgs& args) = nullptr;
};

}  // namespace marrow::engine
