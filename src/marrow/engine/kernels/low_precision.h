// Kernels for maps that are stored in fewer bits than float32: in bytes with a scale (graph/byte_scale.h), or
// as bfloat16. Maps lie in the same blocks of `lanes` channels as float32 ones (kernels.h).
//
// Neighbouring channels of a pixel are read together: four bytes, or two bfloat16, are the dword that the
// processor's dot products take. A block has `lanes` / channels-in-a-dword dwords.
#pragma once

#include <cstdint>

#include "marrow/graph/byte_scale.h"

namespace marrow::engine {

struct Kernels;

// How the numbers of a map are stored.
enum class Element { kFloat32, kBfloat16, kByte };

constexpr int element_bytes(Element element) {
  return element == Element::kFloat32 ? 4 : element == Element::kBfloat16 ? 2 : 1;
}
constexpr int dword_channels(Element element) {
  return 4 / element_bytes(element);
}

// A register tile of a dense convolution: `pixels` neighbours of one output row times `vectors` blocks of
// output channels. Distances in src are bytes.
//   bytes:    dst[v][p] = bias[v] + scale[v] * (start[v] + sum of src * weights), the sum exact in int32
//   bfloat16: dst[v][p] = bias[v] + sum of src * weights, in float32
struct LowPrecisionTileArgs {
  int pixels, vectors;
  const uint8_t* src;  // the first pixel's first tap, in the first channel block
  int64_t src_block, src_row, src_tap, src_pixel;
  int rows, taps, blocks;
  int dwords;           // of a block that are read
  int last_dwords;      // of the last block
  const void* weights;  // [block][row][tap][dword][vectors * lanes][channel of the dword]; int8 or bfloat16
  const int32_t* start;
  const float* scale;
  const float* bias;  // each vectors * lanes
  float* dst;
  int64_t dst_block;  // floats between output blocks
};

struct LowPrecisionKernels {
  int tile_pixels = 0;  // the largest tile
  int tile_vectors = 0;
  const char* name = nullptr;  // of the tile's instructions
  void (*tile)(const LowPrecisionTileArgs& args) = nullptr;
  // Any count. `scale` says nothing where the element has none. Rounds to nearest even; bytes saturate, and
  // NaN becomes 0.
  void (*from_float32)(const float* src, ByteScale scale, void* dst, int64_t count) = nullptr;
  // from_float32(x * sigmoid(x)) of a quick sigmoid, right to 3e-4 of its value.
  void (*silu_from_float32)(const float* src, ByteScale scale, void* dst, int64_t count) = nullptr;
  void (*to_float32)(const void* src, ByteScale scale, float* dst, int64_t count) = nullptr;
  // The tile takes more pixels than that, too, and cuts them.
  bool any_pixels = false;
  // Of bytes, where the tile multiplies 16 bits: src widened, and the channels of a pixel brought together.
  //   dst[pixel][block][lane] = src[block * src_block + pixel * lanes + lane]
  // The tile then reads int16 for src and weights, of which two channels are a dword; it sees one block, of
  // all channels. nullptr: the tile reads the element itself.
  void (*widen)(const uint8_t* src, int64_t src_block, int64_t blocks, int64_t pixels,
                int16_t* dst) = nullptr;
};

// The table of a level, in parts as in kernels.h. The vector kernels' integers equal the plain ones'.
void add_low_precision_kernels(Kernels& kernels);
void add_plain_low_precision_kernels(Kernels& kernels);
void add_low_precision_tiles(Kernels& kernels);
void add_byte_winograd_kernels(Kernels& kernels);
void add_vnni_kernels(Kernels& kernels);

}  // namespace marrow::engine
