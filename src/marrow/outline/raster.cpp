#include "marrow/outline/raster.h"

#include <algorithm>
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
  Mask mask(picture);
  const std::vector<cv::Point> corners = whole_pixels(points);
  if (corners.empty()) return mask;
  cv::Mat pixels = view(mask);
  cv::fillPoly(pixels, std::vector<std::vector<cv::Point>>{corners}, cv::Scalar(1));
  return mask;
}

Mask fill_small(std::span<const Point<ImagePixels>> points, Size canvas, int ratio) {
  Mask whole = fill(points, canvas);
  if (ratio == 1) return whole;
  Mask small(Size{canvas.width / ratio, canvas.height / ratio});
  const auto row_bytes = [](const Mask& mask) { return static_cast<size_t>(mask.size.width); };
  image::resize_linear(
      image::ConstPixels{whole.pixels.data(), canvas.width, canvas.height, 1, row_bytes(whole)},
      image::MutablePixels{small.pixels.data(), small.size.width, small.size.height, 1, row_bytes(small)});
  return small;
}

void add_contour(std::span<const Point<ImagePixels>> points, Mask& mask) {
  const std::vector<cv::Point> corners = whole_pixels(points);
  if (corners.empty()) return;
  cv::Mat pixels = view(mask);
  cv::drawContours(pixels, std::vector<std::vector<cv::Point>>{corners}, -1, cv::Scalar(1), cv::FILLED);
}

Overlapped overlap(std::span<const Mask> masks, Size size) {
  Overlapped result{size, {}, {}};
  result.pixels.resize(static_cast<size_t>(size.width) * static_cast<size_t>(size.height));
  result.order.resize(masks.size());
  std::iota(result.order.begin(), result.order.end(), size_t{0});
  // Areas are unsigned in the reference, where the smallest of all is the largest when its sign is changed.
  std::vector<uint64_t> areas;
  for (const Mask& mask : masks) areas.push_back(static_cast<uint64_t>(mask.area()) - 1);
  std::ranges::stable_sort(result.order, std::ranges::greater(), [&](size_t i) { return areas[i]; });
  for (size_t place = 0; place < masks.size(); ++place) {
    const std::vector<uint8_t>& pixels = masks[result.order[place]].pixels;
    for (size_t i = 0; i < pixels.size(); ++i)
      if (pixels[i] != 0) result.pixels[i] = static_cast<int32_t>(place) + 1;
  }
  return result;
}

std::vector<std::vector<Point<ImagePixels>>> parts_of(const Mask& mask) {
  return contours_of(mask, cv::RETR_EXTERNAL);
}

std::vector<std::vector<Point<ImagePixels>>> rings_of(const Mask& mask) {
  return contours_of(mask, cv::RETR_CCOMP);
}

}  // namespace marrow::outline
