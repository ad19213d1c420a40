#include "marrow/detect/masks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "marrow/geometry/join_polygons.h"
#include "marrow/outline/raster.h"

namespace marrow::detect {
namespace {

constexpr double kNudge = 0.1;  // letterbox_geometry's

// One number of a resized row: a weighted sum of a few neighbours.
struct Taps {
  int first = 0;
  int count = 0;
  std::array<float, 4> weights = {};
};
using Axis = std::vector<Taps>;

Axis whole_axis(int size) {
  Axis axis(static_cast<size_t>(size));
  for (int i = 0; i < size; ++i) axis[static_cast<size_t>(i)] = {i, 1, {1}};
  return axis;
}

// `axis` from `begin` on for `length`, resized to `size`, linearly: half-pixel centres, clamped at the ends.
Axis resized(const Axis& axis, int begin, int length, int size) {
  Axis result;
  const double scale = static_cast<double>(length) / size;
  for (int i = 0; i < size; ++i) {
    const double at = std::max((i + 0.5) * scale - 0.5, 0.0);
    const int low = std::min(static_cast<int>(at), length - 1), high = std::min(low + 1, length - 1);
    const auto share = static_cast<float>(at - low);
    const Taps &a = axis[static_cast<size_t>(begin + low)], &b = axis[static_cast<size_t>(begin + high)];
    Taps joined{.first = a.first, .count = std::max(a.first + a.count, b.first + b.count) - a.first};
    for (int k = 0; k < a.count; ++k)
      joined.weights[static_cast<size_t>(k)] += (1 - share) * a.weights[static_cast<size_t>(k)];
    for (int k = 0; k < b.count; ++k)
      joined.weights[static_cast<size_t>(b.first - a.first + k)] += share * b.weights[static_cast<size_t>(k)];
    result.push_back(joined);
  }
  return result;
}

// Of `size` pixels of an image, which lie `ratio` apart in an input of `network` pixels, behind a padding.
Axis placed(int small, int size, int network, double ratio, double pad) {
  Axis axis;
  for (int i = 0; i < size; ++i) {
    const double in_input = (i + 0.5) * ratio + pad;
    const double at = std::clamp(in_input * small / network - 0.5, 0.0, small - 1.0);
    const int low = static_cast<int>(at);
    const auto share = static_cast<float>(at - low);
    axis.push_back({low, low + 1 < small ? 2 : 1, {1 - share, share}});
  }
  return axis;
}

int whole(double value) {
  return static_cast<int>(std::nearbyint(value));
}

// How the image's rows and columns follow from the prototypes'.
struct Axes {
  Axis x, y;
};

Axes image_axes(Size small, Size image) {
  const double height = small.height, width = small.width;
  const double gain = std::min(4 * height / image.height, 4 * width / image.width);
  const auto fitted = [&](double g, int side) { return std::max(whole(side * g), 1); };
  const int pad =
      (4 * small.width - fitted(gain, image.width)) | (4 * small.height - fitted(gain, image.height));
  const int factor = 4 / std::gcd(4, pad | (pad / 2));
  const int tall = small.height * factor, wide = small.width * factor;
  const double own =
      std::min(static_cast<double>(tall) / image.height, static_cast<double>(wide) / image.width);
  const auto cut = [&](int side, int size) {
    Axis axis = whole_axis(side / factor);
    if (factor > 1) axis = resized(axis, 0, side / factor, side);
    const int inside = std::min(fitted(own, size), side);
    return resized(axis, std::max(whole((side - inside) / 2.0 - kNudge), 0), inside, size);
  };
  return {cut(wide, image.width), cut(tall, image.height)};
}

struct PixelRange {
  int begin = 0, end = 0;
};
// The whole numbers i with low <= i < high in [0, size).
PixelRange inside(float low, float high, int size) {
  if (!(low < high)) return {};
  const auto bound = [&](float value) {
    return static_cast<int>(std::ceil(std::clamp(value, 0.0f, static_cast<float>(size))));
  };
  return {bound(low), bound(high)};
}

// All that one mask takes: sums of prototypes where its box needs them, and those resized.
class Assembly {
 public:
  Assembly(const Prototypes& prototypes, const Axes& axes) : prototypes_(prototypes), axes_(axes) {}

  void fill(const MaskRequest& request, Mask& mask) {
    const PixelRange x = inside(request.box[0], request.box[2], mask.size.width);
    const PixelRange y = inside(request.box[1], request.box[3], mask.size.height);
    if (x.begin >= x.end || y.begin >= y.end) return;
    const PixelRange columns = needed(axes_.x, x), rows = needed(axes_.y, y);
    sum(request.coefficients, rows, columns);
    const auto width = static_cast<size_t>(columns.end - columns.begin);
    row_.resize(width);
    for (int at = y.begin; at < y.end; ++at) {
      const Taps& vertical = axes_.y[static_cast<size_t>(at)];
      std::ranges::fill(row_, 0.0f);
      for (int k = 0; k < vertical.count; ++k) {
        const float weight = vertical.weights[static_cast<size_t>(k)];
        const float* const from = sums_.data() + static_cast<size_t>(vertical.first + k - rows.begin) * width;
        for (size_t i = 0; i < width; ++i) row_[i] += weight * from[i];
      }
      uint8_t* const to = &mask.at(0, at);
      for (int i = x.begin; i < x.end; ++i) {
        const Taps& taps = axes_.x[static_cast<size_t>(i)];
        const float* const from = row_.data() + (taps.first - columns.begin);
        float value = 0;
        for (int k = 0; k < taps.count; ++k) value += taps.weights[static_cast<size_t>(k)] * from[k];
        to[i] = value > 0;
      }
    }
  }

 private:
  static PixelRange needed(const Axis& axis, PixelRange range) {
    const Taps &first = axis[static_cast<size_t>(range.begin)],
               &last = axis[static_cast<size_t>(range.end - 1)];
    return {first.first, last.first + last.count};
  }

  void sum(const std::vector<float>& coefficients, PixelRange rows, PixelRange columns) {
    const auto width = static_cast<size_t>(columns.end - columns.begin);
    sums_.assign(static_cast<size_t>(rows.end - rows.begin) * width, 0);
    const int64_t plane = int64_t{prototypes_.size.height} * prototypes_.size.width;
    for (int y = rows.begin; y < rows.end; ++y) {
      float* const to = sums_.data() + static_cast<size_t>(y - rows.begin) * width;
      for (int m = 0; m < prototypes_.count; ++m) {
        const float weight = coefficients[static_cast<size_t>(m)];
        const float* const from =
            prototypes_.data + m * plane + int64_t{y} * prototypes_.size.width + columns.begin;
        for (size_t i = 0; i < width; ++i) to[i] += weight * from[i];
      }
    }
  }

  const Prototypes& prototypes_;
  const Axes& axes_;
  std::vector<float> sums_, row_;
};

std::vector<Mask> assemble(const Prototypes& prototypes, std::span<const MaskRequest> requests, Size size,
                           const Axes& axes, cpu::ThreadPool* pool) {
  std::vector<Mask> masks;
  masks.reserve(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) masks.emplace_back(size);
  const auto one = [&](int64_t i, int) {
    Assembly(prototypes, axes).fill(requests[static_cast<size_t>(i)], masks[static_cast<size_t>(i)]);
  };
  if (pool != nullptr) {
    pool->parallel_for(std::ssize(masks), one);
  } else {
    for (int64_t i = 0; i < std::ssize(masks); ++i) one(i, 0);
  }
  return masks;
}

}  // namespace

std::vector<Mask> prototype_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests,
                                  cpu::ThreadPool* pool) {
  const Axes axes = {whole_axis(prototypes.size.width), whole_axis(prototypes.size.height)};
  return assemble(prototypes, requests, prototypes.size, axes, pool);
}

std::vector<Mask> input_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests, Size input,
                              cpu::ThreadPool* pool) {
  const auto [width, height] = prototypes.size;
  const Axes axes = {resized(whole_axis(width), 0, width, input.width),
                     resized(whole_axis(height), 0, height, input.height)};
  return assemble(prototypes, requests, input, axes, pool);
}

std::vector<Mask> image_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests, Size image,
                              cpu::ThreadPool* pool) {
  return assemble(prototypes, requests, image, image_axes(prototypes.size, image), pool);
}

std::vector<Mask> placed_masks(const Prototypes& prototypes, std::span<const MaskRequest> requests,
                               Size image, Size network, const RatioPad& place) {
  const auto [width, height] = prototypes.size;
  const Axes axes = {placed(width, image.width, network.width, place.ratio_x, place.left),
                     placed(height, image.height, network.height, place.ratio_y, place.top)};
  return assemble(prototypes, requests, image, axes, nullptr);
}

std::vector<Point<void>> mask_outline(const Mask& mask) {
  std::vector<std::vector<std::array<double, 2>>> parts;
  for (const std::vector<Point<ImagePixels>>& part : outline::parts_of(mask)) {
    parts.emplace_back();
    for (const auto& [x, y] : part) parts.back().push_back({double{x}, double{y}});
  }
  std::vector<Point<void>> outline;
  for (const PartPoint& point : join_polygons(parts)) {
    const auto& [x, y] = parts[point.part][point.point];
    outline.push_back({static_cast<float>(x), static_cast<float>(y)});
  }
  return outline;
}

}  // namespace marrow::detect
