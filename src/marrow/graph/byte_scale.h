// How maps and weights are stored in 8 bits.
#pragma once

#include <cstdint>
#include <span>

namespace marrow {

// x = scale * (q - zero_point), q in 0 .. 255. Zero is exact, so that padding is.
struct ByteScale {
  float scale = 1;  // finite, above 0
  int zero_point = 0;

  bool operator==(const ByteScale&) const = default;
};

// Weights of one output channel are w = scale * q, q in -127 .. 127: the largest of them is 127 steps from
// zero. The scale of a channel of zeros is 1.
float weight_scale(std::span<const float> channel);
// The nearest q, the even one of two.
int8_t weight_byte(float weight, float scale);

}  // namespace marrow
