#include "marrow/track/tracker.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/track/best_matching.h"

namespace marrow::track {
namespace {

// Largest costs of the later associations, and the cost below which two tracks are one object.
constexpr double kSecondLimit = 0.5;
constexpr double kUnconfirmedLimit = 0.7;
constexpr float kDuplicateCost = 0.15f;
constexpr size_t kRememberedRemovals = 1000;
constexpr size_t kMostPairs = 4'000'000;  // of one association, that overlap

// In float32, without clipping; 0 where it is no number.
float iou(const Box<ImagePixels>& a, const Box<ImagePixels>& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(width > 0) || !(height > 0)) return 0;
  const float shared = width * height;
  const float overlap = shared / (a.area() + b.area() - shared + 1e-7f);
  return overlap >= 0 ? overlap : 0;
}

template <class List, class Keep>
void keep_if(List& list, const Keep& keep) {
  std::erase_if(list, [&](const auto& item) { return !keep(item); });
}

}  // namespace

struct Tracker::Track {
  enum class State { kTracked, kLost, kRemoved };

  int64_t id;
  State state = State::kTracked;
  bool confirmed;
  int64_t first_frame, last_frame;  // matched
  BoxMotion motion;
  TrackedObject shown = {};

  int64_t length() const { return last_frame - first_frame; }
};

Tracker::Tracker(const TrackerSettings& settings) : settings_(settings) {}
Tracker::~Tracker() = default;
Tracker::Tracker(Tracker&&) noexcept = default;
Tracker& Tracker::operator=(Tracker&&) noexcept = default;

BoxStates Tracker::states() const {
  return settings_.type == TrackerType::kByteTrack ? BoxStates::kAspectAndHeight : BoxStates::kWidthAndHeight;
}

bool Tracker::has_unconfirmed() const {
  return std::ranges::any_of(tracked_, [](const auto& track) { return !track->confirmed; });
}

void Tracker::take(Track& track, const Candidate& candidate) {
  track.last_frame = frame_;
  track.shown = {track.id, track.motion.box(), candidate.detection->confidence, candidate.detection->class_id,
                 candidate.index};
}

void Tracker::associate(TrackViews& tracks, Candidates& candidates, double limit, bool fused) {
  std::vector<PossiblePair> pairs;
  for (size_t i = 0; i < tracks.size(); ++i) {
    const Box<ImagePixels> predicted = tracks[i]->motion.box();
    for (size_t j = 0; j < candidates.size(); ++j) {
      const detect::Detection& detection = *candidates[j].detection;
      const float similarity = iou(predicted, detection.box) * (fused ? detection.confidence : 1.0f);
      const float cost = 1.0f - similarity;
      if (!(cost < limit)) continue;
      if (pairs.size() == kMostPairs)
        throw Error(ErrorKind::kUnsupported,
                    fmt::format("frame {}: {} tracks and {} detections, of which too many overlap to be "
                                "matched",
                                frame_, tracks.size(), candidates.size()));
      pairs.push_back({i, j, limit - cost});
    }
  }
  for (const auto& [i, j] : best_matching(pairs)) {
    Track& track = *tracks[i];
    track.motion.correct(measurement(states(), candidates[j].detection->box));
    track.state = Track::State::kTracked;
    track.confirmed = true;
    take(track, candidates[j]);
    tracks[i] = nullptr;
    candidates[j].detection = nullptr;
  }
  keep_if(tracks, [](const Track* track) { return track != nullptr; });
  keep_if(candidates, [](const Candidate& candidate) { return candidate.detection != nullptr; });
}

// Of a tracked and a lost track in one place the one that was followed for longer stays; of equals the lost
// one. All pairs are judged before any goes.
void Tracker::drop_duplicates() {
  std::vector<const Track*> dropped;
  for (const auto& tracked : tracked_)
    for (const auto& lost : lost_)
      if (1.0f - iou(tracked->motion.box(), lost->motion.box()) < kDuplicateCost)
        dropped.push_back(tracked->length() > lost->length() ? lost.get() : tracked.get());
  const auto stays = [&](const auto& track) {
    return std::ranges::find(dropped, track.get()) == dropped.end();
  };
  keep_if(tracked_, stays);
  keep_if(lost_, stays);
}

std::vector<TrackedObject> Tracker::update(std::span<const detect::Detection> detections,
                                           const CameraMap& camera) {
  using State = Track::State;
  ++frame_;
  Candidates high, low;
  for (size_t i = 0; i < detections.size(); ++i) {
    const detect::Detection& detection = detections[i];
    if (!is_finite(detection.box) || !(detection.box.width() > 0) || !(detection.box.height() > 0)) continue;
    if (detection.confidence >= settings_.high_threshold)
      high.push_back({i, &detection});
    else if (detection.confidence > settings_.low_threshold)
      low.push_back({i, &detection});
  }

  TrackViews pool, unconfirmed;
  for (const auto& track : tracked_) (track->confirmed ? pool : unconfirmed).push_back(track.get());
  for (const auto& track : lost_) pool.push_back(track.get());
  // Those that wait for a second detection stay where the first was.
  for (Track* track : pool) track->motion.predict(track->state == State::kTracked);
  if (settings_.type == TrackerType::kBotSort)
    for (TrackViews* tracks : {&pool, &unconfirmed})
      for (Track* track : *tracks) track->motion.move(camera);

  associate(pool, high, settings_.match_threshold, settings_.fuse_score);
  keep_if(pool, [](const Track* track) { return track->state == State::kTracked; });
  associate(pool, low, kSecondLimit, false);
  for (Track* track : pool) track->state = State::kLost;

  std::vector<int64_t> removed;
  associate(unconfirmed, high, kUnconfirmedLimit, settings_.fuse_score);
  for (Track* track : unconfirmed) {
    track->state = State::kRemoved;
    removed.push_back(track->id);
  }

  Tracks begun;
  for (const Candidate& candidate : high) {
    if (!(candidate.detection->confidence >= settings_.new_threshold)) continue;
    begun.push_back(std::make_unique<Track>(
        Track{.id = ++last_id_,
              .confirmed = frame_ == 1,
              .first_frame = frame_,
              .last_frame = frame_,
              .motion = BoxMotion(states(), measurement(states(), candidate.detection->box))}));
    take(*begun.back(), candidate);
  }

  for (const auto& track : lost_)
    if (track->state != State::kTracked && frame_ - track->last_frame > settings_.buffer) {
      track->state = State::kRemoved;
      removed.push_back(track->id);
    }
  // Tracks change lists. One that is removed now stays among the lost for a frame, in which it may be found
  // again, since the numbers of those removed before are what counts.
  Tracks was_tracked = std::exchange(tracked_, {}), was_lost = std::exchange(lost_, {});
  Tracks moved_to_lost;
  for (auto& track : was_tracked) {
    if (track->state == State::kTracked)
      tracked_.push_back(std::move(track));
    else if (track->state == State::kLost)
      moved_to_lost.push_back(std::move(track));
  }
  std::ranges::move(begun, std::back_inserter(tracked_));
  for (auto& track : was_lost)
    (track->state == State::kTracked ? tracked_ : lost_).push_back(std::move(track));
  std::ranges::move(moved_to_lost, std::back_inserter(lost_));
  keep_if(lost_, [&](const auto& track) { return std::ranges::find(removed_, track->id) == removed_.end(); });
  drop_duplicates();
  removed_.insert(removed_.end(), removed.begin(), removed.end());
  while (removed_.size() > kRememberedRemovals) removed_.pop_front();

  std::vector<TrackedObject> shown;
  for (const auto& track : tracked_)
    if (track->confirmed) shown.push_back(track->shown);
  return shown;
}

}  // namespace marrow::track
