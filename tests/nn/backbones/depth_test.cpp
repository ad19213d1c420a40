// The factors on depth and width that every family has among its settings.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <vector>

#include "marrow/nn/backbones/backbone.h"
#include "nn/backbones/body.h"

namespace marrow::nn {
namespace {

using testing::body;

// How many parameters each stage has that stand once in every block.
std::vector<int> blocks_of(std::string_view name, double depth, std::string_view once_a_block) {
  std::map<int, int> blocks;
  const Graph graph = body(name, {{"depth", depth}});
  for (const Parameter& parameter : graph.parameters)
    if (parameter.name.ends_with(once_a_block))
      ++blocks[std::stoi(parameter.name.substr(parameter.name.find_first_of("0123456789")))];
  std::vector<int> counts;
  for (const auto& [stage, count] : blocks) counts.push_back(count);
  return counts;
}

TEST(Depth, RepeatsOfAStageAreRoundedUp) {
  using Counts = std::vector<int>;
  EXPECT_EQ(blocks_of("starnet_s1", 1.0, ".g.conv.weight"), (Counts{2, 2, 8, 3}));
  EXPECT_EQ(blocks_of("starnet_s1", 1.2, ".g.conv.weight"), (Counts{3, 3, 10, 4}));
  EXPECT_EQ(blocks_of("starnet_s1", 0.5, ".g.conv.weight"), (Counts{1, 1, 4, 2}));
  EXPECT_EQ(blocks_of("pp_lcnet_x1_0", 1.0, "pw_conv.conv.weight"), (Counts{1, 2, 2, 6, 2}));
  EXPECT_EQ(blocks_of("pp_lcnet_x1_0", 1.2, "pw_conv.conv.weight"), (Counts{2, 3, 3, 8, 3}));
  EXPECT_EQ(blocks_of("pp_lcnet_x1_0", 0.5, "pw_conv.conv.weight"), (Counts{1, 1, 1, 3, 1}));
  EXPECT_EQ(blocks_of("shufflenet_v2_x1_0", 1.0, "branch2.5.weight"), (Counts{4, 8, 4}));
  EXPECT_EQ(blocks_of("shufflenet_v2_x1_0", 1.2, "branch2.5.weight"), (Counts{5, 10, 5}));
  // B0 at 1.1 is B1.
  EXPECT_EQ(blocks_of("efficientnet_b0", 1.1, "fc1.weight"), (Counts{2, 3, 3, 4, 4, 5, 2}));
}

// Strides tell where VanillaNet's stages are; its parameters number the blocks through.
TEST(Depth, VanillaNetRepeatsBlocksOfStrideOne) {
  const auto channels = [](std::string_view name, double depth) {
    std::map<double, std::vector<int>> by_stride;
    const Graph graph = body(name, {{"depth", depth}, {"width", 1.0 / 64}});
    for (const Node& node : graph.nodes)
      if (const auto* conv = std::get_if<Conv>(&node.operation); conv != nullptr && conv->groups > 1)
        by_stride[node.stride].push_back(
            node.channels);  // the series activation of each block, and the stem's
    return by_stride;
  };
  using Map = std::map<double, std::vector<int>>;
  EXPECT_EQ(channels("vanillanet_6", 1.0), (Map{{4, {8}}, {8, {16}}, {16, {32}}, {32, {64, 64}}}));
  EXPECT_EQ(channels("vanillanet_6", 1.5),
            (Map{{4, {8}}, {8, {16, 16}}, {16, {32, 32}}, {32, {64, 64, 64}}}));
  EXPECT_EQ(channels("vanillanet_8", 0.5), (Map{{4, {8, 8}}, {8, {16}}, {16, {32}}, {32, {64}}}));
}

TEST(Depth, ADeeperNetworkStartsLikeThePublishedOne) {
  // Every block of the published network is there under its name and in its shape. VanillaNet's blocks are
  // numbered through all stages, so there names move.
  for (const BackboneFamily* family : backbone_families()) {
    if (!family->defaults.contains("depth") || family->name == "vanillanet") continue;
    SCOPED_TRACE(family->name);
    const Graph deeper = body(family->name, {{"depth", 1.5}});
    const Graph published = body(family->name, {{"depth", 1}});
    for (const Parameter& parameter : published.parameters) {
      const Parameter* same = deeper.find_parameter(parameter.name);
      ASSERT_NE(same, nullptr) << parameter.name;
      EXPECT_EQ(same->shape, parameter.shape) << parameter.name;
    }
  }
}

// Published widths stay, others lie between them.
TEST(Width, ShuffleNetV2TakesAny) {
  const auto channels = [](double width) {
    GraphBuilder g;
    const Features f = add_backbone(g, g.input(3), choose_backbone("shufflenet_v2", {{"width", width}}));
    return std::array{g.channels(f.c2), g.channels(f.c3), g.channels(f.c4), g.channels(f.c5)};
  };
  EXPECT_EQ(channels(1.0), (std::array{24, 116, 232, 464}));
  EXPECT_EQ(channels(1.25), (std::array{24, 144, 288, 576}));
  EXPECT_EQ(channels(1.1), (std::array{24, 128, 256, 512}));
  EXPECT_EQ(channels(3.0), (std::array{24, 368, 736, 1472}));
  EXPECT_EQ(channels(0.25), (std::array{24, 24, 48, 96}));
  int last = 0;
  for (double width = 0.1; width < 3; width += 0.05) {
    const int stage2 = channels(width)[1];
    EXPECT_GE(stage2, last) << width;
    last = stage2;
  }
}

}  // namespace
}  // namespace marrow::nn
