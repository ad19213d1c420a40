#include "marrow/data/outline_parts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/geometry/join_polygons.h"

namespace marrow::data {

std::vector<std::span<const Point<Normalised, double>>> parts_of(const Polygon& polygon,
                                                                 const PartStarts& starts) {
  const std::span<const Point<Normalised, double>> all = polygon;
  std::vector<std::span<const Point<Normalised, double>>> parts;
  size_t begin = 0;
  for (const uint32_t start : starts) {
    parts.push_back(all.subspan(begin, start - begin));
    begin = start;
  }
  parts.push_back(all.subspan(begin));
  return parts;
}

std::vector<std::span<const Point<Normalised, double>>> parts_of(const ImageLabels& image, size_t label) {
  return parts_of(image.polygons[label], image.parts.empty() ? PartStarts() : image.parts[label]);
}

double exact_pixels(double share, int side) {
  const double rounded = std::round(share * side * 1e6) / 1e6;
  return rounded == 0 ? 0.0 : rounded;  // no minus zero
}

Polygon joined_parts(const LabelledImage& image, size_t label) {
  const auto parts = parts_of(image, label);
  if (parts.size() == 1) return image.polygons[label];
  size_t pairs = 0;
  for (size_t i = 0; i + 1 < parts.size() && pairs <= kMostPairs; ++i)
    pairs += parts[i].size() * parts[i + 1].size();
  if (pairs > kMostPairs) {
    const auto largest = std::ranges::max_element(parts, {}, [](const auto& part) { return part.size(); });
    return {largest->begin(), largest->end()};
  }
  std::vector<std::vector<std::array<double, 2>>> copies;
  for (const auto& part : parts) {
    copies.emplace_back();
    for (const auto& [x, y] : part)
      copies.back().push_back({exact_pixels(x, image.width), exact_pixels(y, image.height)});
  }
  Polygon joined;
  for (const PartPoint& point : join_polygons(copies)) joined.push_back(parts[point.part][point.point]);
  return joined;
}

}  // namespace marrow::data
