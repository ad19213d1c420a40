// What is in a frame: a network says it, or a file in which somebody's detections were recorded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "marrow/image/image.h"
#include "marrow/model/checkpoint.h"
#include "marrow/predict/detector.h"
#include "marrow/track/mot_text.h"
#include "watching/track_flags.h"

namespace marrow::cli {

// One picture of several that follow each other.
struct Frame {
  image::Image image;             // as the detector reads them; empty where there are only detections
  std::string source;             // what JSON calls it: the image's or the video's path
  int64_t number = 1;             // from 1; of a stream from 0
  std::optional<double> seconds;  // of a video, by its time stamps
  std::string head;               // of the line on the console
  std::string output;             // what files of this frame are called, without a suffix
};

struct FrameDetections {
  std::vector<detect::Detection> detections;
  detect::DetectionExtras extras;
  std::string shape;  // of the network's input, "384x640 "; empty without one
  predict::PredictTimes times;
};

using NextFrame = std::function<std::optional<Frame>()>;
using TakeFrame = std::function<void(Frame, FrameDetections)>;

// One caller at a time.
class FrameDetector {
 public:
  virtual ~FrameDetector() = default;
  // Looks at the frames that `next` gives, until it gives none; `take` gets each in its turn. Both are called
  // by one thread at a time, but by any. What they throw ends it.
  virtual void see(const NextFrame& next, const TakeFrame& take) = 0;
  // How many frames are seen side by side.
  virtual size_t most_at_once() const { return 1; }
  virtual const std::vector<std::string>& names() const = 0;
  // What it finds beside boxes, which names the folder of its results.
  virtual std::string task() const { return "detect"; }
  // How images are to be read for it.
  virtual ImageReading reading() const { return {}; }
  virtual bool has_network() const { return false; }
};

// Throws Error{kUnsupported} for a model that classifies, and what open_checkpoint() and
// detector_options() throw.
std::unique_ptr<FrameDetector> network_detector(const PredictFlags& flags);

// Class 0 with the name "object".
class RecordedDetector : public FrameDetector {
 public:
  // Throws what track::read_mot throws.
  explicit RecordedDetector(const std::filesystem::path& file);

  void see(const NextFrame& next, const TakeFrame& take) override;
  const std::vector<std::string>& names() const override { return names_; }
  int64_t last_frame() const { return frames_.empty() ? 0 : frames_.rbegin()->first; }

 private:
  track::MotFrames frames_;
  std::vector<std::string> names_ = {"object"};
};

}  // namespace marrow::cli
