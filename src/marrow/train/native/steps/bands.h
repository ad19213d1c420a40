// How a map with windows is cut into bands of output rows, and which rows and columns of input and gradient a
// band wants. Backward, an input pixel (i * stride + phase) is made of the outputs i + offset of its phase's
// taps.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/graph/operation.h"

namespace marrow::train::native {

// Of one axis.
struct PhaseTaps {
  std::vector<int> taps;         // of the kernel
  std::vector<int64_t> offsets;  // of the output that a tap brings, from the phase's index
};
std::vector<PhaseTaps> phases_of(int kernel, int stride, int dilation, int64_t pad_before);

struct Band {
  int64_t image = 0;
  int64_t first = 0, rows = 0;  // of outputs
  int64_t indices =
      0;  // of input rows / stride that begin at `first`: more than `rows` in an image's last band
};

// One axis of windows over `in` positions that give `out`.
struct Axis {
  int64_t in = 0, out = 0;
  int kernel = 1, stride = 1, dilation = 1;
  int64_t pad = 0;  // before
  std::vector<PhaseTaps> phases;
  int64_t before = 0, after = 0;  // outputs around that the gradient reads, besides index 0 of a phase

  Axis(int64_t in, int64_t out, const Conv& op, int64_t pad_before);
  int64_t indices() const { return (in + stride - 1) / stride; }
  int64_t reach() const { return int64_t{kernel - 1} * dilation + 1; }
  // Positions that `outputs` windows in a row cover.
  int64_t covered(int64_t outputs) const { return (outputs - 1) * stride + reach(); }
};

// Bands of `most` output rows.
int64_t bands_of(const Axis& rows, int64_t most);
Band band(const Axis& rows, int64_t most, int64_t chunk);

}  // namespace marrow::train::native
