#include "watching/frame_detector.h"

#include <fmt/format.h>

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

  std::vector<FrameDetections> detect(std::span<const Frame> frames) override {
    std::vector<const image::Image*> images;
    for (const Frame& frame : frames) images.push_back(&frame.image);
    std::vector<FrameDetections> found;
    for (predict::DetectionResult& result : detector_.detect_all(images))
      found.push_back({std::move(result.detections), std::move(result.extras),
                       fmt::format("{}x{} ", result.network.height, result.network.width), result.times});
    return found;
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

std::vector<FrameDetections> RecordedDetector::detect(std::span<const Frame> frames) {
  std::vector<FrameDetections> found(frames.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto recorded = frames_.find(frames[i].number);
    if (recorded == frames_.end()) continue;
    for (const track::MotBox& each : recorded->second) {
      const Box<ImagePixels, double> box = each.box.corner_form();
      found[i].detections.push_back({{static_cast<float>(box.x1), static_cast<float>(box.y1),
                                      static_cast<float>(box.x2), static_cast<float>(box.y2)},
                                     static_cast<float>(each.value)});
    }
  }
  return found;
}

}  // namespace marrow::cli
