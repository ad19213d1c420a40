// The sequences of golden/track as they were recorded.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/track/tracker.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow::testing {

inline std::vector<detect::Detection> recorded_detections(const nlohmann::json& frame) {
  std::vector<detect::Detection> detections;
  for (const auto& row : frame)
    detections.push_back(
        {{row[0].get<float>(), row[1].get<float>(), row[2].get<float>(), row[3].get<float>()},
         row[4].get<float>(),
         row[5].get<int>()});
  return detections;
}

inline track::CameraMap recorded_map(const nlohmann::json& m) {
  return {m[0].get<double>(), m[1].get<double>(), m[2].get<double>(),
          m[3].get<double>(), m[4].get<double>(), m[5].get<double>()};
}

// The settings of a run, through the reader of YAML, which JSON is.
inline track::TrackerSettings recorded_settings(const nlohmann::json& run) {
  return track::parse_tracker_settings(run.at("settings").dump(), "run.yaml");
}

// What the tracker shows, frame by frame.
inline std::vector<std::vector<track::TrackedObject>> run_recorded(const nlohmann::json& sequence,
                                                                   const nlohmann::json& run) {
  const track::TrackerSettings settings = recorded_settings(run);
  track::Tracker tracker(settings);
  std::vector<std::vector<track::TrackedObject>> frames;
  const auto& detections = sequence.at("detections");
  for (size_t i = 0; i < detections.size(); ++i) {
    const bool moves = settings.camera_motion && sequence.contains("warps") && !sequence["warps"].is_null();
    frames.push_back(tracker.update(recorded_detections(detections[i]),
                                    moves ? recorded_map(sequence["warps"][i]) : track::CameraMap()));
  }
  return frames;
}

// The name of a sequence's file before its first dot.
inline std::string sequence_name(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.substr(0, name.find('.'));
}

}  // namespace marrow::testing
