// A published body written line by line, as in a model YAML, is the body: the same operations and shapes in
// the same order.
#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/blocks/module.h"
#include "nn/backbones/body.h"
#include "support/message_of.h"

namespace marrow::nn {
namespace {

using testing::body;

struct Line {
  int repeats;
  const char* module;
  nlohmann::json arguments;
};

Graph chain(const std::vector<Line>& lines) {
  GraphBuilder g;
  Value x = g.input(3);
  int index = 0;
  for (const Line& line : lines) {
    const Module* module = find_module(line.module);
    if (module == nullptr) throw std::logic_error(line.module);
    for (int repeat = 0; repeat < line.repeats; ++repeat) {
      auto scope = g.scope("model." + std::to_string(index++));
      ModuleCall call{g, {x}, line.arguments, module->arguments, 1, 80, {}};
      x = module->build(call).at(0);
    }
  }
  return std::move(g).build();
}

void expect_same(const Graph& units, const Graph& whole) {
  ASSERT_EQ(units.nodes.size(), whole.nodes.size());
  for (size_t i = 0; i < units.nodes.size(); ++i) {
    EXPECT_EQ(operation_name(units.nodes[i].operation), operation_name(whole.nodes[i].operation)) << i;
    EXPECT_EQ(units.nodes[i].inputs, whole.nodes[i].inputs) << i;
    EXPECT_EQ(units.nodes[i].channels, whole.nodes[i].channels) << i;
    EXPECT_EQ(units.nodes[i].stride, whole.nodes[i].stride) << i;
  }
  ASSERT_EQ(units.parameters.size(), whole.parameters.size());
  for (size_t i = 0; i < units.parameters.size(); ++i)
    EXPECT_EQ(units.parameters[i].shape, whole.parameters[i].shape) << whole.parameters[i].name;
}

TEST(Units, MakeVanillaNet) {
  expect_same(chain({{1, "VanillaNetStem", {512}},
                     {1, "VanillaNetBlock", {1024, 2}},
                     {1, "VanillaNetBlock", {2048, 2}},
                     {1, "VanillaNetBlock", {4096, 2}},
                     {1, "VanillaNetBlock", {4096, 1}}}),
              body("vanillanet_6"));
}

TEST(Units, OfVanillaNetShareOneSlope) {
  const Graph graph = chain({{1, "VanillaNetStem", {8}}, {2, "VanillaNetBlock", {8}}});
  EXPECT_EQ(std::ranges::count(graph.parameters, ParameterRole::kScalar, &Parameter::role), 1);
}

TEST(Units, MakeShuffleNetV2) {
  expect_same(chain({{1, "ShuffleNetStem", {24}},
                     {1, "ShuffleNetUnit", {116, 2}},
                     {3, "ShuffleNetUnit", {116, 1}},
                     {1, "ShuffleNetUnit", {232, 2}},
                     {7, "ShuffleNetUnit", {232, 1}},
                     {1, "ShuffleNetUnit", {464, 2}},
                     {3, "ShuffleNetUnit", {464, 1}}}),
              body("shufflenet_v2_x1_0"));
}

TEST(Units, MakeStarNet) {
  expect_same(chain({{1, "StarNetStem", nlohmann::json::array()},
                     {1, "StarNetDown", {24}},
                     {2, "StarNetBlock", {24, 4}},
                     {1, "StarNetDown", {48}},
                     {2, "StarNetBlock", {48, 4}},
                     {1, "StarNetDown", {96}},
                     {8, "StarNetBlock", {96, 4}},
                     {1, "StarNetDown", {192}},
                     {3, "StarNetBlock", {192, 4}}}),
              body("starnet_s1"));
}

TEST(Units, MakePPLCNet) {
  expect_same(chain({{1, "LCNetStem", {16}},
                     {1, "DepSepConv", {32, 3, 1}},
                     {1, "DepSepConv", {64, 3, 2}},
                     {1, "DepSepConv", {64, 3, 1}},
                     {1, "DepSepConv", {128, 3, 2}},
                     {1, "DepSepConv", {128, 3, 1}},
                     {1, "DepSepConv", {256, 3, 2}},
                     {5, "DepSepConv", {256, 5, 1}},
                     {1, "DepSepConv", {512, 5, 2, true}},
                     {1, "DepSepConv", {512, 5, 1, true}}}),
              body("pp_lcnet_x1_0"));
}

TEST(Units, MakeEfficientNet) {
  expect_same(chain({{1, "EfficientNetStem", {32}},
                     {1, "EfficientNetBlock", {16, 1, 3, 1}},
                     {1, "EfficientNetBlock", {24, 6, 3, 2}},
                     {1, "EfficientNetBlock", {24, 6, 3, 1}},
                     {1, "EfficientNetBlock", {40, 6, 5, 2}},
                     {1, "EfficientNetBlock", {40, 6, 5, 1}},
                     {1, "EfficientNetBlock", {80, 6, 3, 2}},
                     {2, "EfficientNetBlock", {80, 6, 3, 1}},
                     {3, "EfficientNetBlock", {112, 6, 5, 1}},
                     {1, "EfficientNetBlock", {192, 6, 5, 2}},
                     {3, "EfficientNetBlock", {192, 6, 5, 1}},
                     {1, "EfficientNetBlock", {320, 6, 3, 1}}}),
              body("efficientnet_b0", {{"stochastic_depth", 0.0}}));
}

TEST(Units, RefuseArgumentsThatDoNotFit) {
  const auto message = [](const Line& line) { return testing::message_of([&] { chain({line}); }); };
  EXPECT_NE(message({1, "StarNetBlock", {16}}).find("16 channels, but the input has 3"), std::string::npos);
  EXPECT_NE(message({1, "ShuffleNetUnit", {16, 1}}).find("the output must be even"), std::string::npos);
  EXPECT_NE(message({1, "VanillaNetBlock", {16, 3}}).find("(stride) is 3"), std::string::npos);
  EXPECT_NE(message({1, "EfficientNetBlock", {16, 6, 3, 1, 0, "timmm"}}).find("Did you mean 'timm'?"),
            std::string::npos);
  EXPECT_NE(message({1, "DepSepConv", nlohmann::json::array()}).find("(channels) is missing"),
            std::string::npos);
}

}  // namespace
}  // namespace marrow::nn
