// The options of `track`, which marrow and marrow-video declare.
#pragma once

#include <string>
#include <vector>

#include "watching/predict_flags.h"

namespace marrow::cli {

struct TrackFlags {
  PredictFlags frames;
  std::string tracker = "botsort.yaml";
  std::string detections;  // a file of recorded ones, in place of a model
  std::vector<std::string> lines, zones;
  std::string mot;    // a file to write
  std::string truth;  // a file to compare with
};

void declare_track_flags(Command& command, TrackFlags& flags);

}  // namespace marrow::cli
