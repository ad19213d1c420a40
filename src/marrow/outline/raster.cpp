#include "marrow/outline/raster.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <opencv2/imgproc.hpp>

#include "marrow/image/resize.h"

namespace marrow::outline {
namespace {

// A point farther away is drawn as if it lay here: OpenCV goes through every row between.
constexpr float kFarthest = 1 << 17;

std::vector<cv::Point> whole_pixels(std::span<const Point<ImagePixels>> points) {
  std::vector<cv::Point> result;
  result.reserve(points.size());
  for (const auto& [x, y] : points) {
    if (!std::isfinite(x) || !std::isfinite(y)) return {};
    result.emplace_back(static_cast<int>(std::clamp(x, -kFarthest, kFarthest)),
                        static_cast<int>(std::clamp(y, -kFarthest, kFarthest)));
  }
  return result;
}

cv::Mat view(Mask& mask) {
  return {mask.size.height, mask.size.width, CV_8UC1, mask.pixels.data()};
}

Mask fill_corners(const std::vector<cv::Point>& corners, Size picture) {
  Mask mask(picture);
  if (corners.empty()) return mask;
  cv::Mat pixels = view(mask);
  cv::fillPoly(pixels, std::vector<std::vector<cv::Point>>{corners}, cv::Scalar(1));
  return mask;
}

// The rectangle around the points, enlarged to squares of `side` pixels that begin at multiples of it.
cv::Rect whole_squares(const std::vector<cv::Point>& corners, int side) {
  if (corners.empty()) return {};
  cv::Point first = corners.front(), last = first;
  for (const cv::Point& corner : corners) {
    first = {std::min(first.x, corner.x), std::min(first.y, corner.y)};
    last = {std::max(last.x, corner.x), std::max(last.y, corner.y)};
  }
  const auto down = [&](int at) { return (at >= 0 ? at : at - side + 1) / side * side; };
  return {cv::Point(down(first.x), down(first.y)), cv::Point(down(last.x) + side, down(last.y) + side)};
}

std::vector<std::vector<Point<ImagePixels>>> contours_of(const Mask& mask, int mode) {
  Mask copy = mask;  // OpenCV's reader takes no constant data
  std::vector<std::vector<cv::Point>> contours;
  cv::findContours(view(copy), contours, mode, cv::CHAIN_APPROX_SIMPLE);
  std::vector<std::vector<Point<ImagePixels>>> parts;
  for (const std::vector<cv::Point>& contour : contours) {
    parts.emplace_back();
    for (const cv::Point& point : contour)
      parts.back().push_back({static_cast<float>(point.x), static_cast<float>(point.y)});
  }
  return parts;
}

}  // namespace

Mask fill(std::span<const Point<ImagePixels>> points, Size picture) {
  return fill_corners(whole_pixels(points), picture);
}

Mask fill_small(std::span<const Point<ImagePixels>> points, Size canvas, int ratio) {
  const std::vector<cv::Point> corners = whole_pixels(points);
  if (ratio == 1) return fill_corners(corners, canvas);
  Mask small(Size{canvas.width / ratio, canvas.height / ratio});
  const bool is_whole = canvas.width % ratio == 0 && canvas.height % ratio == 0;
  const cv::Rect all(0, 0, canvas.width, canvas.height);
  // Where every small pixel is made of its own square of large ones, those around the outline are enough.
  const cv::Rect part = is_whole ? whole_squares(corners, ratio) & all : all;
  if (part.empty()) return small;
  std::vector<cv::Point> inside;
  inside.reserve(corners.size());
  for (const cv::Point& corner : corners) inside.push_back(corner - part.tl());
  const Mask large = fill_corners(inside, {part.width, part.height});
  const auto width = static_cast<size_t>(small.size.width);
  const size_t begin = static_cast<size_t>(part.y / ratio) * width + static_cast<size_t>(part.x / ratio);
  const Size to = is_whole ? Size{part.width / ratio, part.height / ratio} : small.size;
  image::resize_linear(
      image::ConstPixels{large.pixels.data(), part.width, part.height, 1, static_cast<size_t>(part.width)},
      image::MutablePixels{small.pixels.data() + begin, to.width, to.height, 1, width});
  return small;
}

void add_contour(std::span<const Point<ImagePixels>> points, Mask& mask) {
  const std::vector<cv::Point> corners = whole_pixels(points);
  if (corners.empty()) return;
  cv::Mat pixels = view(mask);
  cv::drawContours(pixels, std::vector<std::vector<cv::Point>>{corners}, -1, cv::Scalar(1), cv::FILLED);
}

OverlappingMasks::OverlappingMasks(Size size)
    : size_(size), seen_(static_cast<size_t>(size.width) * static_cast<size_t>(size.height), 0) {}

void OverlappingMasks::add(const Mask& mask) {
  assert(mask.size == size_);
  // Areas are unsigned in the reference, where the smallest of all is the largest when its sign is changed.
  const uint64_t area = static_cast<uint64_t>(mask.area()) - 1;
  areas_.push_back(area);
  const auto number = static_cast<int32_t>(areas_.size());
  for (size_t i = 0; i < seen_.size(); ++i)
    if (mask.pixels[i] != 0 && (seen_[i] == 0 || area <= areas_[static_cast<size_t>(seen_[i]) - 1]))
      seen_[i] = number;
}

Overlapped OverlappingMasks::take() && {
  Overlapped result{size_, std::move(seen_), {}};
  result.order.resize(areas_.size());
  std::iota(result.order.begin(), result.order.end(), size_t{0});
  std::ranges::stable_sort(result.order, std::ranges::greater(), [&](size_t i) { return areas_[i]; });
  std::vector<int32_t> places(areas_.size() + 1, 0);
  for (size_t place = 0; place < result.order.size(); ++place)
    places[result.order[place] + 1] = static_cast<int32_t>(place) + 1;
  for (int32_t& pixel : result.pixels) pixel = places[static_cast<size_t>(pixel)];
  return result;
}

std::vector<std::vector<Point<ImagePixels>>> parts_of(const Mask& mask) {
  return contours_of(mask, cv::RETR_EXTERNAL);
}

std::vector<std::vector<Point<ImagePixels>>> rings_of(const Mask& mask) {
  return contours_of(mask, cv::RETR_CCOMP);
}

}  // namespace marrow::outline
