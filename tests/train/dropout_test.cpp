#include "marrow/train/dropout.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/model/spec.h"
#include "marrow/model/zoo.h"
#include "marrow/train/executor.h"
#include "support/graphs.h"
#include "train/tiny_classes.h"

namespace marrow::train {
namespace {

using testing::dropout_rates;

model::Model tiny_vanilla() {
  return model::build_model(model::parse_model_spec(testing::kTinyVanillaNet, "vanilla.yaml"),
                            {.names = {"a", "b", "c"}});
}

TEST(SetDropout, LeavesInferenceAndParametersAlone) {
  for (const model::Model& before :
       {model::make_model("starnet_s050"), model::make_model("yolov8n-cls"), tiny_vanilla()}) {
    SCOPED_TRACE(before.yaml.substr(0, 60));
    EXPECT_TRUE(dropout_rates(before.graph).empty());
    model::Model after = before;
    set_dropout(after, 0.5);
    verify(after.graph);
    EXPECT_EQ(dropout_rates(after.graph), std::vector<double>{0.5});
    const Weights weights = randomize(before.graph, 1);
    const torch::Tensor images = to_torch(testing::noise({2, 3, 64, 64}, 2));
    TorchExecutor plain(before.graph, weights), dropping(after.graph, weights);
    const Value a = before.graph.find("logits"), b = after.graph.find("logits");
    EXPECT_TRUE(torch::equal(plain.evaluate(images, std::span(&a, 1))[0],
                             dropping.evaluate(images, std::span(&b, 1))[0]));
    EXPECT_FALSE(torch::equal(plain.train(images, std::span(&a, 1), {})[0],
                              dropping.train(images, std::span(&b, 1), {})[0]));
    for (const NamedValue& tap : before.graph.taps)
      EXPECT_EQ(before.graph.node(tap.value).name, after.graph.node(after.graph.find(tap.name)).name)
          << tap.name;
  }
}

TEST(SetDropout, TakesThePlaceOfTheNetworksOwn) {
  model::Model model = model::make_model("efficientnet_b0");
  EXPECT_EQ(dropout_rates(model.graph), std::vector<double>{0.2});
  set_dropout(model, 0.35);
  EXPECT_EQ(dropout_rates(model.graph), std::vector<double>{0.35});
}

TEST(SetDropout, RefusesWhereItHasNoMeaning) {
  model::Model paddle = model::make_model("pp_lcnet_x0_25");
  EXPECT_THROW(set_dropout(paddle, 0.5), Error);
  model::Model detector = model::make_model("yolov8n");
  EXPECT_THROW(set_dropout(detector, 0.5), Error);
}

}  // namespace
}  // namespace marrow::train
