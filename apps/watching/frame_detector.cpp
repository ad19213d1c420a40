#include "watching/frame_detector.h"

#include <fmt/format.h>

#include <deque>
#include <mutex>
#include <utility>

#include "marrow/base/error.h"
#include "support/open_model.h"

namespace marrow::cli {
namespace {

class NetworkDetector : public FrameDetector {
 public:
  NetworkDetector(model::TrainedModel trained, const predict::DetectorOptions& options)
      : task_(trained.model.task),
        names_(std::move(trained.model.names)),
        reading_(image_reading(trained.model.graph)),
        detector_(trained.model.graph, trained.weights, options) {}

  void see(const NextFrame& next, const TakeFrame& take) override {
    std::mutex mutex;
    std::deque<Frame> seen;  // and not taken
    detector_.detect_each(
        [&]() -> const image::Image* {
          std::optional<Frame> frame = next();
          if (!frame) return nullptr;
          const std::lock_guard lock(mutex);
          return &seen.emplace_back(std::move(*frame)).image;
        },
        [&](predict::DetectionResult result) {
          std::unique_lock lock(mutex);
          Frame frame = std::move(seen.front());
          seen.pop_front();
          lock.unlock();
          take(std::move(frame),
               {std::move(result.detections), std::move(result.extras),
                fmt::format("{}x{} ", result.network.height, result.network.width), result.times});
        });
  }
  size_t most_at_once() const override { return detector_.most_at_once(); }
  const std::vector<std::string>& names() const override { return names_; }
  std::string task() const override { return task_; }
  ImageReading reading() const override { return reading_; }
  bool has_network() const override { return true; }

 private:
  std::string task_;
  std::vector<std::string> names_;
  ImageReading reading_;
  predict::Detector detector_;
};

}  // namespace

std::unique_ptr<FrameDetector> network_detector(const PredictFlags& flags) {
  model::TrainedModel trained = open_checkpoint(flags.model, flags.import);
  if (trained.model.task == "classify")
    throw Error(ErrorKind::kUnsupported,
                flags.model + ": a classifier; videos and tracks are for models that find objects");
  const predict::DetectorOptions options = detector_options(flags, trained.model);
  return std::make_unique<NetworkDetector>(std::move(trained), options);
}

RecordedDetector::RecordedDetector(const std::filesystem::path& file)
    : frames_(track::read_mot(file, track::MotKind::kDetections)) {}

void RecordedDetector::see(const NextFrame& next, const TakeFrame& take) {
  while (std::optional<Frame> frame = next()) {
    FrameDetections found;
    if (const auto recorded = frames_.find(frame->number); recorded != frames_.end())
      for (const track::MotBox& each : recorded->second) {
        const Box<ImagePixels, double> box = each.box.corner_form();
        found.detections.push_back({{static_cast<float>(box.x1), static_cast<float>(box.y1),
                                     static_cast<float>(box.x2), static_cast<float>(box.y2)},
                                    static_cast<float>(each.value)});
      }
    take(std::move(*frame), std::move(found));
  }
}

}  // namespace marrow::cli
