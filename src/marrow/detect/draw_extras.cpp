#include "marrow/detect/draw_extras.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "marrow/detect/canvas.h"
#include "marrow/detect/draw.h"

namespace marrow::detect {
namespace {

constexpr float kOpacity = 0.5f;
constexpr float kLeastVisible = 0.25f;
constexpr int kFractionBits = 4;  // of OpenCV's coordinates

constexpr std::array<std::array<int, 2>, 19> kPersonLimbs = {{{15, 13},
                                                              {13, 11},
                                                              {16, 14},
                                                              {14, 12},
                                                              {11, 12},
                                                              {5, 11},
                                                              {6, 12},
                                                              {5, 6},
                                                              {5, 7},
                                                              {6, 8},
                                                              {7, 9},
                                                              {8, 10},
                                                              {1, 2},
                                                              {0, 1},
                                                              {0, 2},
                                                              {1, 3},
                                                              {2, 4},
                                                              {3, 5},
                                                              {4, 6}}};

// In fractions of a pixel, within what OpenCV can draw.
cv::Point fine(float x, float y) {
  static constexpr float kMost = 1e6f;
  const auto scaled = [](float value) {
    return static_cast<int>(std::lround(std::clamp(value, -kMost, kMost) * (1 << kFractionBits)));
  };
  return {scaled(x), scaled(y)};
}

// The two pixels of a mask's row or column around a pixel of the image.
struct Between {
  int low = 0, high = 0;
  float share = 0;  // of the high one
};
std::vector<Between> between(int begin, int end, double ratio, double pad, int size) {
  std::vector<Between> places;
  for (int i = begin; i < end; ++i) {
    const double at = std::clamp((i + 0.5) * ratio + pad - 0.5, 0.0, size - 1.0);
    const int low = static_cast<int>(at);
    places.push_back({low, std::min(low + 1, size - 1), static_cast<float>(at - low)});
  }
  return places;
}

void draw_mask(image::Image& image, const MaskPart& mask, Size size, const RatioPad& place,
               const Box<ImagePixels>& box, std::array<uint8_t, 3> colour) {
  const auto pixel = [](float value, int limit) {
    return static_cast<int>(std::clamp(value, 0.0f, static_cast<float>(limit)));
  };
  const int left = pixel(std::floor(box.x1), image.width()), right = pixel(std::ceil(box.x2), image.width());
  const int top = pixel(std::floor(box.y1), image.height()),
            bottom = pixel(std::ceil(box.y2), image.height());
  const auto columns = between(left, right, place.ratio_x, place.left, size.width);
  const auto rows = between(top, bottom, place.ratio_y, place.top, size.height);
  for (int y = top; y < bottom; ++y) {
    const Between& row = rows[static_cast<size_t>(y - top)];
    for (int x = left; x < right; ++x) {
      const Between& column = columns[static_cast<size_t>(x - left)];
      const auto along = [&](int line) {
        return static_cast<float>(mask.at(column.low, line)) * (1 - column.share) +
               static_cast<float>(mask.at(column.high, line)) * column.share;
      };
      const float cover = kOpacity * (along(row.low) * (1 - row.share) + along(row.high) * row.share);
      if (cover == 0) continue;
      uint8_t* const to = image.pixel(x, y);
      for (size_t c = 0; c < 3; ++c)
        to[c] = static_cast<uint8_t>(
            std::lround(static_cast<float>(to[c]) * (1 - cover) + static_cast<float>(colour[c]) * cover));
    }
  }
}

}  // namespace

std::span<const std::array<int, 2>> limbs_of(size_t points) {
  constexpr size_t kPersonPoints = 17;
  if (points != kPersonPoints) return {};
  return kPersonLimbs;
}

void draw_masks(image::Image& image, std::span<const Detection> detections, const DetectionExtras& extras) {
  for (size_t i = extras.masks.size(); i-- > 0;)
    if (is_finite(detections[i].box))
      draw_mask(image, extras.masks[i], extras.mask_size, extras.mask_place, detections[i].box,
                class_colour(detections[i].class_id));
}

void draw_turned_boxes(image::Image& image, std::span<const Detection> detections,
                       std::span<const RotatedBox<ImagePixels>> boxes) {
  cv::Mat canvas = canvas_of(image);
  for (size_t i = boxes.size(); i-- > 0;) {
    if (!is_finite(boxes[i])) continue;
    std::vector<cv::Point> corners;
    for (const auto& [x, y] : boxes[i].corners()) corners.push_back(fine(x, y));
    cv::polylines(canvas, corners, true, scalar(class_colour(detections[i].class_id)),
                  line_width({image.width(), image.height()}), cv::LINE_AA, kFractionBits);
  }
}

void draw_keypoints(image::Image& image, const DetectionExtras& extras) {
  cv::Mat canvas = canvas_of(image);
  const int width = line_width({image.width(), image.height()});
  for (const Keypoints& points : extras.keypoints) {
    const auto is_shown = [&](const Keypoint<ImagePixels>& point) {
      if (!std::isfinite(point.x + point.y)) return false;
      return extras.visibility ? point.visibility >= kLeastVisible : point.x != 0 || point.y != 0;
    };
    for (const auto& [from, to] : limbs_of(points.size())) {
      const auto &a = points[static_cast<size_t>(from)], &b = points[static_cast<size_t>(to)];
      if (is_shown(a) && is_shown(b))
        cv::line(canvas, fine(a.x, a.y), fine(b.x, b.y), scalar(class_colour(from)), std::max(width / 2, 1),
                 cv::LINE_AA, kFractionBits);
    }
    for (size_t k = 0; k < points.size(); ++k) {
      if (!is_shown(points[k])) continue;
      const auto dot = [&](int radius, const cv::Scalar& colour) {
        cv::circle(canvas, fine(points[k].x, points[k].y), radius << kFractionBits, colour, cv::FILLED,
                   cv::LINE_AA, kFractionBits);
      };
      dot(width + std::max(width / 2, 1), cv::Scalar::all(255));  // a rim, on ground of any colour
      dot(width, scalar(class_colour(static_cast<int>(k))));
    }
  }
}

}  // namespace marrow::detect
