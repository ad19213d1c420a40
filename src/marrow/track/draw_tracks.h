// Tracks on a picture: the way that each object came, lines and zones with their counts.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>

#include "marrow/image/image.h"
#include "marrow/track/counting.h"
#include "marrow/track/tracker.h"

namespace marrow::track {

// As the other layers show them: boxes, scores, classes and numbers.
std::vector<detect::Detection> as_detections(std::span<const TrackedObject> objects);

// Of one video.
class TrackPainter {
 public:
  static constexpr size_t kTrail = 30;  // frames

  // Every frame, whether it is drawn or not.
  void update(std::span<const TrackedObject> objects);

  // The ways of the objects as lines in the colours of their classes. `image` is what people see.
  void draw_trails(image::Image& image, std::span<const TrackedObject> objects) const;

 private:
  struct Trail {
    int64_t seen = 0;  // frame
    std::deque<ImagePoint> points;
  };
  std::map<int64_t, Trail> trails_;
  int64_t frame_ = 0;
};

// The lines and zones, each with its name and count.
void draw_counts(image::Image& image, const Counter& counter);

}  // namespace marrow::track
