// How objects are followed, and the YAML files that say it.
#pragma once

#include <string>
#include <vector>

namespace marrow::track {

enum class TrackerType { kByteTrack, kBotSort };

// The defaults are those of bytetrack.yaml and botsort.yaml.
struct TrackerSettings {
  TrackerType type = TrackerType::kByteTrack;
  float high_threshold = 0.25f;  // detections from this score on are associated first
  float low_threshold = 0.1f;    // those above it afterwards, with what is left; others do not count
  float new_threshold = 0.25f;   // a score that may begin a track
  int buffer = 30;               // frames that a lost track is kept
  double match_threshold = 0.8;  // the largest cost of the first association, (1 - IoU): higher matches more
  bool fuse_score = true;        // multiply the IoU by the score
  bool camera_motion = false;    // BoT-SORT: follow the camera by sparse optical flow

  bool operator==(const TrackerSettings&) const = default;
};

inline constexpr int kLongestBuffer = 100'000;  // frames

// bytetrack.yaml's and botsort.yaml's.
TrackerSettings default_settings(TrackerType type);

// The names that read_tracker_settings knows without a file: "bytetrack.yaml", "botsort.yaml".
std::vector<std::string> tracker_names();

// A YAML file, or one of tracker_names() where no such file lies in the working folder (".yaml" may be left
// out). What a file does not say has the default of its tracker_type. Throws Error{kFile} without such a
// file, Error{kFormat} "file:line: key: ..." for what is no value of a key, Error{kUnsupported} for trackers
// and methods that Marrow does not have.
TrackerSettings read_tracker_settings(const std::string& name);
// `file` is what messages call the text.
TrackerSettings parse_tracker_settings(const std::string& yaml, const std::string& file);

}  // namespace marrow::track
