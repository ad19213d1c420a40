#include "marrow/track/camera_motion.h"

#include <opencv2/imgproc.hpp>
#include <optional>
#include <utility>

#include "marrow/image/convert.h"
#include "marrow/image/resize.h"
#include "marrow/track/similarity.h"

namespace marrow::track {
namespace {

constexpr int kShrink = 2;
constexpr int kMostCorners = 400;
constexpr double kWeakestCorner = 0.01;  // of the strongest one's smaller eigenvalue
constexpr size_t kFewestPoints = 5;

// Source: Shi and Tomasi 1994.
std::vector<FlowPoint> corners_of(const image::Image& grey) {
  const cv::Mat pixels(grey.height(), grey.width(), CV_8U, const_cast<uint8_t*>(grey.row(0)),
                       grey.row_bytes());
  std::vector<cv::Point2f> found;
  cv::goodFeaturesToTrack(pixels, found, kMostCorners, kWeakestCorner, 0);
  std::vector<FlowPoint> corners;
  for (const cv::Point2f& point : found) corners.push_back({point.x, point.y});
  return corners;
}

}  // namespace

CameraMap CameraMotion::next(const image::Image& frame) {
  const int width = frame.width() / kShrink, height = frame.height() / kShrink;
  if (width == 0 || height == 0) return {};
  const image::Image grey = image::resize_linear(image::to_grey(frame), width, height);
  FlowPyramid now(grey);
  const bool comparable = width == width_ && height == height_;
  const FlowPyramid before = std::exchange(before_, std::move(now));
  const std::vector<FlowPoint> corners = std::exchange(corners_, corners_of(grey));
  width_ = width;
  height_ = height;
  if (!comparable || corners.empty()) return {};
  const auto followed = follow_points(before, before_, corners);
  std::vector<FlowPoint> from, to;
  for (size_t i = 0; i < corners.size(); ++i)
    if (followed[i]) {
      from.push_back(corners[i]);
      to.push_back(*followed[i]);
    }
  if (from.size() < kFewestPoints) return {};
  std::optional<CameraMap> map = common_similarity(from, to);
  if (!map) return {};
  map->c *= kShrink;
  map->f *= kShrink;
  return *map;
}

}  // namespace marrow::track
