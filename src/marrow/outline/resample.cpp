#include "marrow/outline/resample.h"

#include <algorithm>
#include <cmath>

namespace marrow::outline {
namespace {

// Number i of `count` even steps from 0 to `end`, which is the last.
double step(size_t i, size_t count, double end) {
  if (count == 1) return 0;
  return i + 1 == count ? end : static_cast<double>(i) * (end / static_cast<double>(count - 1));
}

float between(double from, double to, double share) {
  return static_cast<float>((to - from) * share + from);
}

}  // namespace

template <class Space>
std::vector<Point<Space>> resampled(std::span<const Point<Space>> points, size_t count) {
  if (points.size() == count) return {points.begin(), points.end()};
  const size_t corners = points.size() + 1;  // the first again at the end
  const double end = static_cast<double>(corners - 1);
  std::vector<Point<Space>> result;
  result.reserve(count);
  const auto add = [&](double position) {
    const size_t low = std::min(static_cast<size_t>(position), corners - 2);
    const Point<Space>&from = points[low], &to = points[(low + 1) % points.size()];
    const double share = position - static_cast<double>(low);
    result.push_back({between(from.x, to.x, share), between(from.y, to.y, share)});
  };
  if (corners >= count) {
    for (size_t i = 0; i < count; ++i) add(step(i, count, end));
    return result;
  }
  const size_t more = count - corners;
  size_t corner = 0;
  for (size_t i = 0; i < more; ++i) {
    const double position = step(i, more, end);
    while (corner < corners && static_cast<double>(corner) < position) add(static_cast<double>(corner++));
    add(position);
  }
  while (corner < corners) add(static_cast<double>(corner++));
  return result;
}

template std::vector<Point<Normalised>> resampled(std::span<const Point<Normalised>>, size_t);
template std::vector<Point<ImagePixels>> resampled(std::span<const Point<ImagePixels>>, size_t);

size_t common_count(size_t outlines, size_t longest, size_t usual) {
  constexpr size_t kLeast = 4;
  const size_t count = longest > usual ? longest + 1 : usual;
  return std::min(count, std::max(kMostPoints / std::max<size_t>(outlines, 1), kLeast));
}

}  // namespace marrow::outline
