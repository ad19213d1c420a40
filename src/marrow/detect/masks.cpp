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
constexpr size_t kMostTaps = 4;
struct Taps {
  int first = 0;
  int count = 0;
  std::array<float, kMostTaps> weights = {};  // 0 beyond the count
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

// The taps of some neighbouring numbers, side by side, all of them with as many as the one that has most.
class TapColumns {
 public:
  // Of `axis` those of the range, of a row that begins with number `begin`.
  void take(const Axis& axis, PixelRange range, int begin) {
    most_ = 1;
    first_.clear();
    for (std::vector<float>& weights : weights_) weights.clear();
    for (int i = range.begin; i < range.end; ++i) {
      const Taps& taps = axis[static_cast<size_t>(i)];
      most_ = std::max(most_, taps.count);
      first_.push_back(taps.first - begin);
      for (size_t k = 0; k < kMostTaps; ++k) weights_[k].push_back(taps.weights[k]);
    }
  }

  // marks[i]: whether the sum for number i is above 0. Behind the row lie kMostTaps zeros.
  void mark_positive(const float* row, uint8_t* marks) const {
    const size_t count = first_.size();
    const int* const first = first_.data();
    const float *const a = weights_[0].data(), *const b = weights_[1].data();
    if (most_ <= 2) {
      for (size_t i = 0; i < count; ++i) marks[i] = a[i] * row[first[i]] + b[i] * row[first[i] + 1] > 0;
      return;
    }
    const float *const c = weights_[2].data(), *const d = weights_[3].data();
    for (size_t i = 0; i < count; ++i) {
      const float* const from = row + first[i];
      marks[i] = a[i] * from[0] + b[i] * from[1] + c[i] * from[2] + d[i] * from[3] > 0;
    }
  }

 private:
  int most_ = 1;
  std::vector<int> first_;
  std::array<std::vector<float>, kMostTaps> weights_;
};

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
    row_.assign(width + kMostTaps, 0);
    columns_.take(axes_.x, x, columns.begin);
    for (int at = y.begin; at < y.end; ++at) {
      const Taps& vertical = axes_.y[static_cast<size_t>(at)];
      std::fill_n(row_.begin(), width, 0.0f);
      for (int k = 0; k < vertical.count; ++k) {
        const float weight = vertical.weights[static_cast<size_t>(k)];
        const float* const from = sums_.data() + static_cast<size_t>(vertical.first + k - rows.begin) * width;
        for (size_t i = 0; i < width; ++i) row_[i] += weight * from[i];
      }
      columns_.mark_positive(row_.data(), &mask.at(x.begin, at));
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
  TapColumns columns_;
  std::vector<float> sums_, row_;
};

std::vector<Mask> assemble(const Prototypes& prototypes, std::span<const MaskRequest> requests, Size size,
                           const Axes& axes, cpu::ThreadPool* pool) {
  std::vector<Mask> masks(requests.size());
  const auto one = [&](int64_t i, int) {
    Mask& mask = masks[static_cast<size_t>(i)];
    mask = Mask(size);  // here, so that threads share the clearing of memory
    Assembly(prototypes, axes).fill(requests[static_cast<size_t>(i)], mask);
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
