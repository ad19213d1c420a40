// What a network computes with.
#pragma once

#include <string_view>

namespace marrow::engine {

enum class Precision {
  kFloat32,
  kBfloat16,  // dense convolutions read and multiply bfloat16, and sum in float32
  kInt8,      // those that the graph marks (Node::int8) multiply bytes; their sums are exact
};
inline constexpr Precision kPrecisions[] = {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8};

std::string_view precision_name(Precision precision);  // "float32", "bf16", "int8"

}  // namespace marrow::engine
