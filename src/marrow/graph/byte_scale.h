// How a map is stored in 8 bits.
#pragma once

namespace marrow {

// x = scale * (q - zero_point), q in 0 .. 255. Zero is exact, so that padding is.
struct ByteScale {
  float scale = 1;  // finite, above 0
  int zero_point = 0;

  bool operator==(const ByteScale&) const = default;
};

}  // namespace marrow
