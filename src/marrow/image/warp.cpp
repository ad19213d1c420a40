#include "marrow/image/warp.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "marrow/image/row_kernels.h"

namespace marrow::image {
namespace {

constexpr int kFractionBits = 5;
constexpr int kOne = 1 << kFractionBits;
constexpr double kPosition = 1024.0;  // affine positions are summed with 10 fractional bits

// Far outside any image, and the sum of two still fits.
constexpr double kFarAway = 1 << 30;

int32_t to_fixed(double value) {
  if (!(value > -kFarAway)) return static_cast<int32_t>(-kFarAway);  // NaN too
  return static_cast<int32_t>(std::nearbyint(std::min(value, kFarAway)));
}

bool all_taps_inside(ConstPixels src, WarpPosition p) {
  const int x = p.x >> kFractionBits, y = p.y >> kFractionBits;
  return x >= 0 && x < src.width - 1 && y >= 0 && y < src.height - 1;
}

// The four weights are products that sum to 1024, so this is (sum of w * 32768 * S + 16384) >> 15.
template <class Sample>
Sample blend(int s00, int s01, int s10, int s11, int fx, int fy) {
  const int upper = s00 * (kOne - fx) + s01 * fx;
  const int lower = s10 * (kOne - fx) + s11 * fx;
  return static_cast<Sample>((upper * (kOne - fy) + lower * fy + kOne * kOne / 2) >> (2 * kFractionBits));
}

// The pixels of one image. kFixed: its number of channels where it is known here, otherwise 0.
template <class Sample, int kFixed>
struct Source {
  ConstPixels src;
  Sample border;

  int channels() const { return kFixed > 0 ? kFixed : src.channels; }

  void pixel_inside(WarpPosition p, Sample* dst) const {
    const int next = channels();
    const Sample* upper = src.samples<Sample>(p.y >> kFractionBits) + (p.x >> kFractionBits) * next;
    const Sample* lower = upper + src.row_bytes / sizeof(Sample);
    const int fx = p.x & (kOne - 1), fy = p.y & (kOne - 1);
    for (int c = 0; c < next; ++c)
      dst[c] = blend<Sample>(upper[c], upper[c + next], lower[c], lower[c + next], fx, fy);
  }

  void pixel_at_border(WarpPosition p, Sample* dst) const {
    const int x = p.x >> kFractionBits, y = p.y >> kFractionBits;
    const int fx = p.x & (kOne - 1), fy = p.y & (kOne - 1);
    if (x < -1 || x >= src.width || y < -1 || y >= src.height) {
      std::fill_n(dst, channels(), border);
      return;
    }
    const auto tap = [&](int tx, int ty, int c) -> int {
      return tx < 0 || ty < 0 || tx >= src.width || ty >= src.height
                 ? border
                 : src.samples<Sample>(ty)[tx * channels() + c];
    };
    for (int c = 0; c < channels(); ++c)
      dst[c] = blend<Sample>(tap(x, y, c), tap(x + 1, y, c), tap(x, y + 1, c), tap(x + 1, y + 1, c), fx, fy);
  }
};

// function(Source) of the image's kind.
template <class Function>
void with_source(ConstPixels src, uint8_t border, const Function& function) {
  if (src.bits == 16)
    function(Source<uint16_t, 0>{src, static_cast<uint16_t>(border * 257)});
  else if (src.channels == 3)
    function(Source<uint8_t, 3>{src, border});
  else
    function(Source<uint8_t, 0>{src, border});
}

template <class Sample, int kFixed>
void warp_affine(const Source<Sample, kFixed>& source, const Matrix3& m, MutablePixels dst) {
  const ConstPixels& src = source.src;
  const int step = source.channels();
  const double determinant = m[0] * m[4] - m[1] * m[3];
  const double d = determinant != 0 ? 1.0 / determinant : 0.0;
  const double a0 = m[4] * d, a1 = -m[1] * d, a3 = -m[3] * d, a4 = m[0] * d;
  const double b0 = -a0 * m[2] - a1 * m[5], b1 = -a3 * m[2] - a4 * m[5];

  std::vector<WarpPosition> along_row(static_cast<size_t>(dst.width));
  for (int x = 0; x < dst.width; ++x)
    along_row[static_cast<size_t>(x)] = {to_fixed(a0 * x * kPosition), to_fixed(a3 * x * kPosition)};

  const RowKernels kernels = row_kernels();  // of three bytes a pixel
  constexpr int kHalf = 1 << (10 - kFractionBits - 1);
  for (int y = 0; y < dst.height; ++y) {
    const WarpPosition start{to_fixed((a1 * y + b0) * kPosition) + kHalf,
                             to_fixed((a4 * y + b1) * kPosition) + kHalf};
    const auto position = [&](int x) {
      const WarpPosition step = along_row[static_cast<size_t>(x)];
      return WarpPosition{(start.x + step.x) >> (10 - kFractionBits),
                          (start.y + step.y) >> (10 - kFractionBits)};
    };
    // Positions run in one direction, so the pixels with all taps inside are neighbours.
    Sample* out = dst.samples<Sample>(y);
    int first = 0, last = dst.width;
    for (; first < last && !all_taps_inside(src, position(first)); ++first)
      source.pixel_at_border(position(first), out + first * step);
    for (; last > first && !all_taps_inside(src, position(last - 1)); --last)
      source.pixel_at_border(position(last - 1), out + (last - 1) * step);
    if constexpr (kFixed == 3)
      if (kernels.warp != nullptr && first < last)
        first += kernels.warp(src, start, along_row.data() + first, last - first, out + first * 3);
    for (int x = first; x < last; ++x) source.pixel_inside(position(x), out + x * step);
  }
}

template <class Sample, int kFixed>
void warp_perspective(const Source<Sample, kFixed>& source, const Matrix3& m, MutablePixels dst) {
  const double determinant = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
                             m[2] * (m[3] * m[7] - m[4] * m[6]);
  const double d = determinant != 0 ? 1.0 / determinant : 0.0;
  const Matrix3 a = {
      (m[4] * m[8] - m[5] * m[7]) * d, (m[2] * m[7] - m[1] * m[8]) * d, (m[1] * m[5] - m[2] * m[4]) * d,
      (m[5] * m[6] - m[3] * m[8]) * d, (m[0] * m[8] - m[2] * m[6]) * d, (m[2] * m[3] - m[0] * m[5]) * d,
      (m[3] * m[7] - m[4] * m[6]) * d, (m[1] * m[6] - m[0] * m[7]) * d, (m[0] * m[4] - m[1] * m[3]) * d};
  for (int y = 0; y < dst.height; ++y)
    for (int x = 0; x < dst.width; ++x) {
      const double w = a[6] * x + a[7] * y + a[8];
      const double scale = w != 0 ? kOne / w : 0.0;
      const WarpPosition position{to_fixed((a[0] * x + a[1] * y + a[2]) * scale),
                                  to_fixed((a[3] * x + a[4] * y + a[5]) * scale)};
      Sample* out = dst.samples<Sample>(y) + x * source.channels();
      if (all_taps_inside(source.src, position))
        source.pixel_inside(position, out);
      else
        source.pixel_at_border(position, out);
    }
}

}  // namespace

void warp_affine(ConstPixels src, const Matrix3& matrix, MutablePixels dst, uint8_t border) {
  assert(src.format() == dst.format());
  with_source(src, border, [&](const auto& source) { warp_affine(source, matrix, dst); });
}

void warp_perspective(ConstPixels src, const Matrix3& matrix, MutablePixels dst, uint8_t border) {
  assert(src.format() == dst.format());
  with_source(src, border, [&](const auto& source) { warp_perspective(source, matrix, dst); });
}

}  // namespace marrow::image
