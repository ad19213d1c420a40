// The main job: the right objects in real photos with a real checkpoint, as recorded beside it.
#include <gtest/gtest.h>

#include <cmath>
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

constexpr double kPhotoBoxTolerance = 0.5;  // pixels of the photo
constexpr double kConfidenceTolerance = 0.005;

void compare(const predict::DetectionResult& result, const json& expected,
             const std::vector<std::string>& names) {
  EXPECT_EQ(json({result.network.height, result.network.width}), expected.at("net_input_hw"));
  const json& detections = expected.at("detections");
  ASSERT_EQ(result.detections.size(), detections.size());
  for (size_t i = 0; i < detections.size(); ++i) {
    SCOPED_TRACE(detections[i].dump());
    const detect::Detection& found = result.detections[i];
    EXPECT_EQ(found.class_id, detections[i].at("class"));
    EXPECT_EQ(names.at(static_cast<size_t>(found.class_id)), detections[i].at("name"));
    EXPECT_NEAR(found.confidence, detections[i].at("conf").get<double>(), kConfidenceTolerance);
    for (size_t side = 0; side < 4; ++side)
      EXPECT_NEAR(found.box.corners()[side], detections[i].at("box").at(side).get<double>(),
                  kPhotoBoxTolerance);
  }
}

TEST(parity_photos, DetectionsEqualTheRecordedOnes) {
  const fs::path expectations = testing::weights_folder() / "expected_detections.json";
  MARROW_NEEDS(expectations);
  const json expected = testing::read_json(expectations);
  const json& settings = expected.at("settings");
  int photos = 0;
  for (const auto& entry : fs::directory_iterator(testing::weights_folder())) {
    if (entry.path().extension() != ".pt") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const model::TrainedModel trained = model::load_trained(entry.path());
    for (const bool rect : {false, true}) {
      predict::DetectorOptions options;
      options.rect = rect;
      options.nms.confidence = settings.at("conf");
      options.nms.iou = settings.at("iou_nms");
      options.nms.max_detections = settings.at("max_det");
      predict::Detector detector(trained.model.graph, trained.weights, options);
      for (const auto& [name, photo] : expected.at("images").items()) {
        SCOPED_TRACE(name + (rect ? ", rectangular" : ", square"));
        const image::Image image = image::decode_image_file(testing::data_folder() / "photos" / name).image;
        EXPECT_EQ(image.width(), photo.at("width"));
        EXPECT_EQ(image.height(), photo.at("height"));
        compare(detector.detect(image), photo.at(rect ? "rect640" : "square640"), trained.model.names);
        ++photos;
      }
    }
  }
  EXPECT_GT(photos, 0);
}

}  // namespace
}  // namespace marrow
