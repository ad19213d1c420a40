// Whole predictions and validations of masks, keypoints and turned boxes, from images and labels on, against
// golden/tasks/e2e.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/evaluate/detector_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/image/decode.h"
#include "marrow/model/import.h"
#include "marrow/predict/detector.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// golden/tasks/README.md, "e2e".
constexpr double kTaskMetrics = 1e-3, kTaskPlaces = 0.05, kTaskConfidence = 1e-3, kTaskAngle = 1e-3,
                 kTaskMaskShare = 0.01;

void for_each_tiny_task(const std::function<void(const fs::path& folder, const json& expected)>& test) {
  testing::for_each_golden("tasks/e2e", [&](const fs::path& path) {
    int compared = 0;
    for (const fs::path& file : testing::files_below(path, {"expected.json"})) {
      SCOPED_TRACE(file.string());
      test(file.parent_path(), testing::read_json(file));
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

void expect_near_all(const json& wanted, const std::vector<float>& found, double tolerance,
                     const char* what) {
  std::vector<float> numbers;
  const std::function<void(const json&)> walk = [&](const json& value) {
    if (value.is_array())
      for (const json& item : value) walk(item);
    else
      numbers.push_back(value.get<float>());
  };
  walk(wanted);
  ASSERT_EQ(numbers.size(), found.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], numbers[i], tolerance) << what << " " << i;
}

void expect_prediction(const predict::DetectionResult& found, const json& wanted) {
  const size_t count = wanted.at("conf").size();
  ASSERT_EQ(found.detections.size(), count);
  for (size_t i = 0; i < count; ++i) {
    const detect::Detection& one = found.detections[i];
    EXPECT_NEAR(one.confidence, wanted.at("conf")[i].get<double>(), kTaskConfidence);
    EXPECT_EQ(one.class_id, static_cast<int>(wanted.at("cls")[i].get<double>()));
    const auto corners = one.box.corners();
    if (wanted.contains("xyxy"))
      expect_near_all(wanted.at("xyxy")[i], {corners.begin(), corners.end()}, kTaskPlaces, "box");
    if (wanted.contains("xywhr")) {
      const RotatedBox<ImagePixels>& box = found.extras.rotated.at(i);
      const json& numbers = wanted.at("xywhr")[i];
      ASSERT_EQ(numbers.size(), 5u);
      const float places[] = {box.cx, box.cy, box.width, box.height};
      for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(places[k], numbers[k].get<float>(), kTaskPlaces) << k;
      EXPECT_NEAR(box.angle, numbers[4].get<float>(), kTaskAngle);
    }
    if (wanted.contains("keypoints")) {
      std::vector<float> numbers;
      for (const auto& [x, y, visibility] : found.extras.keypoints.at(i)) {
        numbers.insert(numbers.end(), {x, y});
        if (found.extras.visibility) numbers.push_back(visibility);
      }
      expect_near_all(wanted.at("keypoints")[i], numbers, kTaskPlaces, "keypoints");
    }
    if (wanted.contains("mask_rle")) {
      const Size size = {wanted.at("mask_hw")[1].get<int>(), wanted.at("mask_hw")[0].get<int>()};
      const auto runs = parse_runs(wanted.at("mask_rle")[i].get<std::string>(), 1 << 20);
      const Mask mask = mask_of_runs(runs.value(), size).value();
      ASSERT_EQ(found.extras.mask_size, size);
      const Mask seen = whole(found.extras.masks.at(i), size);
      double different = 0;
      for (size_t k = 0; k < mask.pixels.size(); ++k) different += mask.pixels[k] != seen.pixels[k];
      EXPECT_LE(different, kTaskMaskShare * static_cast<double>(mask.pixels.size()));
    }
  }
}

TEST(parity_task_validation, PredictionsOfEveryPicture) {
  for_each_tiny_task([](const fs::path& folder, const json& expected) {
    const model::TrainedModel trained = model::load_trained(folder / "tiny.pt");
    int compared = 0;
    for (const auto& [name, entry] : expected.items()) {
      if (!name.starts_with("predict_")) continue;
      SCOPED_TRACE(name);
      const json& args = entry.at("args");
      const int size = expected.at("imgsz");
      predict::DetectorOptions options = {.size = {size, size}};
      options.nms.confidence = args.at("conf");
      options.nms.iou = args.at("iou");
      options.nms.agnostic = args.value("agnostic_nms", false);
      if (args.value("retina_masks", false)) options.masks = predict::MaskSize::kImage;
      predict::Detector detector(trained.model.graph, trained.weights, options);
      for (const auto& [file, wanted] : entry.at("images").items()) {
        SCOPED_TRACE(file);
        const image::Image picture =
            image::decode_image_file(folder / "dataset" / "images" / "val" / file).image;
        expect_prediction(detector.detect(picture), wanted);
        ++compared;
      }
    }
    EXPECT_GT(compared, 0);
  });
}

// Whoever draws a batch gets the extras of as many detections as are asked for.
void expect_drawn(const evaluate::ValidatedHead& head,
                  std::span<const std::vector<detect::InputDetection>> detections,
                  const evaluate::ExtrasOfImage& extras) {
  for (size_t i = 0; i < detections.size(); ++i) {
    const size_t wanted = std::min<size_t>(detections[i].size(), 3);
    const detect::DetectionExtras drawn = extras(i, wanted);
    EXPECT_EQ(drawn.masks.size(), head.second() == evaluate::SecondBlock::kMasks ? wanted : 0);
    EXPECT_EQ(drawn.keypoints.size(), head.second() == evaluate::SecondBlock::kKeypoints ? wanted : 0);
    ASSERT_EQ(drawn.rotated.size(), head.turned() ? wanted : 0);
    for (size_t d = 0; d < drawn.rotated.size(); ++d) {
      const auto bounds = drawn.rotated[d].bounds();
      EXPECT_EQ(bounds.x1, detections[i][d].box.x1);
      EXPECT_EQ(bounds.y2, detections[i][d].box.y2);
    }
  }
}

evaluate::DetectionReport report_of(const fs::path& folder, const json& expected, const json& args) {
  const model::TrainedModel trained = model::load_trained(folder / "tiny.pt");
  data::Dataset dataset = data::read_dataset(folder / "dataset" / "data.yaml");
  dataset.task = task_named(expected.at("task").get<std::string>()).value();
  const evaluate::OpenedSplit split = evaluate::open_split(
      dataset, "val",
      {.image_size = expected.at("imgsz").get<int>(), .use_cache = false, .say = [](auto&) {}});
  cpu::ThreadPool threads;
  loader::DetectionLoader loader(split.images, {.batch = expected.at("batch").get<int>(),
                                                .workers = 2,
                                                .rectangular = args.at("rect").get<bool>(),
                                                .stride = std::max(trained.model.largest_stride, 32)});
  evaluate::ValidatedHead head = evaluate::validated_head(trained.model.graph, true, dataset.skeleton.sigmas);
  head.fine_masks = args.value("save_json", false);
  evaluate::EnginePredictor predictor(trained, {});
  return evaluate::validate_detector(
             loader, *split.images,
             {.names = trained.model.names,
              .confidence = args.value("conf", evaluate::validation_confidence(head)),
              .head = head,
              .rules = Rules::k84,
              .show = [&](const loader::DetectionBatch&,
                          std::span<const std::vector<detect::InputDetection>> detections,
                          const evaluate::ExtrasOfImage& extras) { expect_drawn(head, detections, extras); }},
             [&](const loader::DetectionBatch& batch) { return predictor.predict(batch.images); }, threads)
      .report;
}

void expect_block(const evaluate::AveragePrecision& found, const json& results, const std::string& tag,
                  const json& block) {
  SCOPED_TRACE(tag);
  EXPECT_NEAR(found.precision(), results.at("metrics/precision" + tag).get<double>(), kTaskMetrics);
  EXPECT_NEAR(found.recall(), results.at("metrics/recall" + tag).get<double>(), kTaskMetrics);
  EXPECT_NEAR(found.map50(), results.at("metrics/mAP50" + tag).get<double>(), kTaskMetrics);
  EXPECT_NEAR(found.map50_95(), results.at("metrics/mAP50-95" + tag).get<double>(), kTaskMetrics);
  for (size_t c = 0; c < found.classes.size(); ++c)
    EXPECT_NEAR(found.classes[c].map50_95(), block.at("ap").at(c).get<double>(), kTaskMetrics) << c;
}

TEST(parity_task_validation, MetricsOfEveryValidation) {
  for_each_tiny_task([](const fs::path& folder, const json& expected) {
    int compared = 0;
    for (const auto& [name, entry] : expected.items()) {
      if (!entry.is_object() || !entry.contains("results_dict")) continue;
      SCOPED_TRACE(name);
      const evaluate::DetectionReport found = report_of(folder, expected, entry.at("args"));
      const json& results = entry.at("results_dict");
      expect_block(found.ultralytics, results, "(B)", entry.at("box"));
      if (entry.contains("mask")) expect_block(found.second, results, "(M)", entry.at("mask"));
      if (entry.contains("pose")) expect_block(found.second, results, "(P)", entry.at("pose"));
      EXPECT_NEAR(found.fitness(), results.at("fitness").get<double>(), kTaskMetrics);
      EXPECT_EQ(found.images_of_class, entry.at("nt_per_image").get<std::vector<int64_t>>());
      // Ours is of prediction's confidence where validation runs at its default.
      if (entry.contains("confusion_matrix") && entry.at("args").contains("conf")) {
        for (int predicted = 0; predicted < found.confusion.size(); ++predicted)
          for (int truth = 0; truth < found.confusion.size(); ++truth)
            EXPECT_EQ(static_cast<double>(found.confusion.at(predicted, truth)),
                      entry.at("confusion_matrix")[static_cast<size_t>(predicted)][static_cast<size_t>(truth)]
                          .get<double>())
                << predicted << ", " << truth;
      }
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

// Of keypoints and turned boxes; the recorded masks are those of predictions.json, which are cut to whole
// pixels once more.
TEST(parity_task_validation, CocosNumbers) {
  for_each_tiny_task([](const fs::path& folder, const json& expected) {
    const evaluate::DetectionReport found = report_of(folder, expected, {{"rect", false}});
    const auto expect = [&](const auto& numbers, const json& wanted) {
      ASSERT_EQ(numbers.size(), wanted.at("stats").size());
      for (size_t i = 0; i < numbers.size(); ++i)
        EXPECT_NEAR(numbers[i], wanted.at("stats")[i].template get<double>(), kTaskMetrics)
            << wanted.at("names")[i];
    };
    if (expected.contains("coco_bbox_of_predictions_json"))
      expect(found.coco.numbers, expected.at("coco_bbox_of_predictions_json"));
    if (expected.contains("coco_rotated_of_predictions_json"))
      expect(found.coco.numbers, expected.at("coco_rotated_of_predictions_json"));
    if (expected.contains("coco_keypoints_of_predictions_json"))
      expect(found.coco_keypoints.numbers, expected.at("coco_keypoints_of_predictions_json"));
  });
}

}  // namespace
}  // namespace marrow
