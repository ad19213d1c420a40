#include "marrow/train/dropout.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/spec.h"
#include "marrow/model/zoo.h"
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
    const Tensor images = testing::noise({2, 3, 64, 64}, 2);
    EXPECT_EQ(relative_difference(reference::run_reference(after.graph, weights, images, "logits"),
                                  reference::run_reference(before.graph, weights, images, "logits")),
              0);
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
