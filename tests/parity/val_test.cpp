// Whole validations, from images to metrics, against golden/yolov8/e2e.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/evaluate/detector_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/model/import.h"
#include "parity/recorded_validation.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

evaluate::DetectionReport validate_split(const std::filesystem::path& folder, const json& args) {
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
             {.names = names,
              .confidence = args.at("conf").get<float>(),
              .iou = args.at("iou").get<float>(),
              .rules = Rules::k83},
             [&](const loader::DetectionBatch& batch) { return predictor(batch.images); }, threads)
      .report;
}

TEST(parity_val, MetricsMatchTheRecordedValidations) {
  testing::for_each_golden("yolov8/e2e/expected.json", [](const std::filesystem::path& path) {
    const json golden = testing::read_json(path);
    int compared = 0;
    for (const auto& [name, wanted] : golden.items()) {
      if (!wanted.is_object() || !wanted.contains("results_dict")) continue;
      SCOPED_TRACE(name);
      ++compared;
      testing::expect_recorded(validate_split(path.parent_path(), wanted.at("args")), wanted);
    }
    EXPECT_GT(compared, 0);
  });
}

}  // namespace
}  // namespace marrow
