#include "marrow/loss/mask_term.h"

#include <algorithm>
#include <cmath>

namespace marrow::loss {
namespace {

// Two neighbours of a place on an axis that is resized from `from` to `to` numbers.
struct Neighbours {
  int64_t low = 0, high = 0;
  double share = 0;  // of the high one
};
std::vector<Neighbours> neighbours(int64_t from, int64_t to) {
  std::vector<Neighbours> axis;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    const double at = std::max((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0);
    const int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    axis.push_back({low, std::min(low + 1, from - 1), at - static_cast<double>(low)});
  }
  return axis;
}

// Calls visit(place in the resized plane, place in the map's, weight) for all that is not 0.
template <class Visit>
void for_each_weight(int64_t from_height, int64_t from_width, int64_t height, int64_t width,
                     const Visit& visit) {
  if (from_height == height && from_width == width) {
    for (int64_t i = 0; i < height * width; ++i) visit(i, i, 1.0);
    return;
  }
  const auto rows = neighbours(from_height, height), columns = neighbours(from_width, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const Neighbours &row = rows[static_cast<size_t>(y)], &column = columns[static_cast<size_t>(x)];
      const int64_t place = y * width + x;
      visit(place, row.low * from_width + column.low, (1 - row.share) * (1 - column.share));
      visit(place, row.low * from_width + column.high, (1 - row.share) * column.share);
      visit(place, row.high * from_width + column.low, row.share * (1 - column.share));
      visit(place, row.high * from_width + column.high, row.share * column.share);
    }
}

bool is_object(const ObjectMask& mask, int64_t place) {
  const auto index = static_cast<size_t>(mask.plane + place);
  const int64_t number = mask.masks->dtype() == DType::kUInt8 ? mask.masks->values<uint8_t>()[index]
                                                              : mask.masks->values<int32_t>()[index];
  return mask.wanted == 0 ? number != 0 : number == mask.wanted;
}

// The whole numbers i with low <= i < high in [0, size).
std::pair<int64_t, int64_t> whole_numbers(double low, double high, int64_t size) {
  if (!(low < high)) return {0, 0};
  const auto bound = [&](double value) {
    return static_cast<int64_t>(std::ceil(std::clamp(value, 0.0, static_cast<double>(size))));
  };
  return {bound(low), bound(high)};
}

}  // namespace

template <class T>
PlanarPrototypes<T> planar(const MapView<const T>& map, int64_t image, int64_t height, int64_t width,
                           bool with_gradient) {
  PlanarPrototypes<T> prototypes{map.channels, height, width, {}, {}};
  prototypes.values.assign(static_cast<size_t>(map.channels * height * width), T{0});
  if (with_gradient) prototypes.gradient.assign(prototypes.values.size(), T{0});
  for (int64_t c = 0; c < map.channels; ++c) {
    const T* const from = map.channel(image, c);
    T* const to = prototypes.values.data() + c * height * width;
    for_each_weight(map.height, map.width, height, width, [&](int64_t place, int64_t source, double weight) {
      to[place] += static_cast<T>(weight) * from[source * map.lanes];
    });
  }
  return prototypes;
}

template <class T>
void write_gradient(const PlanarPrototypes<T>& prototypes, const MapView<T>& map, int64_t image) {
  fill_with_zeros(map, image);
  const int64_t pixels = prototypes.height * prototypes.width;
  for (int64_t c = 0; c < map.channels; ++c) {
    const T* const from = prototypes.gradient.data() + c * pixels;
    T* const to = map.channel(image, c);
    for_each_weight(map.height, map.width, prototypes.height, prototypes.width,
                    [&](int64_t place, int64_t source, double weight) {
                      to[source * map.lanes] += static_cast<T>(weight) * from[place];
                    });
  }
}

template <class T>
double mask_term(PlanarPrototypes<T>& prototypes, std::span<const double> coefficients,
                 const ObjectMask& mask, const MaskRegion& region, double scale,
                 std::span<double> coefficient_gradient) {
  const int64_t pixels = prototypes.height * prototypes.width;
  const auto [left, right] = whole_numbers(region.x1, region.x2, prototypes.width);
  const auto [top, bottom] = whole_numbers(region.y1, region.y2, prototypes.height);
  if (left >= right || top >= bottom) return 0;  // also where the share is 0
  const double each = 1 / (static_cast<double>(pixels) * region.share);
  double sum = 0;
  std::vector<T> logits(static_cast<size_t>(right - left));
  for (int64_t y = top; y < bottom; ++y) {
    const int64_t first = y * prototypes.width + left;
    std::ranges::fill(logits, T{0});
    for (int64_t c = 0; c < prototypes.count; ++c) {
      const T* const row = prototypes.values.data() + c * pixels + first;
      const auto weight = static_cast<T>(coefficients[static_cast<size_t>(c)]);
      for (size_t i = 0; i < logits.size(); ++i) logits[i] += weight * row[i];
    }
    for (size_t i = 0; i < logits.size(); ++i) {
      const double logit = logits[i], wanted = is_object(mask, first + static_cast<int64_t>(i)) ? 1 : 0;
      const double e = std::exp(-std::abs(logit)), near_one = 1 / (1 + e);
      sum += std::log1p(e) + std::max(logit, 0.0) - logit * wanted;
      logits[i] = static_cast<T>(scale * each * ((logit < 0 ? e * near_one : near_one) - wanted));
    }
    if (prototypes.gradient.empty()) continue;
    for (int64_t c = 0; c < prototypes.count; ++c) {
      const T* const row = prototypes.values.data() + c * pixels + first;
      T* const gradient = prototypes.gradient.data() + c * pixels + first;
      const auto weight = static_cast<T>(coefficients[static_cast<size_t>(c)]);
      T of_coefficient = 0;
      for (size_t i = 0; i < logits.size(); ++i) {
        of_coefficient += logits[i] * row[i];
        gradient[i] += logits[i] * weight;
      }
      coefficient_gradient[static_cast<size_t>(c)] += of_coefficient;
    }
  }
  return sum * each;
}

#define MARROW_MASK_TERM(T)                                                                      \
  template PlanarPrototypes<T> planar(const MapView<const T>&, int64_t, int64_t, int64_t, bool); \
  template void write_gradient(const PlanarPrototypes<T>&, const MapView<T>&, int64_t);          \
  template double mask_term(PlanarPrototypes<T>&, std::span<const double>, const ObjectMask&,    \
                            const MaskRegion&, double, std::span<double>);
MARROW_MASK_TERM(float)
MARROW_MASK_TERM(double)
#undef MARROW_MASK_TERM

}  // namespace marrow::loss
