// Detections in an image by the files of Ultralytics 8.4, from the file to boxes in its pixels:
// golden-2/compat/README.md, `forward`, `predict`.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/image/decode.h"
#include "marrow/model/import.h"
#include "marrow/predict/detector.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kPredictedPixels = 0.05, kPredictedScore = 1e-3;
// Files of releases before 8.4.150 were recorded with the mapping of boxes of that time.
constexpr double kFormerPixels = 0.1;

void expect_predictions(const model::TrainedModel& trained, const image::Image& picture, const json& recorded,
                        double pixels) {
  const json& args = recorded.at("args");
  predict::DetectorOptions options;
  const int size = args.at("imgsz");
  options.size = {size, size};
  options.rect = args.value("rect", true);
  options.engine.threads = 1;
  options.nms.confidence = args.at("conf");
  options.nms.iou = args.value("iou", options.nms.iou);
  options.nms.agnostic = args.value("agnostic_nms", false);
  options.nms.suppress = args.value("nms", true);
  predict::Detector detector(trained.model.graph, trained.weights, options);
  const auto found = detector.detect(picture).detections;
  ASSERT_EQ(found.size(), recorded.at("conf").size());
  for (size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(found[i].class_id, recorded.at("cls").at(i).get<int>());
    EXPECT_NEAR(found[i].confidence, recorded.at("conf").at(i).get<double>(), kPredictedScore);
    for (size_t side = 0; side < 4; ++side)
      EXPECT_NEAR(found[i].box.corners()[side], recorded.at("xyxy").at(i).at(side).get<double>(), pixels);
  }
}

TEST(parity_compat_predict, EveryFileFindsTheRecordedBoxes) {
  const auto cases = testing::golden_files("compat/forward", {"model.pt"});
  MARROW_NEEDS_GOLDEN(cases, "compat/forward");
  int compared = 0;
  for (const fs::path& file : cases) {
    SCOPED_TRACE(file.string());
    const json info = testing::read_json(file.parent_path() / "info.json");
    const model::TrainedModel trained = model::load_trained(file);
    if (trained.model.task != "detect") continue;
    const image::Image picture = image::decode_image_file(file.parent_path() / "picture.png").image;
    const bool former = info.at("library").dump().find("8.4.190") == std::string::npos;
    for (const auto& [key, runs] : info.items()) {
      if (!key.starts_with("predict(")) continue;
      for (const auto& [name, recorded] : runs.items()) {
        SCOPED_TRACE(name);
        expect_predictions(trained, picture, recorded, former ? kFormerPixels : kPredictedPixels);
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace marrow
