// Validation within a run, on the training executor, against golden/yolov8/e2e: the engine's is in
// tests/parity.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/model/import.h"
#include "marrow/train/detection_task.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

TEST(parity_val_in_training, MetricsMatchTheRecordedValidations) {
  static constexpr double kTolerance = 1e-3;  // golden/yolov8/README.md, "e2e/expected.json"
  testing::for_each_golden("yolov8/e2e/expected.json", [](const std::filesystem::path& path) {
    const std::filesystem::path folder = path.parent_path();
    const json golden = testing::read_json(path);
    int compared = 0;
    for (const auto& [name, wanted] : golden.items()) {
      // A run validates in rectangles, two training batches at a time.
      if (!wanted.is_object() || !wanted.contains("results_dict") || !wanted.at("args").at("rect")) continue;
      SCOPED_TRACE(name);
      ++compared;
      const json& args = wanted.at("args");
      const model::TrainedModel trained = model::load_trained(folder / "tiny.pt");
      train::TrainOptions options;
      options.batch = args.at("batch").get<int>() / 2;
      options.conf = args.at("conf").get<double>();
      options.iou = args.at("iou");
      options.rules = "8.3";
      const data::Dataset dataset = data::read_dataset(folder / "dataset" / "data.yaml");
      const evaluate::OpenSplitOptions open{.image_size = args.at("imgsz").get<int>(), .use_cache = false};
      const Graph& graph = trained.model.graph;
      train::DetectionTask task(options, train::DetectorKind(graph, dataset.skeleton, Rules::k83),
                                input_format(graph), trained.model.names, open.image_size,
                                trained.model.largest_stride, evaluate::open_split(dataset, "train", open),
                                evaluate::open_split(dataset, "val", open));
      for (const bool channels_last : {false, true}) {
        train::TorchTrainingExecutor executor(trained.model.graph,
                                              {.weights = trained.weights, .average = trained.weights},
                                              {.objective = task.objective()}, channels_last);
        const train::ValidationResult found = task.validate(executor, false, [] { return false; }).result;
        const json& results = wanted.at("results_dict");
        const char* const keys[] = {"metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)",
                                    "metrics/mAP50-95(B)"};
        ASSERT_EQ(found.metrics.size(), std::size(keys));
        for (size_t i = 0; i < std::size(keys); ++i)
          EXPECT_NEAR(found.metrics[i], results.at(keys[i]).get<double>(), kTolerance) << keys[i];
        EXPECT_NEAR(found.fitness, results.at("fitness").get<double>(), kTolerance);
        for (const double loss : found.losses) EXPECT_GT(loss, 0);
      }
    }
    EXPECT_GT(compared, 0);
  });
}

}  // namespace
}  // namespace marrow
