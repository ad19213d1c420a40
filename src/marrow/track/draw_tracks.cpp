#include "marrow/track/draw_tracks.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <opencv2/imgproc.hpp>

#include "marrow/detect/canvas.h"
#include "marrow/detect/draw.h"

namespace marrow::track {
namespace {

// Pixels beyond the picture up to which OpenCV's lines are drawn.
constexpr float kDrawable = 30000;

cv::Point pixel(ImagePoint point) {
  const auto whole = [](float value) { return cvRound(std::clamp(value, -kDrawable, kDrawable)); };
  return {whole(point.x), whole(point.y)};
}

constexpr std::array<uint8_t, 3> kLineColour = {0, 200, 255}, kZoneColour = {255, 160, 0};

// A filled label whose lower left corner is near the point, inside the picture where it fits.
void draw_text(cv::Mat& canvas, ImagePoint point, const std::string& text, std::array<uint8_t, 3> colour) {
  const int line = detect::line_width({canvas.cols, canvas.rows});
  const double scale = std::max(0.22 * line, 0.4);
  int below = 0;
  const cv::Size letters = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, 1, &below);
  const cv::Point at = pixel(point);
  const int x = std::clamp(at.x, 0, std::max(canvas.cols - letters.width - 4, 0));
  const int y = std::clamp(at.y, letters.height + 4, std::max(canvas.rows - below - 2, letters.height + 4));
  cv::rectangle(canvas, {x, y - letters.height - 4}, {x + letters.width + 4, y + below},
                detect::scalar(colour), cv::FILLED);
  cv::putText(canvas, text, {x + 2, y - 1}, cv::FONT_HERSHEY_SIMPLEX, scale, cv::Scalar(0, 0, 0), 1,
              cv::LINE_AA);
}

}  // namespace

std::vector<detect::Detection> as_detections(std::span<const TrackedObject> objects) {
  std::vector<detect::Detection> detections;
  for (const TrackedObject& object : objects)
    detections.push_back({object.box, object.confidence, object.class_id, 0, object.id});
  return detections;
}

void TrackPainter::update(std::span<const TrackedObject> objects) {
  ++frame_;
  for (const TrackedObject& object : objects) {
    Trail& trail = trails_[object.id];
    trail.seen = frame_;
    trail.points.push_back({(object.box.x1 + object.box.x2) / 2, (object.box.y1 + object.box.y2) / 2});
    if (trail.points.size() > kTrail) trail.points.pop_front();
  }
  std::erase_if(trails_,
                [&](const auto& entry) { return frame_ - entry.second.seen > static_cast<int64_t>(kTrail); });
}

void TrackPainter::draw_trails(image::Image& image, std::span<const TrackedObject> objects) const {
  if (image.empty()) return;
  cv::Mat canvas = detect::canvas_of(image);
  const int line = detect::line_width({image.width(), image.height()});
  for (const TrackedObject& object : objects) {
    const auto trail = trails_.find(object.id);
    if (trail == trails_.end()) continue;
    const auto& points = trail->second.points;
    for (size_t i = 1; i < points.size(); ++i)
      cv::line(canvas, pixel(points[i - 1]), pixel(points[i]),
               detect::scalar(detect::class_colour(object.class_id)), line, cv::LINE_AA);
  }
}

void draw_counts(image::Image& image, const Counter& counter) {
  if (image.empty()) return;
  cv::Mat canvas = detect::canvas_of(image);
  const int line = detect::line_width({image.width(), image.height()});
  for (size_t i = 0; i < counter.zones().size(); ++i) {
    const Zone& zone = counter.zones()[i];
    std::vector<cv::Point> corners;
    for (const ImagePoint& corner : zone.corners) corners.push_back(pixel(corner));
    cv::polylines(canvas, corners, true, detect::scalar(kZoneColour), line, cv::LINE_AA);
    draw_text(canvas, zone.corners[0], fmt::format("{}: {}", zone.name, counter.zone_counts()[i].ids.size()),
              kZoneColour);
  }
  for (size_t i = 0; i < counter.lines().size(); ++i) {
    const CountingLine& counted = counter.lines()[i];
    const Counter::LineCount& count = counter.line_counts()[i];
    cv::arrowedLine(canvas, pixel(counted.from), pixel(counted.to), detect::scalar(kLineColour), line,
                    cv::LINE_AA, 0, 0.03);
    draw_text(canvas, counted.from, fmt::format("{}: {} in, {} out", counted.name, count.in, count.out),
              kLineColour);
  }
}

}  // namespace marrow::track
