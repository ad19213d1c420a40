#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "image/resize.h"

namespace marrow {
namespace {

constexpr int kWeightOne = 2048;  // weights have 11 fractional bits

// Where an output pixel lies between two input pixels.
struct Sample {
  int index;       // the lower pixel; may be -1 or the last
  float fraction;  // towards the next pixel
};

Sample sample_at(int output, double scale) {
  float position = static_cast<float>((output + 0.5) * scale - 0.5);
  int index = static_cast<int>(std::floor(position));
  return {index, position - static_cast<float>(index)};
}

int16_t weight(float part) {
  return static_cast<int16_t>(std::lrintf(part * kWeightOne));
}  // halves to even

// Horizontal pass of one row: dst[x] = src[near] * a0 + src[far] * a1, 11 fractional bits.
// Offsets are in bytes and per output byte, so that the loop does not care for channels.
struct HorizontalTable {
  std::vector<int32_t> near_offset, far_offset;
  std::vector<int16_t> near_weight, far_weight;
};

HorizontalTable horizontal_table(int src_width, int dst_width, int channels) {
  HorizontalTable table;
  size_t count = static_cast<size_t>(dst_width) * static_cast<size_t>(channels);
  table.near_offset.reserve(count);
  table.far_offset.reserve(count);
  table.near_weight.reserve(count);
  table.far_weight.reserve(count);
  double scale = 1.0 / (static_cast<double>(dst_width) / src_width);
  for (int x = 0; x < dst_width; ++x) {
    auto [index, fraction] = sample_at(x, scale);
    if (index < 0) index = 0, fraction = 0.0f;
    if (index >= src_width - 1) index = src_width - 1, fraction = 0.0f;
    int next = std::min(index + 1, src_width - 1);
    for (int c = 0; c < channels; ++c) {
      table.near_offset.push_back(index * channels + c);
      table.far_offset.push_back(next * channels + c);
      table.near_weight.push_back(weight(1.0f - fraction));
      table.far_weight.push_back(weight(fraction));
    }
  }
  return table;
}

void horizontal_pass(const uint8_t* src, const HorizontalTable& table, std::vector<int32_t>& dst) {
  for (size_t i = 0; i < dst.size(); ++i) {
    dst[i] =
        src[table.near_offset[i]] * table.near_weight[i] + src[table.far_offset[i]] * table.far_weight[i];
  }
}

void vertical_pass(const std::vector<int32_t>& upper, const std::vector<int32_t>& lower, int b0, int b1,
                   uint8_t* dst) {
  for (size_t i = 0; i < upper.size(); ++i) {
    int value = (((b0 * (upper[i] >> 4)) >> 16) + ((b1 * (lower[i] >> 4)) >> 16) + 2) >> 2;
    dst[i] = static_cast<uint8_t>(std::clamp(value, 0, 255));
  }
}

}  // namespace

void resize_linear(ConstPixels src, MutablePixels dst) {
  assert(src.channels == dst.channels && src.width > 0 && src.height > 0);
  size_t row_values = static_cast<size_t>(dst.width) * static_cast<size_t>(dst.channels);
  if (src.width == dst.width && src.height == dst.height) {
    for (int y = 0; y < dst.height; ++y) std::memcpy(dst.row(y), src.row(y), row_values);
    return;
  }
  HorizontalTable table = horizontal_table(src.width, dst.width, dst.channels);
  double scale = 1.0 / (static_cast<double>(dst.height) / src.height);
  // The two input rows in use; enlarging meets each many times.
  std::vector<int32_t> upper(row_values), lower(row_values);
  int upper_row = -1, lower_row = -1;
  for (int y = 0; y < dst.height; ++y) {
    auto [index, fraction] = sample_at(y, scale);
    // Unlike the columns, rows outside the picture keep their fraction: both are then the border row.
    int want_upper = std::clamp(index, 0, src.height - 1);
    int want_lower = std::clamp(index + 1, 0, src.height - 1);
    if (want_upper != upper_row) {
      if (want_upper == lower_row) {
        std::swap(upper, lower);
        std::swap(upper_row, lower_row);
      } else {
        horizontal_pass(src.row(want_upper), table, upper);
        upper_row = want_upper;
      }
    }
    if (want_lower != lower_row) {
      horizontal_pass(src.row(want_lower), table, lower);
      lower_row = want_lower;
    }
    vertical_pass(upper, lower, weight(1.0f - fraction), weight(fraction), dst.row(y));
  }
}

Image resize_linear(const Image& image, int width, int height) {
  Image resized(width, height);
  resize_linear(image.pixels(), resized.pixels());
  return resized;
}

}  // namespace marrow
