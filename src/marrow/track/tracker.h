// Detections of one frame after another become tracks: each object keeps its number.
//
// ByteTrack (Zhang et al. 2021) and BoT-SORT (Aharon et al. 2022, without appearance), equal to Ultralytics
// 8.4.190 in numbers, order and chosen detections. Classes play no part in what belongs together. One caller
// at a time; a video, or a stream, has a tracker of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/track/kalman.h"
#include "marrow/track/tracker_settings.h"

namespace marrow::track {

// What is shown of a track: where it is now, by the filter and not by the detection, so that it may lie
// outside the picture; all else is the detection's that was matched in this frame.
struct TrackedObject {
  int64_t id = 0;  // from 1
  Box<ImagePixels> box;
  float confidence = 0;
  int class_id = 0;
  size_t detection = 0;  // its place in the list that was given
};

class Tracker {
 public:
  explicit Tracker(const TrackerSettings& settings);
  ~Tracker();
  Tracker(Tracker&&) noexcept;
  Tracker& operator=(Tracker&&) noexcept;

  // Every frame is given, also one without detections. `camera` maps the frame before to this one; ByteTrack
  // does not look at it. Detections without a width or height, or that are not finite, do not count.
  // Throws Error{kUnsupported} where millions of tracks and detections overlap.
  std::vector<TrackedObject> update(std::span<const detect::Detection> detections,
                                    const CameraMap& camera = {});

  // Whether a track waits for a second detection, to be shown from then on.
  bool has_unconfirmed() const;

 private:
  struct Track;
  using Tracks = std::vector<std::unique_ptr<Track>>;
  using TrackViews = std::vector<Track*>;
  // A detection, by its place in the list.
  struct Candidate {
    size_t index;
    const detect::Detection* detection;
  };
  using Candidates = std::vector<Candidate>;

  BoxStates states() const;
  // Matches are corrected and shown from now on. What was not matched is left in both lists.
  void associate(TrackViews& tracks, Candidates& candidates, double limit, bool fused);
  void take(Track& track, const Candidate& candidate);
  void drop_duplicates();

  TrackerSettings settings_;
  int64_t frame_ = 0, last_id_ = 0;
  Tracks tracked_, lost_;
  std::deque<int64_t> removed_;  // the last numbers that were removed
};

}  // namespace marrow::track
