#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "marrow/image/resize.h"

namespace marrow::image {
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

// (upper * b0 + lower * b1) of rows with 7 fractional bits, rounded as OpenCV rounds it. No sum exceeds 255
// by more than the rounding of the weights.
void vertical_pass(std::span<const int16_t> upper, const int16_t* lower, int16_t b0, int16_t b1,
                   uint8_t* dst) {
  for (size_t i = 0; i < upper.size(); ++i) {
    const int value = (((b0 * upper[i]) >> 16) + ((b1 * lower[i]) >> 16) + 2) >> 2;
    dst[i] = static_cast<uint8_t>(std::clamp(value, 0, 255));
  }
}

// The same of rows with 11 fractional bits, rounded once.
void vertical_pass(std::span<const int32_t> upper, const int32_t* lower, int16_t b0, int16_t b1,
                   uint16_t* dst) {
  constexpr int kShift = 22;
  for (size_t i = 0; i < upper.size(); ++i) {
    const int64_t sum = int64_t{b0} * upper[i] + int64_t{b1} * lower[i];
    dst[i] = static_cast<uint16_t>(
        std::clamp<int64_t>((sum + (int64_t{1} << (kShift - 1))) >> kShift, 0, kMaxSample16));
  }
}

}  // namespace

LinearRows::LinearRows(ConstPixels src, int width, int height)
    : src_(src),
      row_values_(static_cast<size_t>(width) * static_cast<size_t>(src.channels)),
      copy_(src.width == width && src.height == height),
      scale_(1.0 / (static_cast<double>(height) / src.height)),
      kernel_(linear_row_kernel()) {
  assert(src.channels > 0 && src.width > 0 && src.height > 0 && width > 0 && height > 0);
  if (copy_) return;
  const auto make = [&](auto& rows) {
    rows.upper.resize(row_values_ + 1);
    rows.lower.resize(row_values_ + 1);
  };
  if (src.bits == 16)
    make(wide_rows_);
  else
    make(rows_);
  const double scale = 1.0 / (static_cast<double>(width) / src.width);
  taps_.reserve(static_cast<size_t>(width));
  constexpr int kRead = 8;  // bytes, by the vector code
  for (int x = 0; x < width; ++x) {
    auto [index, fraction] = sample_at(x, scale);
    if (index < 0) index = 0, fraction = 0.0f;
    if (index >= src.width - 1) index = src.width - 1, fraction = 0.0f;
    const int near = index * src.channels, far = std::min(index + 1, src.width - 1) * src.channels;
    if (near + kRead <= src.width * src.channels) whole_ = x + 1;
    taps_.push_back({near, far, weight(1.0f - fraction), weight(fraction)});
  }
  if (src.channels != 3 || src.bits != 8 || kernel_ == nullptr) whole_ = 0;
}

void LinearRows::horizontal_pass(int y, std::vector<int16_t>& dst) const {
  const uint8_t* src = src_.row(y);
  if (whole_ > 0) kernel_(src, taps_.data(), whole_, dst.data());
  int16_t* out = dst.data() + static_cast<ptrdiff_t>(whole_) * src_.channels;
  for (auto x = static_cast<size_t>(whole_); x < taps_.size(); ++x) {
    const LinearTap& tap = taps_[x];
    for (int c = 0; c < src_.channels; ++c)
      *out++ = static_cast<int16_t>(
          (src[tap.near + c] * tap.near_weight + src[tap.far + c] * tap.far_weight) >> 4);
  }
}

void LinearRows::horizontal_pass(int y, std::vector<int32_t>& dst) const {
  const auto* src = src_.samples<uint16_t>(y);
  int32_t* out = dst.data();
  for (const LinearTap& tap : taps_)
    for (int c = 0; c < src_.channels; ++c)
      *out++ = src[tap.near + c] * tap.near_weight + src[tap.far + c] * tap.far_weight;
}

void LinearRows::write(int y, uint8_t* dst) {
  if (copy_)
    std::memcpy(dst, src_.row(y), row_values_ * src_.format().sample_bytes());
  else if (src_.bits == 16)
    write(y, wide_rows_, reinterpret_cast<uint16_t*>(dst));
  else
    write(y, rows_, dst);
}

template <class Value, class Sample>
void LinearRows::write(int y, Rows<Value>& rows, Sample* dst) const {
  auto [index, fraction] = sample_at(y, scale_);
  // Unlike the columns, rows outside the image keep their fraction: both are then the border row.
  const int want_upper = std::clamp(index, 0, src_.height - 1);
  const int want_lower = std::clamp(index + 1, 0, src_.height - 1);
  if (want_upper != rows.upper_row) {
    if (want_upper == rows.lower_row) {
      std::swap(rows.upper, rows.lower);
      std::swap(rows.upper_row, rows.lower_row);
    } else {
      horizontal_pass(want_upper, rows.upper);
      rows.upper_row = want_upper;
    }
  }
  const int16_t upper_weight = weight(1.0f - fraction), lower_weight = weight(fraction);
  // Without weight, as in every row of an image reduced to a third, its values do not matter.
  if (lower_weight != 0 && want_lower != rows.lower_row) {
    horizontal_pass(want_lower, rows.lower);
    rows.lower_row = want_lower;
  }
  vertical_pass(std::span<const Value>(rows.upper).first(row_values_), rows.lower.data(), upper_weight,
                lower_weight, dst);
}

void resize_linear(ConstPixels src, MutablePixels dst) {
  assert(src.format() == dst.format());
  LinearRows rows(src, dst.width, dst.height);
  for (int y = 0; y < dst.height; ++y) rows.write(y, dst.row(y));
}

Image resize_linear(const Image& image, int width, int height) {
  Image resized(width, height, 0, image.format());
  resize_linear(image.pixels(), resized.pixels());
  return resized;
}

}  // namespace marrow::image
