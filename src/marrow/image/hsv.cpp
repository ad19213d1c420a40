#include "marrow/image/hsv.h"

#include <algorithm>
#include <cmath>

#include "marrow/image/hsv_constants.h"
#include "marrow/image/row_kernels.h"

namespace marrow::image {
namespace {

struct Hsv {
  uint8_t h, s, v;
};

inline Hsv to_hsv(int b, int g, int r) {
  const int v = std::max({b, g, r});
  const int d = v - std::min({b, g, r});
  const int s = (d * kSaturationFactors[static_cast<size_t>(v)] + kHsvHalf) >> kHsvShift;
  int h = r - g + 4 * d;
  h = v == g ? b - r + 2 * d : h;
  h = v == r ? g - b : h;
  h = (h * kHueFactors[static_cast<size_t>(d)] + kHsvHalf) >> kHsvShift;
  h += h < 0 ? kHues : 0;
  return {static_cast<uint8_t>(h), static_cast<uint8_t>(s), static_cast<uint8_t>(v)};
}

// Which of (v, p, q, t) is blue, green, red in each sixth of the circle.
constexpr uint8_t kV = 0, kP = 1, kQ = 2, kT = 3;
constexpr uint8_t kChannels[6][3] = {{kP, kT, kV}, {kP, kV, kQ}, {kT, kV, kP},
                                     {kV, kQ, kP}, {kV, kP, kT}, {kQ, kP, kV}};

struct HuePosition {
  float fraction;
  const uint8_t* channels;
};

std::array<HuePosition, 256> hue_positions() {
  std::array<HuePosition, 256> table{};
  for (int h = 0; h < 256; ++h) {
    const float position = static_cast<float>(h) * (6.0f / kHues);
    const float sector = std::floor(position);
    table[static_cast<size_t>(h)] = {position - sector, kChannels[static_cast<int>(sector) % 6]};
  }
  return table;
}

const std::array<HuePosition, 256> kHuePositions = hue_positions();

// 1 - a * b with one rounding, as a fused multiply-add gives it; the product is exact in double precision.
float fused_complement(float a, float b) {
  return static_cast<float>(1.0 - static_cast<double>(a) * static_cast<double>(b));
}

// OpenCV's vector code cuts off, and its compiler fused multiplications with additions.
void to_bgr_as_vector(Hsv pixel, uint8_t* dst) {
  const HuePosition& hue = kHuePositions[pixel.h];
  const float s = static_cast<float>(pixel.s) * (1.0f / 255), v = static_cast<float>(pixel.v) * (1.0f / 255);
  const float parts[] = {v, v * (1 - s), v * fused_complement(s, hue.fraction),
                         v * fused_complement(s, 1 - hue.fraction)};
  for (int c = 0; c < 3; ++c) dst[c] = static_cast<uint8_t>(parts[hue.channels[c]] * 255.0f);
}

void to_bgr_as_scalar(Hsv pixel, uint8_t* dst) {
  const HuePosition& hue = kHuePositions[pixel.h];
  const float s = static_cast<float>(pixel.s) * (1.0f / 255), v = static_cast<float>(pixel.v) * (1.0f / 255);
  const float parts[] = {v, v * (1 - s), v * (1 - s * hue.fraction), v * (1 - s + s * hue.fraction)};
  for (int c = 0; c < 3; ++c) dst[c] = static_cast<uint8_t>(std::nearbyint(parts[hue.channels[c]] * 255.0f));
}

int vector_part(int width) {
  return width / kHsvVectorPixels * kHsvVectorPixels;
}

HsvTables adjustments(const HsvDraws& draws) {
  HsvTables tables;
  for (int x = 0; x < 256; ++x) {
    const auto i = static_cast<size_t>(x);
    double hue = std::fmod(x + draws.h * kHues, kHues);
    if (hue < 0) hue += kHues;
    tables.h[i] = static_cast<int32_t>(hue);
    tables.s[i] = static_cast<int32_t>(std::clamp(x * (1 + draws.s), 0.0, 255.0));
    tables.v[i] = static_cast<int32_t>(std::clamp(x * (1 + draws.v), 0.0, 255.0));
  }
  tables.s[0] = 0;
  return tables;
}

}  // namespace

void bgr_to_hsv(const uint8_t* src, int width, uint8_t* dst) {
  for (int x = 0; x < width; ++x, src += 3, dst += 3) {
    const Hsv pixel = to_hsv(src[0], src[1], src[2]);
    dst[0] = pixel.h, dst[1] = pixel.s, dst[2] = pixel.v;
  }
}

void hsv_to_bgr(const uint8_t* src, int width, uint8_t* dst) {
  const int blocks = vector_part(width);
  for (int x = 0; x < width; ++x, src += 3, dst += 3) {
    const Hsv pixel{src[0], src[1], src[2]};
    (x < blocks ? to_bgr_as_vector : to_bgr_as_scalar)(pixel, dst);
  }
}

HsvDraws draw_hsv(const HsvRange& range, Random& random) {
  HsvDraws draws;
  draws.h = random.uniform(-1, 1) * range.h;
  draws.s = random.uniform(-1, 1) * range.s;
  draws.v = random.uniform(-1, 1) * range.v;
  return draws;
}

void adjust_hsv_row(uint8_t* row, int width, const HsvTables& tables) {
  bgr_to_hsv(row, width, row);
  for (int x = 0; x < width; ++x) {
    row[3 * x] = static_cast<uint8_t>(tables.h[row[3 * x]]);
    row[3 * x + 1] = static_cast<uint8_t>(tables.s[row[3 * x + 1]]);
    row[3 * x + 2] = static_cast<uint8_t>(tables.v[row[3 * x + 2]]);
  }
  hsv_to_bgr(row, width, row);
}

void adjust_hsv(Image& image, const HsvDraws& draws) {
  if (image.format() != SampleFormat() || (draws.h == 0 && draws.s == 0 && draws.v == 0)) return;
  const HsvTables tables = adjustments(draws);
  const RowKernels kernels = row_kernels();
  for (int y = 0; y < image.height(); ++y) {
    uint8_t* row = image.row(y);
    const int done = kernels.adjust_hsv == nullptr ? 0 : kernels.adjust_hsv(row, image.width(), tables);
    adjust_hsv_row(row + 3 * done, image.width() - done, tables);
  }
}

}  // namespace marrow::image
