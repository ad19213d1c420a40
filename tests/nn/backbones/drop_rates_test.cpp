// Stochastic depth and dropout of the published networks.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "marrow/model/zoo.h"
#include "support/graphs.h"

namespace marrow::nn {
namespace {

using testing::dropout_rates;

std::vector<double> path_rates(const Graph& graph) {
  std::vector<double> rates;
  for (const Node& node : graph.nodes)
    if (const auto* path = std::get_if<DropPath>(&node.operation)) rates.push_back(path->rate);
  return rates;
}

// 16 blocks; those with a shortcut survive with probability 1 - 0.2 i / 16 (Tan and Le 2019, section 5.2).
TEST(DropRates, EfficientNetB0) {
  const Graph graph = model::make_model("efficientnet_b0").graph;
  std::vector<double> wanted;
  for (const int block : {2, 4, 6, 7, 9, 10, 12, 13, 14}) wanted.push_back(0.2 * block / 16);
  const std::vector<double> found = path_rates(graph);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-12);
  EXPECT_EQ(dropout_rates(graph), std::vector<double>{0.2});
  EXPECT_EQ(dropout_rates(model::make_model("efficientnet_b5").graph), std::vector<double>{0.4});
  // In a detector the depth stays stochastic.
  EXPECT_EQ(path_rates(model::make_model("yolov8n", "efficientnet_b0").graph), found);
}

// Rising from 0 to the rate of the published recipe.
TEST(DropRates, StarNet) {
  EXPECT_TRUE(path_rates(model::make_model("starnet_s1").graph).empty());
  for (const auto& [name, rate, blocks] :
       {std::tuple{"starnet_s2", 0.01, 11}, {"starnet_s3", 0.01, 16}, {"starnet_s4", 0.02, 23}}) {
    const std::vector<double> found = path_rates(model::make_model(name).graph);
    ASSERT_EQ(found.size(), static_cast<size_t>(blocks - 1)) << name;  // the first one's is 0: no node
    EXPECT_TRUE(std::ranges::is_sorted(found));
    EXPECT_NEAR(found.front(), rate / (blocks - 1), 1e-12);
    EXPECT_NEAR(found.back(), rate, 1e-12);
  }
}

TEST(DropRates, OfClassifiersHeads) {
  EXPECT_EQ(dropout_rates(model::make_model("pp_lcnet_x1_0").graph), std::vector<double>{0.2});
  EXPECT_TRUE(dropout_rates(model::make_model("shufflenet_v2_x1_0").graph).empty());
  EXPECT_TRUE(dropout_rates(model::make_model("vanillanet_5").graph).empty());
}

}  // namespace
}  // namespace marrow::nn
