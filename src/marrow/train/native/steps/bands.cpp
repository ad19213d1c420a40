#include "marrow/train/native/steps/bands.h"

#include <algorithm>

namespace marrow::train::native {

std::vector<PhaseTaps> phases_of(int kernel, int stride, int dilation, int64_t pad_before) {
  std::vector<PhaseTaps> phases(static_cast<size_t>(stride));
  for (int64_t phase = 0; phase < stride; ++phase)
    for (int tap = 0; tap < kernel; ++tap) {
      const int64_t distance = phase + pad_before - int64_t{tap} * dilation;
      if (distance % stride != 0) continue;
      phases[static_cast<size_t>(phase)].taps.push_back(tap);
      phases[static_cast<size_t>(phase)].offsets.push_back(distance / stride);
    }
  return phases;
}

Axis::Axis(int64_t in_size, int64_t out_size, const Conv& op, int64_t pad_before)
    : in(in_size),
      out(out_size),
      kernel(op.kernel),
      stride(op.stride),
      dilation(op.dilation),
      pad(pad_before),
      phases(phases_of(op.kernel, op.stride, op.dilation, pad_before)) {
  for (const PhaseTaps& phase : phases)
    for (const int64_t offset : phase.offsets) {
      before = std::max(before, -offset);
      after = std::max(after, offset);
    }
}

int64_t bands_of(const Axis& rows, int64_t most) {
  return (rows.out + most - 1) / most;
}

Band band(const Axis& rows, int64_t most, int64_t chunk) {
  const int64_t bands = bands_of(rows, most);
  Band band;
  band.image = chunk / bands;
  band.first = chunk % bands * most;
  band.rows = std::min(most, rows.out - band.first);
  const bool last = band.first + band.rows == rows.out;
  const int64_t end = last ? rows.indices() : std::min(band.first + band.rows, rows.indices());
  band.indices = std::max<int64_t>(end - band.first, 0);
  return band;
}

}  // namespace marrow::train::native
