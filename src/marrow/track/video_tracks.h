// All that is followed in one video: the tracker, the camera, what is counted, what is drawn and written.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "marrow/image/image.h"
#include "marrow/track/camera_motion.h"
#include "marrow/track/counting.h"
#include "marrow/track/draw_tracks.h"
#include "marrow/track/mot_text.h"
#include "marrow/track/tracker.h"

namespace marrow::track {

// What is shown of a frame, and of each the place of its detection in the list that was given.
struct ShownObjects {
  std::vector<detect::Detection> detections;
  std::vector<size_t> places;
};

class VideoTracks {
 public:
  VideoTracks(const TrackerSettings& settings, std::vector<CountingLine> lines, std::vector<Zone> zones);

  // Every frame. What is shown of it: the tracks; none while one waits for its second detection; else the
  // detections, without numbers. `picture`, as people see it, tells how the camera moved; without one it is
  // taken to stand still.
  ShownObjects next(std::span<const detect::Detection> detections, const image::Image* picture);

  // Over a picture with its boxes drawn, of the frame that was next() last.
  void draw(image::Image& picture) const;

  const Counter& counter() const { return counter_; }
  // Rows of MOTChallenge for the frame that was next() last.
  std::string mot_text() const { return mot_rows(frame_, shown_); }

 private:
  TrackerSettings settings_;
  Tracker tracker_;
  CameraMotion camera_;
  Counter counter_;
  TrackPainter painter_;
  int64_t frame_ = 0;
  std::vector<TrackedObject> shown_;
};

}  // namespace marrow::track
