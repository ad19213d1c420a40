// Whole validations, from images to metrics, against golden/yolov8/e2e.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "marrow/evaluate/detector_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/model/import.h"
#include "support/golden.h"

namespace marrow {
namespace {

using nlohmann::json;

constexpr double kTolerance = 1e-3;  // golden/yolov8/README.md, "e2e/expected.json"

evaluate::DetectionReport validate(const std::filesystem::path& folder, const json& args) {
  model::TrainedModel trained = model::load_trained(folder / "tiny.pt");
  const evaluate::OpenedSplit split =
      evaluate::open_split(data::read_dataset(folder / "dataset" / "data.yaml"), "val",
                           {.image_size = args.at("imgsz").get<int>(), .use_cache = false});
  cpu::ThreadPool threads;
  loader::DetectionLoader loader(split.images, {.batch = args.at("batch").get<int>(),
                                                .workers = 2,
                                                .rectangular = args.at("rect").get<bool>(),
                                                .stride = trained.model.largest_stride});
  const std::vector<std::string> names = trained.model.names;
  evaluate::EnginePredictor predictor(std::move(trained), {});
  return evaluate::validate_detector(
             loader, *split.images,
             {.names = names, .confidence = args.at("conf").get<float>(), .iou = args.at("iou").get<float>()},
             [&](const loader::DetectionBatch& batch) { return predictor(batch.images); }, threads)
      .report;
}

TEST(parity_val, MetricsMatchTheRecordedValidations) {
  testing::for_each_golden("yolov8/e2e/expected.json", [](const std::filesystem::path& path) {
    const json golden = json::parse(std::ifstream(path));
    int compared = 0;
    for (const auto& [name, wanted] : golden.items()) {
      if (!wanted.is_object() || !wanted.contains("results_dict")) continue;
      SCOPED_TRACE(name);
      ++compared;
      const evaluate::DetectionReport found = validate(path.parent_path(), wanted.at("args"));
      const evaluate::AveragePrecision& ap = found.ultralytics;
      const json& results = wanted.at("results_dict");
      EXPECT_NEAR(ap.precision(), results.at("metrics/precision(B)").get<double>(), kTolerance);
      EXPECT_NEAR(ap.recall(), results.at("metrics/recall(B)").get<double>(), kTolerance);
      EXPECT_NEAR(ap.map50(), results.at("metrics/mAP50(B)").get<double>(), kTolerance);
      EXPECT_NEAR(ap.map50_95(), results.at("metrics/mAP50-95(B)").get<double>(), kTolerance);
      EXPECT_NEAR(ap.fitness(), results.at("fitness").get<double>(), kTolerance);
      if (wanted.contains("nt_per_class"))
        for (size_t c = 0; c < ap.classes.size(); ++c) {
          EXPECT_NEAR(ap.classes[c].precision, wanted.at("P").at(c).get<double>(), kTolerance);
          EXPECT_NEAR(ap.classes[c].recall, wanted.at("R").at(c).get<double>(), kTolerance);
          EXPECT_NEAR(ap.classes[c].map50(), wanted.at("ap50").at(c).get<double>(), kTolerance);
          EXPECT_NEAR(ap.classes[c].map50_95(), wanted.at("ap").at(c).get<double>(), kTolerance);
          EXPECT_EQ(ap.classes[c].instances, wanted.at("nt_per_class").at(c).get<int64_t>());
        }
      if (wanted.contains("confusion_matrix")) {
        const json& rows = wanted.at("confusion_matrix");
        ASSERT_EQ(found.confusion.size(), static_cast<int>(rows.size()));
        for (int r = 0; r < found.confusion.size(); ++r)
          for (int c = 0; c < found.confusion.size(); ++c)
            EXPECT_EQ(static_cast<double>(found.confusion.at(r, c)),
                      rows.at(static_cast<size_t>(r)).at(static_cast<size_t>(c)).get<double>())
                << "predicted " << r << ", true " << c;
      }
    }
    EXPECT_GT(compared, 0);
  });
}

}  // namespace
}  // namespace marrow
