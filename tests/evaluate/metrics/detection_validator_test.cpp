#include "marrow/evaluate/metrics/detection_validator.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

// An image of 100 x 50 in a network of 64 x 64: halved, 7 at the left and 20 at the top.
struct Image {
  std::vector<TruthBox> truth;
  std::vector<detect::InputDetection> detections;

  ValidatedImage get(const char* name = "12.jpg") const {
    return {name, {100, 50}, {64, 64}, {0.5, 0.5, 7.0, 20.0}, truth, detections, {}};
  }
};

const Box<InputPixels> kBox = {17, 25, 37, 35};

TEST(DetectionValidator, BothDefinitionsOfAPerfectDetector) {
  DetectionValidator validator({"cell", "platelet"});
  const Image picture{{{kBox, 0}}, {{kBox, 0.75f, 0}}};
  validator.add(picture.get());
  const DetectionReport report = validator.report();
  EXPECT_EQ(report.images, 1);
  EXPECT_EQ(report.instances, 1);
  EXPECT_EQ(report.images_of_class, (std::vector<int64_t>{1, 0}));
  EXPECT_NEAR(report.ultralytics.map50(), 0.995, 1e-12);
  EXPECT_NEAR(report.coco.ap50(), 1.0, 1e-12);
  EXPECT_EQ(report.confusion.at(0, 0), 1);
  EXPECT_EQ(report.map_by_class(), (std::vector<double>(2, report.ultralytics.map50_95())));
}

TEST(DetectionValidator, PredictionsAreInPixelsOfTheImage) {
  DetectionValidator validator({"cell", "platelet"}, {.category_ids = {1, 90}});
  const Image picture{{}, {{kBox, 0.123456f, 1}}};
  validator.add(picture.get());
  ASSERT_EQ(validator.predictions().size(), 1u);
  const CocoPrediction prediction = validator.predictions()[0];
  EXPECT_EQ(prediction.category_id, 90);
  EXPECT_EQ(prediction.box, (CocoBox{20, 10, 40, 20}));
  EXPECT_EQ(prediction.score, 0.12346);
}

// By the halved box it would be small; in the image 40 x 20 is small as well, but 80 x 40 is not.
TEST(DetectionValidator, AreasAreThoseOfTheImage) {
  DetectionValidator validator({"cell"});
  const Box<InputPixels> large = {7, 20, 47, 40};
  const Image picture{{{large, 0}}, {{large, 0.9f, 0}}};
  validator.add(picture.get());
  EXPECT_EQ(validator.report().coco.numbers[3], -1.0);
  EXPECT_NEAR(validator.report().coco.numbers[4], 1.0, 1e-12);
}

TEST(DetectionValidator, CrowdsConcernOnlyCocosDefinition) {
  DetectionValidator validator({"cell"});
  const Image picture{{{kBox, 0}}, {{{45, 22, 55, 32}, 0.95f, 0}, {kBox, 0.9f, 0}}};
  ValidatedImage one = picture.get();
  one.coco_truth = {{0, {20, 10, 40, 20}, 800, false}, {0, {70, 0, 30, 30}, 900, true}};
  validator.add(one);
  const DetectionReport report = validator.report();
  EXPECT_EQ(report.instances, 1);
  EXPECT_NEAR(report.coco.ap50(), 1.0, 1e-12);
  EXPECT_LT(report.ultralytics.map50(), 0.6);
}

// The surer mask lies by three quarters in a crowd.
TEST(DetectionValidator, CrowdsOfMasksStandBehindTheTruth) {
  const auto ap50 = [](bool with_crowd) {
    DetectionValidator validator({"cell"}, {.second = SecondBlock::kMasks});
    const Image picture{{{kBox, 0}}, {{{45, 22, 55, 32}, 0.95f, 0}, {kBox, 0.9f, 0}}};
    ValidatedImage one = picture.get();
    one.second_overlap = [](size_t, size_t d) { return d == 1 ? 0.9f : 0.0f; };
    one.coco = CocoOverlaps{{{1, 0, 0.9}}, {700}, {300, 700}, {}};
    if (with_crowd) {
      one.crowds = {{0, {70, 0, 30, 30}, 900, true}};
      one.coco->truth_areas.push_back(850);
      one.coco->entries.push_back({0, 1, 0.75});
    }
    validator.add(one);
    EXPECT_EQ(validator.report().instances, 1);
    return validator.report().coco_masks.ap50();
  };
  EXPECT_NEAR(ap50(true), 1, 1e-12);
  EXPECT_NEAR(ap50(false), 0.5, 1e-12);
}

TEST(DetectionValidator, EmptyImagesCountAsImages) {
  DetectionValidator validator({"cell"});
  validator.add(Image().get("a.jpg"));
  validator.add(Image().get("b.jpg"));
  const DetectionReport report = validator.report();
  EXPECT_EQ(report.images, 2);
  EXPECT_EQ(report.instances, 0);
  EXPECT_EQ(report.ultralytics.fitness(), 0.0);
  EXPECT_EQ(report.coco.ap50(), -1.0);
}

TEST(DetectionValidator, ConfidenceOfValidationDecidesTheConfusionMatrix) {
  const Image picture{{}, {{kBox, 0.2f, 0}}};
  DetectionValidator usual({"cell"}), chosen({"cell"}, {.confidence = 0.1f});
  usual.add(picture.get());
  chosen.add(picture.get());
  EXPECT_EQ(usual.report().confusion.at(0, 1), 0);
  EXPECT_EQ(chosen.report().confusion.at(0, 1), 1);
}

TEST(DetectionValidator, RefusesClassesWithoutAName) {
  DetectionValidator validator({"cell"});
  EXPECT_THROW(validator.add(Image{{{kBox, 1}}, {}}.get()), Error);
  EXPECT_THROW(validator.add(Image{{}, {{kBox, 0.5f, 1}}}.get()), Error);
  EXPECT_THROW(validator.add(Image{{}, {{kBox, 0.5f, -1}}}.get()), Error);
  EXPECT_EQ(validator.report().images, 0);
  EXPECT_THROW(DetectionValidator({"a", "b"}, {.category_ids = {1}}), Error);
}

TEST(DetectionValidator, TableInTheReferencesColumns) {
  DetectionValidator validator({"cell", "platelet", "unused"});
  const Image picture{{{kBox, 0}, {kBox, 1}}, {{kBox, 0.75f, 0}}};
  validator.add(picture.get());
  const DetectionReport report = validator.report();
  const std::string header =
      "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95)\n";
  const std::string all =
      "                   all          1          2        0.5        0.5      0.497      0.497\n";
  const std::string classes =
      "                  cell          1          1          1          1      0.995      0.995\n"
      "              platelet          1          1          0          0          0          0\n";
  EXPECT_EQ(report_table(report, true), header + all + classes);
  EXPECT_EQ(report_table(report, false), header + all);
  const std::string text = report_text(report, true);
  EXPECT_NE(text.find("Ultralytics' definition (rules of 8.4;"), std::string::npos);
  EXPECT_NE(
      report_text(DetectionValidator({"cell"}, {.rules = Rules::k83}).report(), true).find("rules of 8.3"),
      std::string::npos);
  EXPECT_NE(text.find("COCO"), std::string::npos);
}

TEST(DetectionValidator, JsonHoldsBothDefinitions) {
  DetectionValidator validator({"cell", "platelet"});
  const Image picture{{{kBox, 0}}, {{kBox, 0.75f, 0}}};
  validator.add(picture.get());
  const nlohmann::ordered_json json = report_json(validator.report());
  EXPECT_NEAR(json.at("map50").get<double>(), 0.995, 1e-12);
  EXPECT_NEAR(json.at("map50_95").get<double>(), 0.995, 1e-12);
  EXPECT_EQ(json.at("rules"), "8.4");
  ASSERT_EQ(json.at("coco").size(), 12u);
  ASSERT_EQ(json.at("coco_names").size(), 12u);
  EXPECT_NEAR(json.at("coco")[0].get<double>(), 1.0, 1e-12);
  EXPECT_EQ(json.at("coco")[5], -1.0);
  ASSERT_EQ(json.at("per_class").size(), 1u);
  EXPECT_EQ(json.at("per_class")[0].at("name"), "cell");
  EXPECT_NEAR(json.at("per_class")[0].at("coco_ap50_95").get<double>(), 1.0, 1e-12);
  EXPECT_EQ(json.at("confusion_matrix").size(), 3u);
}

}  // namespace
}  // namespace marrow::evaluate
