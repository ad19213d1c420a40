#include "marrow/loader/augment/rand_augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "marrow/geometry/letterbox.h"
#include "marrow/image/warp.h"

namespace marrow::loader {
namespace {

// What full strength means.
constexpr double kShear = 0.3;  // pixels a pixel
constexpr double kRotateDegrees = 30.0;
constexpr double kBlend = 0.9;          // factors 0.1 to 1.9
constexpr double kPosterizeBits = 4.0;  // taken away

constexpr size_t kChannels = 3;  // of what has colours

using ChannelTable = std::array<uint8_t, 256>;

uint8_t to_byte(double value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
}

void warp_about_middle(image::Image& image, double a, double b, double c, double d, double x, double y) {
  const double middle_x = (image.width() - 1) / 2.0, middle_y = (image.height() - 1) / 2.0;
  const image::Matrix3 matrix = {a, b, middle_x - a * middle_x - b * middle_y + x,
                                 c, d, middle_y - c * middle_x - d * middle_y + y,
                                 0, 0, 1};
  image::Image moved(image.width(), image.height(), 0, image.format());
  image::warp_affine(image.pixels(), matrix, moved.pixels(), kLetterboxGrey);
  image = std::move(moved);
}

void for_each_byte(image::Image& image, auto&& change) {
  for (int y = 0; y < image.height(); ++y)
    for (size_t i = 0; i < image.row_bytes(); ++i) change(image.row(y)[i], i % kChannels);
}

// Pillow's weights of blue, green and red.
int luminance(const uint8_t* pixel) {
  return (pixel[0] * 7471 + pixel[1] * 38470 + pixel[2] * 19595 + 0x8000) >> 16;
}

uint8_t blend(double from, uint8_t to, double factor) {
  return to_byte(from + factor * (to - from));
}

void change_colour(image::Image& image, double factor) {
  for (int y = 0; y < image.height(); ++y)
    for (size_t i = 0; i < image.row_bytes(); i += kChannels) {
      uint8_t* pixel = image.row(y) + i;
      const int grey = luminance(pixel);
      for (size_t c = 0; c < kChannels; ++c) pixel[c] = blend(grey, pixel[c], factor);
    }
}

void change_contrast(image::Image& image, double factor) {
  double sum = 0;
  for (int y = 0; y < image.height(); ++y)
    for (size_t i = 0; i < image.row_bytes(); i += kChannels) sum += luminance(image.row(y) + i);
  const double mean = std::floor(sum / (static_cast<double>(image.width()) * image.height()) + 0.5);
  for_each_byte(image, [&](uint8_t& value, size_t) { value = blend(mean, value, factor); });
}

// Away from, or towards, the image smoothed by (1 1 1, 1 5 1, 1 1 1) / 13; its border stays.
void change_sharpness(image::Image& image, double factor) {
  const image::Image before = image;
  for (int y = 1; y + 1 < image.height(); ++y)
    for (size_t i = kChannels; i + kChannels < image.row_bytes(); ++i) {
      int sum = 4 * before.row(y)[i];
      for (int row = y - 1; row <= y + 1; ++row)
        sum += before.row(row)[i - kChannels] + before.row(row)[i] + before.row(row)[i + kChannels];
      image.row(y)[i] = blend((sum + 6) / 13, before.row(y)[i], factor);
    }
}

using Histogram = std::array<int64_t, 256>;

std::array<Histogram, 3> histograms(image::Image& image) {
  std::array<Histogram, 3> result{};
  for_each_byte(image, [&](uint8_t value, size_t channel) { ++result[channel][value]; });
  return result;
}

// Each channel by a table made from its histogram.
void remap(image::Image& image, ChannelTable (*table_of)(const Histogram&)) {
  std::array<ChannelTable, 3> tables;
  std::ranges::transform(histograms(image), tables.begin(), table_of);
  for_each_byte(image, [&](uint8_t& value, size_t channel) { value = tables[channel][value]; });
}

// The darkest value becomes 0, the brightest 255.
ChannelTable stretched(const Histogram& counts) {
  const auto is_used = [](int64_t count) { return count > 0; };
  const auto low = std::ranges::find_if(counts, is_used) - counts.begin();
  const auto high = 255 - (std::find_if(counts.rbegin(), counts.rend(), is_used) - counts.rbegin());
  ChannelTable table;
  for (int i = 0; i < 256; ++i)
    table[static_cast<size_t>(i)] =
        low < high ? to_byte((i - low) * 255.0 / static_cast<double>(high - low)) : static_cast<uint8_t>(i);
  return table;
}

// All values about equally frequent, as Pillow does it.
ChannelTable equalized(const Histogram& counts) {
  int64_t total = 0, last = 0;
  for (const int64_t count : counts) {
    total += count;
    if (count > 0) last = count;
  }
  const int64_t step = (total - last) / 255;
  ChannelTable table;
  int64_t sum = step / 2;
  for (size_t i = 0; i < 256; ++i) {
    table[i] = step == 0 ? static_cast<uint8_t>(i) : static_cast<uint8_t>(std::min<int64_t>(sum / step, 255));
    sum += counts[i];
  }
  return table;
}

}  // namespace

void apply_operation(image::Image& image, AugmentOperation operation, double strength) {
  if (image.empty()) return;
  const bool moves = operation <= AugmentOperation::kRotate;
  if (!moves && image.format() != SampleFormat()) return;
  const double size = std::abs(strength);
  switch (operation) {
    case AugmentOperation::kIdentity:
      return;
    case AugmentOperation::kShearX:
      return warp_about_middle(image, 1, strength * kShear, 0, 1, 0, 0);
    case AugmentOperation::kShearY:
      return warp_about_middle(image, 1, 0, strength * kShear, 1, 0, 0);
    case AugmentOperation::kTranslateX:
      return warp_about_middle(image, 1, 0, 0, 1, strength * kTranslateShare * image.width(), 0);
    case AugmentOperation::kTranslateY:
      return warp_about_middle(image, 1, 0, 0, 1, 0, strength * kTranslateShare * image.height());
    case AugmentOperation::kRotate: {
      const double angle = strength * kRotateDegrees * std::numbers::pi / 180;
      return warp_about_middle(image, std::cos(angle), std::sin(angle), -std::sin(angle), std::cos(angle), 0,
                               0);
    }
    case AugmentOperation::kBrightness:
      return for_each_byte(image, [&](uint8_t& v, size_t) { v = blend(0, v, 1 + strength * kBlend); });
    case AugmentOperation::kColour:
      return change_colour(image, 1 + strength * kBlend);
    case AugmentOperation::kContrast:
      return change_contrast(image, 1 + strength * kBlend);
    case AugmentOperation::kSharpness:
      return change_sharpness(image, 1 + strength * kBlend);
    case AugmentOperation::kPosterize: {
      const int removed = static_cast<int>(std::nearbyint(size * kPosterizeBits));
      return for_each_byte(image,
                           [&](uint8_t& v, size_t) { v = static_cast<uint8_t>(v >> removed << removed); });
    }
    case AugmentOperation::kSolarize: {
      const double threshold = 255 * (1 - size);
      return for_each_byte(image, [&](uint8_t& v, size_t) {
        if (v >= threshold) v = static_cast<uint8_t>(255 - v);
      });
    }
    case AugmentOperation::kAutoContrast:
      return remap(image, stretched);
    case AugmentOperation::kEqualize:
      return remap(image, equalized);
    case AugmentOperation::kInvert:
      return for_each_byte(image, [](uint8_t& v, size_t) { v = static_cast<uint8_t>(255 - v); });
  }
}

void rand_augment(image::Image& image, const RandAugmentSettings& settings, Random& random) {
  for (int i = 0; i < settings.operations; ++i) {
    const auto operation = static_cast<AugmentOperation>(random.below(kRandAugmentOperations));
    const bool other_way = random.uniform() < 0.5;
    apply_operation(image, operation, other_way ? -settings.strength : settings.strength);
  }
}

}  // namespace marrow::loader
