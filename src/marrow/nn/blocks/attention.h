// Blocks with self-attention, of YOLOv10, YOLO11 and YOLO12.
#pragma once

#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

// x (N, C, H, W), C a multiple of `heads`. "qkv": 1x1 unit without activation; attention over all positions,
// with keys half as wide as values; a depthwise 3x3 unit "pe" of the values is added; "proj": 1x1 unit
// without activation. Source: YOLOv10, Wang et al. 2024, section 3.2.2 (partial self-attention).
Value position_attention(GraphBuilder& g, Value x, std::string_view name, int heads);

// Two residual halves, x + "attn" and x + "ffn": attention of max(C / 64, 1) heads, then two 1x1 units, twice
// as wide inside and the second without activation. `shortcut` false leaves the sums out.
Value attention_block(GraphBuilder& g, Value x, std::string_view name, const Activation& activation,
                      bool shortcut = true);

// Half of cv1's channels pass the attention blocks "m.<j>"; cv2 reads the concatenation of both halves. Keeps
// the channels.
Value c2psa(GraphBuilder& g, Value x, std::string_view name, int repeats, const Activation& activation);
// The same with one block, whose parts are called "attn" and "ffn" without a scope of their own.
Value psa(GraphBuilder& g, Value x, std::string_view name, const Activation& activation);

// The same inside `areas` runs of positions, with a "pe" of 7x7, and keys as wide as values.
// Source: YOLOv12, Tian et al. 2025, section 3.2.
Value area_attention(GraphBuilder& g, Value x, std::string_view name, int heads, int areas);

// x + area attention "attn" with a head for 32 channels, of which C is a multiple, then a residual pair of
// 1x1 units "mlp", int(C * mlp_ratio) wide inside.
Value area_attention_block(GraphBuilder& g, Value x, std::string_view name, int areas, double mlp_ratio,
                           const Activation& activation);

struct A2C2fOptions {
  int out = 0;
  int repeats = 1;
  bool attention = true;  // else C3k blocks
  int areas = 1;
  bool residual = false;  // x + gamma * result, when x has `out` channels
  double mlp_ratio = 2;
  double expansion = 0.5;
  int groups = 1;
  bool shortcut = true;  // in C3k
};
// cv1 to c = int(out * expansion) channels; `repeats` units "m.<j>", each on the previous one's output: two
// area-attention blocks "m.<j>.0" and ".1", or a C3k; cv2 on the concatenation of cv1's and every unit's
// output.
Value a2c2f(GraphBuilder& g, Value x, std::string_view name, const A2C2fOptions& options,
            const Activation& activation);

}  // namespace marrow::nn
