#include "marrow/model/unfuse.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/base/random.h"
#include "marrow/graph/passes/fold_batch_norm.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/zoo.h"
#include "marrow/weights/load_report.h"

namespace marrow::model {
namespace {

Tensor noise(const Shape& shape) {
  Tensor tensor(shape);
  Random random(3, "noise");
  for (float& value : tensor.values()) value = static_cast<float>(random.normal());
  return tensor;
}

// A network, its batch norms folded as a deployment tool would, read back: the same numbers come out.
TEST(Unfuse, GivesAFoldedNetworkItsBatchNormsBack) {
  const Graph graph = make_model("yolov8n", {}, {.classes = 2}).graph;
  const Tensor input = noise({1, 3, 64, 64});
  const Weights weights = reference::measure_batch_statistics(graph, randomize(graph, 1), input);
  const Weights folded = passes::fold_batch_norm({graph, weights}).weights;
  ASSERT_FALSE(folded.contains("model.0.bn.weight"));

  Weights loaded;
  const weights::LoadReport report = weights::load_weights(graph, unfuse(graph, folded), loaded);
  EXPECT_TRUE(report.complete()) << to_string(report);
  EXPECT_TRUE(report.unused.empty()) << to_string(report);
  for (const char* tap : {"feat0", "feat1", "feat2"}) {
    const Tensor wanted = reference::run_reference(graph, weights, input, tap);
    EXPECT_LT(relative_difference(reference::run_reference(graph, loaded, input, tap), wanted), 1e-5) << tap;
  }
}

TEST(Unfuse, LeavesUnfoldedWeightsAlone) {
  const Graph graph = make_model("yolov8n").graph;
  const Weights weights = randomize(graph, 1);
  const Weights same = unfuse(graph, weights);
  ASSERT_EQ(same.size(), weights.size());
  for (const auto& [name, tensor] : weights) EXPECT_EQ(same.at(name).bytes(), tensor.bytes()) << name;
}

// Half of the network folded: only that half gets batch norms made up.
TEST(Unfuse, FillsOnlyWhatIsFolded) {
  const Graph graph = make_model("yolov8n").graph;
  Weights weights = randomize(graph, 1);
  std::erase_if(weights, [](const auto& entry) { return entry.first.starts_with("model.0.bn."); });
  weights["model.0.conv.bias"] = noise({16});
  const Weights filled = unfuse(graph, weights);
  EXPECT_FALSE(filled.contains("model.0.conv.bias"));
  EXPECT_TRUE(
      std::ranges::equal(filled.at("model.0.bn.bias").values(), weights.at("model.0.conv.bias").values()));
  EXPECT_EQ(filled.at("model.1.bn.bias").bytes(), weights.at("model.1.bn.bias").bytes());
}

// A file's bias of a wrong length must reach the report, not the network.
TEST(Unfuse, PassesAWrongShapeOn) {
  const Graph graph = make_model("yolov8n").graph;
  const Weights filled = unfuse(graph, {{"model.0.conv.bias", noise({5})}});
  Weights loaded;
  const weights::LoadReport report = weights::load_weights(graph, filled, loaded);
  EXPECT_EQ(report.mismatched.size(), 4u);
  EXPECT_TRUE(report.loaded.empty());
}

}  // namespace
}  // namespace marrow::model
