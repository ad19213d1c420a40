// Metrics against golden/yolov8/metrics: the reference's own and pycocotools' numbers. Integers are equal,
// the rest within 1e-6.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "marrow/data/formats/coco_format.h"
#include "marrow/evaluate/metrics/average_precision.h"
#include "marrow/evaluate/metrics/coco.h"
#include "marrow/evaluate/metrics/confusion_matrix.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/evaluate/metrics/matching.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

constexpr double kMetricTolerance = 1e-6;

// The value whose key begins so: keys carry remarks.
const json& value_of(const json& object, const std::string& beginning) {
  for (const auto& [key, value] : object.items())
    if (key.rfind(beginning, 0) == 0) return value;
  throw std::runtime_error("expected.json has no " + beginning);
}

Box<InputPixels> box_of(const json& corners) {
  return Box<InputPixels>::from_corners(corners.get<std::array<float, 4>>());
}

struct ImageCase {
  std::vector<evaluate::TruthBox> truth;
  std::vector<detect::InputDetection> detections;
};

std::vector<ImageCase> pictures(const std::filesystem::path& folder) {
  const json truth = testing::read_json(folder / "gt_yolo.json"),
             found = testing::read_json(folder / "dt_yolo.json");
  EXPECT_FALSE(truth.empty());
  std::vector<ImageCase> cases;
  EXPECT_EQ(truth.size(), found.size());
  for (size_t i = 0; i < truth.size(); ++i) {
    EXPECT_EQ(truth[i].at("image"), found[i].at("image"));
    ImageCase& one = cases.emplace_back();
    for (size_t k = 0; k < truth[i].at("cls").size(); ++k)
      one.truth.push_back({box_of(truth[i].at("xyxy")[k]), truth[i].at("cls")[k].get<int>()});
    for (size_t k = 0; k < found[i].at("cls").size(); ++k)
      one.detections.push_back({box_of(found[i].at("xyxy")[k]), found[i].at("conf")[k].get<float>(),
                                found[i].at("cls")[k].get<int>()});
  }
  return cases;
}

// Each image is its own network input.
evaluate::DetectionReport report_of(const std::vector<ImageCase>& cases, size_t classes,
                                    Rules rules = Rules::k83) {
  std::vector<std::string> names;
  for (size_t c = 0; c < classes; ++c) names.push_back("class" + std::to_string(c));
  evaluate::DetectionValidator validator(names, {.rules = rules});
  constexpr Size kLarge = {100000, 100000};
  for (const ImageCase& one : cases)
    validator.add({"image.png", kLarge, kLarge, {}, one.truth, one.detections, {}});
  return validator.report();
}

void expect_rows(const evaluate::PrecisionCurves::Rows& rows, const Tensor& wanted) {
  ASSERT_EQ(wanted.shape(), (Shape{static_cast<int64_t>(rows.size()), evaluate::kCurvePoints}));
  for (size_t c = 0; c < rows.size(); ++c) {
    for (size_t i = 0; i < evaluate::kCurvePoints; ++i)
      ASSERT_NEAR(rows[c][i], wanted.values<double>()[c * evaluate::kCurvePoints + i], kMetricTolerance)
          << c << ", " << i;
  }
}

TEST(parity_metrics, TruePositivesOfEveryDetection) {
  testing::for_each_golden("yolov8/metrics", [](const std::filesystem::path& folder) {
    const json expected = testing::read_json(folder / "expected.json");
    const json& thresholds = expected.at("iou_thresholds");
    ASSERT_EQ(thresholds.size(), evaluate::kIouThresholds);
    for (size_t t = 0; t < evaluate::kIouThresholds; ++t)
      EXPECT_EQ(evaluate::float_iou_thresholds()[t], thresholds[t].get<float>());
    const json& rows = value_of(expected, "tp_per_detection");
    size_t row = 0;
    for (const ImageCase& one : pictures(folder)) {
      for (const evaluate::MatchedDetection& detection :
           evaluate::match_detections(one.truth, one.detections, Rules::k83)) {
        ASSERT_LT(row, rows.size());
        for (size_t t = 0; t < evaluate::kIouThresholds; ++t)
          EXPECT_EQ(detection.true_positive[t], rows[row][t].get<int>() != 0) << row << ", " << t;
        ++row;
      }
    }
    EXPECT_EQ(row, rows.size());
  });
}

TEST(parity_metrics, PrecisionOfEveryClassAndTheirMeans) {
  testing::for_each_golden("yolov8/metrics", [](const std::filesystem::path& folder) {
    const json expected = testing::read_json(folder / "expected.json");
    const evaluate::DetectionReport report = report_of(pictures(folder), expected.at("names").size());
    EXPECT_EQ(report.images, expected.at("images").get<int64_t>());
    EXPECT_EQ(report.instances, expected.at("instances").get<int64_t>());
    EXPECT_EQ(report.images_of_class, expected.at("nt_per_image").get<std::vector<int64_t>>());
    const auto& classes = report.ultralytics.classes;
    const json& per_class = expected.at("per_class");
    ASSERT_EQ(classes.size(), per_class.size());
    for (size_t i = 0; i < classes.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(classes[i].class_id, expected.at("ap_class_index")[i].get<int>());
      EXPECT_EQ(classes[i].class_id, per_class[i].at("class").get<int>());
      const auto c = static_cast<size_t>(classes[i].class_id);
      EXPECT_EQ(classes[i].instances, expected.at("nt_per_class")[c].get<int64_t>());
      EXPECT_NEAR(classes[i].precision, per_class[i].at("P").get<double>(), kMetricTolerance);
      EXPECT_NEAR(classes[i].recall, per_class[i].at("R").get<double>(), kMetricTolerance);
      EXPECT_NEAR(classes[i].f1, per_class[i].at("F1").get<double>(), kMetricTolerance);
      EXPECT_NEAR(classes[i].map50(), per_class[i].at("AP50").get<double>(), kMetricTolerance);
      EXPECT_NEAR(classes[i].map50_95(), per_class[i].at("AP50_95").get<double>(), kMetricTolerance);
      for (size_t t = 0; t < evaluate::kIouThresholds; ++t)
        EXPECT_NEAR(classes[i].ap[t], per_class[i].at("AP_per_iou")[t].get<double>(), kMetricTolerance);
    }
    const json& mean = expected.at("mean");
    EXPECT_NEAR(report.ultralytics.precision(), mean.at("P").get<double>(), kMetricTolerance);
    EXPECT_NEAR(report.ultralytics.recall(), mean.at("R").get<double>(), kMetricTolerance);
    EXPECT_NEAR(report.ultralytics.map50(), mean.at("mAP50").get<double>(), kMetricTolerance);
    EXPECT_NEAR(report.ultralytics.map75(), mean.at("mAP75").get<double>(), kMetricTolerance);
    EXPECT_NEAR(report.ultralytics.map50_95(), mean.at("mAP50_95").get<double>(), kMetricTolerance);
    EXPECT_NEAR(report.ultralytics.fitness(), expected.at("results_dict").at("fitness").get<double>(),
                kMetricTolerance);
    EXPECT_EQ(report.ultralytics.best_f1_index, value_of(expected, "max_f1_index").get<size_t>());
    EXPECT_NEAR(report.ultralytics.best_confidence(), expected.at("max_f1_conf").get<double>(),
                kMetricTolerance);
    const auto maps = value_of(expected, "maps").get<std::vector<double>>();
    const std::vector<double> ours = report.map_by_class();
    ASSERT_EQ(ours.size(), maps.size());
    for (size_t c = 0; c < maps.size(); ++c) EXPECT_NEAR(ours[c], maps[c], kMetricTolerance);
  });
}

TEST(parity_metrics, Curves) {
  testing::for_each_golden("yolov8/metrics", [](const std::filesystem::path& folder) {
    const auto golden = weights::read_safetensors(folder / "curves.safetensors").tensors;
    const evaluate::DetectionReport report =
        report_of(pictures(folder), testing::read_json(folder / "expected.json").at("names").size());
    const evaluate::AveragePrecision& result = report.ultralytics;
    expect_rows({result.curves.x}, golden.at("px").reshape({1, evaluate::kCurvePoints}));
    expect_rows(result.curves.precision, golden.at("p_curve"));
    expect_rows(result.curves.recall, golden.at("r_curve"));
    expect_rows(result.curves.f1, golden.at("f1_curve"));
    // The reference leaves out the row of a class that has no detections.
    evaluate::PrecisionCurves::Rows envelopes = result.curves.precision_by_recall;
    const Tensor& wanted = golden.at("prec_values");
    if (wanted.dim(0) < static_cast<int64_t>(envelopes.size()))
      std::erase(envelopes, std::vector<double>(evaluate::kCurvePoints, 0.0));
    expect_rows(envelopes, wanted);
    const Tensor& ap = golden.at("all_ap");
    ASSERT_EQ(ap.size(), static_cast<int64_t>(result.classes.size() * evaluate::kIouThresholds));
    for (size_t i = 0; i < result.classes.size() * evaluate::kIouThresholds; ++i)
      EXPECT_NEAR(result.classes[i / evaluate::kIouThresholds].ap[i % evaluate::kIouThresholds],
                  ap.values<double>()[i], kMetricTolerance);
  });
}

// Every key that tells its thresholds.
TEST(parity_metrics, ConfusionMatrices) {
  testing::for_each_golden("yolov8/metrics", [](const std::filesystem::path& folder) {
    const json expected = testing::read_json(folder / "expected.json");
    const std::regex key_form("confusion_matrix_conf([0-9.]+)_iou([0-9.]+).*");
    int compared = 0;
    for (const auto& [key, rows] : expected.items()) {
      std::smatch parts;
      if (!std::regex_match(key, parts, key_form)) continue;
      SCOPED_TRACE(key);
      ASSERT_EQ(std::stof(parts[2]), evaluate::kConfusionIou);
      const auto size = static_cast<int>(expected.at("names").size()) + 1;
      evaluate::ConfusionMatrix matrix(size);
      for (const ImageCase& one : pictures(folder))
        evaluate::add_detections(matrix, one.truth, one.detections, std::stof(parts[1]), Rules::k83);
      ASSERT_EQ(rows.size(), static_cast<size_t>(size));
      for (int predicted = 0; predicted < size; ++predicted) {
        for (int truth = 0; truth < size; ++truth)
          EXPECT_EQ(static_cast<double>(matrix.at(predicted, truth)),
                    rows[static_cast<size_t>(predicted)][static_cast<size_t>(truth)].get<double>())
              << predicted << ", " << truth;
      }
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

// The folder that holds what another one was measured on: "shared/golden/yolov8/metrics/gt_yolo.json, ...".
std::filesystem::path measured_folder(const std::string& input) {
  const std::string part = input.substr(input.find("golden/") + 7);
  for (const std::filesystem::path& golden : testing::named_golden_folders())
    if (const auto file = golden / part.substr(0, part.find(',')); std::filesystem::exists(file))
      return file.parent_path();
  return {};
}

// Ultralytics 8.4's own numbers, and the means of 8.3 beside them, on the same detections.
TEST(parity_metrics, RulesOf84) {
  testing::for_each_golden("compat/metrics", [](const std::filesystem::path& folder) {
    const json expected = testing::read_json(folder / "expected.json").at("metrics");
    const std::filesystem::path input = measured_folder(expected.at("input"));
    ASSERT_FALSE(input.empty()) << expected.at("input");
    const std::vector<ImageCase> cases = pictures(input);
    const json& rows = value_of(expected, "tp_per_detection");
    size_t row = 0;
    for (const ImageCase& one : cases)
      for (const evaluate::MatchedDetection& detection :
           evaluate::match_detections(one.truth, one.detections, Rules::k84)) {
        ASSERT_LT(row, rows.size());
        for (size_t t = 0; t < evaluate::kIouThresholds; ++t)
          EXPECT_EQ(detection.true_positive[t], rows[row][t].get<int>() != 0) << row << ", " << t;
        ++row;
      }
    EXPECT_EQ(row, rows.size());

    const json& matrix = value_of(expected, "confusion_matrix_conf0.25");
    const size_t classes = matrix.size() - 1;
    const evaluate::AveragePrecision found = report_of(cases, classes, Rules::k84).ultralytics;
    const json& per_class = expected.at("per_class");
    ASSERT_EQ(found.classes.size(), per_class.size());
    for (size_t i = 0; i < per_class.size(); ++i) {
      EXPECT_EQ(found.classes[i].class_id, expected.at("ap_class_index")[i].get<int>());
      EXPECT_NEAR(found.classes[i].precision, per_class[i].at("P").get<double>(), kMetricTolerance);
      EXPECT_NEAR(found.classes[i].recall, per_class[i].at("R").get<double>(), kMetricTolerance);
      EXPECT_NEAR(found.classes[i].f1, per_class[i].at("F1").get<double>(), kMetricTolerance);
      EXPECT_NEAR(found.classes[i].map50(), per_class[i].at("AP50").get<double>(), kMetricTolerance);
      EXPECT_NEAR(found.classes[i].map50_95(), per_class[i].at("AP50_95").get<double>(), kMetricTolerance);
    }
    for (const auto& [rules, key] : {std::pair{Rules::k84, "mean"}, {Rules::k83, "mean_8.3.253"}}) {
      const evaluate::AveragePrecision means = report_of(cases, classes, rules).ultralytics;
      const json& mean = expected.at(key);
      EXPECT_NEAR(means.precision(), mean.at("P").get<double>(), kMetricTolerance) << key;
      EXPECT_NEAR(means.recall(), mean.at("R").get<double>(), kMetricTolerance) << key;
      EXPECT_NEAR(means.map50(), mean.at("mAP50").get<double>(), kMetricTolerance) << key;
      EXPECT_NEAR(means.map75(), mean.at("mAP75").get<double>(), kMetricTolerance) << key;
      EXPECT_NEAR(means.map50_95(), mean.at("mAP50_95").get<double>(), kMetricTolerance) << key;
    }

    const std::regex key_form("confusion_matrix_conf([0-9.]+)(_iou.*|_8\\.3\\..*)");
    int compared = 0;
    for (const auto& [key, counts] : expected.items()) {
      std::smatch parts;
      if (!std::regex_match(key, parts, key_form)) continue;
      SCOPED_TRACE(key);
      ++compared;
      evaluate::ConfusionMatrix found_matrix(static_cast<int>(classes) + 1);
      for (const ImageCase& one : cases)
        evaluate::add_detections(found_matrix, one.truth, one.detections, std::stof(parts[1]),
                                 parts.str(2).starts_with("_iou") ? Rules::k84 : Rules::k83);
      for (size_t predicted = 0; predicted <= classes; ++predicted)
        for (size_t truth = 0; truth <= classes; ++truth)
          EXPECT_EQ(
              static_cast<double>(found_matrix.at(static_cast<int>(predicted), static_cast<int>(truth))),
              counts[predicted][truth].get<double>())
              << predicted << ", " << truth;
    }
    EXPECT_GE(compared, 3);
  });
}

void expect_coco(const evaluate::CocoReport& report, const json& expected) {
  ASSERT_EQ(expected.at("stats").size(), evaluate::kCocoNumbers);
  for (size_t i = 0; i < evaluate::kCocoNumbers; ++i)
    EXPECT_NEAR(report.numbers[i], expected.at("stats")[i].get<double>(), kMetricTolerance)
        << evaluate::coco_number_names()[i];
  const auto expect_each = [&](const char* key,
                               std::optional<double> evaluate::CocoCategoryPrecision::*member) {
    if (!expected.contains(key)) return;
    ASSERT_EQ(report.categories.size(), expected.at(key).size());
    for (size_t c = 0; c < report.categories.size(); ++c) {
      const json& wanted = expected.at(key)[c];
      const std::optional<double> found = report.categories[c].*member;
      ASSERT_EQ(found.has_value(), !wanted.is_null()) << key << " " << c;
      if (!found) continue;
      EXPECT_NEAR(*found, wanted.get<double>(), kMetricTolerance) << key << " " << c;
    }
  };
  expect_each("per_category_AP50_95", &evaluate::CocoCategoryPrecision::ap50_95);
  expect_each("per_category_AP50", &evaluate::CocoCategoryPrecision::ap50);
}

// gt.json, whose annotations are in the order of their images; each area is that of the box.
evaluate::CocoGroundTruth coco_truth(const std::filesystem::path& folder) {
  evaluate::CocoGroundTruth truth;
  const data::CocoFile file = data::read_coco(folder / "gt.json");
  for (const data::CocoImage& image : file.images) truth.image_ids.push_back(image.id);
  for (const data::CocoCategory& category : file.categories) truth.category_ids.push_back(category.id);
  for (const data::CocoObject& object : file.objects)
    truth.annotations.push_back(
        {object.image_id, object.category_id, object.box, object.box.area(), object.crowd});
  return truth;
}

std::vector<evaluate::CocoDetection> coco_detections(const std::filesystem::path& folder) {
  std::vector<evaluate::CocoDetection> detections;
  for (const json& row : testing::read_json(folder / "dt.json")) {
    const auto box = row.at("bbox").get<std::array<double, 4>>();
    detections.push_back({row.at("image_id").get<int64_t>(),
                          row.at("category_id").get<int64_t>(),
                          {box[0], box[1], box[2], box[3]},
                          row.at("score").get<double>()});
  }
  return detections;
}

TEST(parity_metrics, CocosTwelveNumbers) {
  testing::for_each_golden("yolov8/metrics", [](const std::filesystem::path& folder) {
    const json expected = testing::read_json(folder / "coco_expected.json");
    const evaluate::CocoReport report = evaluate::evaluate_coco(coco_truth(folder), coco_detections(folder));
    for (size_t i = 0; i < evaluate::kCocoNumbers; ++i)
      EXPECT_EQ(expected.at("names")[i], evaluate::coco_number_names()[i]);
    expect_coco(report, expected);
  });
}

// Annotations at list positions 0, 11, 22, ... become crowds.
TEST(parity_metrics, CocosTwelveNumbersWithCrowds) {
  testing::for_each_golden("yolov8/metrics", [](const std::filesystem::path& folder) {
    constexpr size_t kEvery = 11;
    evaluate::CocoGroundTruth truth = coco_truth(folder);
    for (size_t i = 0; i < truth.annotations.size(); i += kEvery) truth.annotations[i].crowd = true;
    expect_coco(evaluate::evaluate_coco(truth, coco_detections(folder)),
                testing::read_json(folder / "coco_expected.json").at("crowd_variant"));
  });
}

}  // namespace
}  // namespace marrow
