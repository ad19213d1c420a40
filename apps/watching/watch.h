// What is done with every frame of a video, or of a folder of frames: found, followed, counted, said, saved.
#pragma once

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "marrow/base/run_folder.h"
#include "marrow/detect/save.h"
#include "marrow/track/video_tracks.h"
#include "watching/frame_detector.h"
#include "watching/times.h"

namespace marrow::cli {

// Throws Error{kUsage} for options that do not go together, and what reading the files of `flags` throws:
// before anything is made.
void check_track_flags(const TrackFlags& flags);

// Of a run of this task; none where the flags ask for no files.
RunFolder run_folder(const PredictFlags& flags, const std::string& task);

// Takes a frame with what was found drawn on it.
using TakeDrawn = std::function<void(const Frame& frame, image::Image drawn)>;

// Files that all videos of a run share.
struct WatchRun {
  RunFolder folder;
  std::optional<detect::CropFolder> crops = {};  // there once something was saved
  RunTimes times = {};
  int labels = 0;  // files
};

// One video, or one folder of frames.
class Watch {
 public:
  // `tracking`: nullptr to find objects alone. All outlive the watch. `take_drawn` gets nothing unless
  // frames are to be drawn.
  Watch(const PredictFlags& flags, const TrackFlags* tracking, FrameDetector& detector, WatchRun& run,
        TakeDrawn take_drawn);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void see(Frame frame);
  // All that `next` gives, some of them side by side; FrameDetector::see() says by whom it is called.
  void see_all(const NextFrame& next);
  // A frame that could not be read: time goes on for what is followed.
  void miss();
  // After the last frame: counts, and the comparison with the truth.
  void finish();

 private:
  void take(Frame frame, FrameDetections found);
  // What is shown of what was found: tracks where objects are followed.
  FrameDetections followed(FrameDetections found, const image::Image& picture);
  void say(const Frame& frame, Size picture, const FrameDetections& shown) const;
  void save_labels(const Frame& frame, Size picture, const FrameDetections& shown);

  const PredictFlags& flags_;
  const TrackFlags* tracking_;
  FrameDetector& detector_;
  WatchRun& run_;
  TakeDrawn take_drawn_;
  std::FILE* talk_;
  std::optional<track::VideoTracks> tracks_;
  std::FILE* mot_file_ = nullptr;
  std::string mot_text_;  // where it is compared afterwards
};

// The end of a run: speed, where results are.
void say_run(const WatchRun& run, const PredictFlags& flags, const FrameDetector& detector);

}  // namespace marrow::cli
