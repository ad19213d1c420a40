#include "marrow/track/video_tracks.h"

#include <numeric>
#include <utility>

namespace marrow::track {
namespace {

// A lost track keeps its number for these frames beyond the buffer (tracker.cpp).
constexpr int64_t kBeyondBuffer = 2;

}  // namespace

VideoTracks::VideoTracks(const TrackerSettings& settings, std::vector<CountingLine> lines,
                         std::vector<Zone> zones)
    : settings_(settings),
      tracker_(settings),
      counter_(std::move(lines), std::move(zones), settings.buffer + kBeyondBuffer) {}

ShownObjects VideoTracks::next(std::span<const detect::Detection> detections, const image::Image* picture) {
  ++frame_;
  const CameraMap camera =
      settings_.camera_motion && picture != nullptr ? camera_.next(*picture) : CameraMap();
  shown_ = tracker_.update(detections, camera);
  counter_.update(shown_);
  painter_.update(shown_);
  ShownObjects objects;
  if (!shown_.empty()) {
    objects.detections = as_detections(shown_);
    for (const TrackedObject& object : shown_) objects.places.push_back(object.detection);
  } else if (!tracker_.has_unconfirmed()) {
    objects.detections.assign(detections.begin(), detections.end());
    objects.places.resize(detections.size());
    std::iota(objects.places.begin(), objects.places.end(), size_t{0});
  }
  return objects;
}

void VideoTracks::draw(image::Image& picture) const {
  painter_.draw_trails(picture, shown_);
  draw_counts(picture, counter_);
}

}  // namespace marrow::track
