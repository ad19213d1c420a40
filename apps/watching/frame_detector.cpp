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

  FrameDetections detect(const Frame& frame) override {
    predict::DetectionResult result = detector_.detect(frame.image);
    return {std::move(result.detections), std::move(result.extras),
            fmt::format("{}x{} ", result.network.height, result.network.width), result.times};
  }
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

FrameDetections RecordedDetector::detect(const Frame& frame) {
  FrameDetections found;
  const auto recorded = frames_.find(frame.number);
  if (recorded == frames_.end()) return found;
  for (const track::MotBox& each : recorded->second) {
    const Box<ImagePixels, double> box = each.box.corner_form();
    found.detections.push_back({{static_cast<float>(box.x1), static_cast<float>(box.y1),
                                 static_cast<float>(box.x2), static_cast<float>(box.y2)},
                                static_cast<float>(each.value)});
  }
  return found;
}

}  // namespace marrow::cli
