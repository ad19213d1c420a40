#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/nn/backbones/backbone.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::nn {
namespace {

#define EXPECT_MESSAGE(statement, part) \
  EXPECT_SAYS(testing::message_of([&] { statement; }, ErrorKind::kModel), part)

TEST(ChooseBackbone, CompletesTheSettingsOfAVariant) {
  const BackboneChoice choice = choose_backbone("starnet_s3", {{"drop_path_rate", 0.1}});
  EXPECT_EQ(choice.family->name, "starnet");
  EXPECT_EQ(choice.name, "starnet_s3");
  EXPECT_EQ(choice.config, (BackboneConfig{{"source", "rewrite-the-stars"},
                                           {"base_dim", 32},
                                           {"stem_dim", 32},
                                           {"width", 1.0},
                                           {"depths", {2, 2, 8, 4}},
                                           {"depth", 1.0},
                                           {"mlp_ratio", 4},
                                           {"drop_path_rate", 0.1}}));
}

TEST(ChooseBackbone, SpellsSourcesAsTheFamilyDoes) {
  EXPECT_EQ(choose_backbone("pp_lcnet", {{"source", "PaddleClas"}}).config.at("source"), "paddle");
  EXPECT_EQ(choose_backbone("shufflenet_v2", {{"source", "MEGVII"}}).config.at("source"), "megvii");
}

TEST(ChooseBackbone, TakesTheVariantAsASetting) {
  EXPECT_EQ(choose_backbone("starnet", {{"variant", "s050"}}).config, choose_backbone("starnet_s050").config);
  EXPECT_EQ(choose_backbone("starnet", {{"variant", "starnet_s2"}}).name, "starnet_s2");
  EXPECT_MESSAGE(choose_backbone("starnet", {{"variant", "s9"}}), "unknown variant of 'starnet' 's9'");
  EXPECT_MESSAGE(choose_backbone("starnet", {{"variant", 3}}), "unknown variant");
}

TEST(ChooseBackbone, NamesTheNearestOfWhatIsUnknown) {
  EXPECT_MESSAGE(choose_backbone("starnet_s5"), "unknown backbone 'starnet_s5'. Did you mean 'starnet_s");
  EXPECT_MESSAGE(choose_backbone("starnet", {{"base_dims", 3}}), "Did you mean 'base_dim'?");
  EXPECT_MESSAGE(choose_backbone("efficientnet", {{"source", "torchvison"}}), "Did you mean 'torchvision'?");
  EXPECT_MESSAGE(choose_backbone("starnet", {{"base_dim", "wide"}}), "base_dim is a string, wanted a number");
  EXPECT_MESSAGE(choose_backbone("starnet", BackboneConfig::array()), "wanted a mapping");
}

// Values are checked where they are used: when the body is built.
TEST(ChooseBackbone, ValuesAreCheckedWhenBuilt) {
  const auto build = [](const char* name, const BackboneConfig& config) {
    build_classifier(choose_backbone(name, config), 10);
  };
  EXPECT_MESSAGE(build("starnet", {{"base_dim", 0}}), "starnet: base_dim is 0, wanted a number from 1 to");
  EXPECT_MESSAGE(build("starnet", {{"base_dim", 1e30}}), "base_dim is 1e+30");
  EXPECT_MESSAGE(build("starnet", {{"base_dim", 2.5}}), "wanted a whole number");
  EXPECT_MESSAGE(build("starnet", {{"depths", {1, 2}}}), "depths is [1,2], wanted four numbers");
  EXPECT_MESSAGE(build("starnet", {{"depths", {1, 2, "x", 4}}}), "wanted a list of at most");
  EXPECT_MESSAGE(build("vanillanet", {{"strides", {2, 2, 1}}}),
                 "strides is [2,2,1], wanted three strides of 2");
  EXPECT_MESSAGE(build("vanillanet", {{"dims", {8, 8}}}), "wanted 4: the stem's, then one a block");
  EXPECT_MESSAGE(build("vanillanet", {{"ada_pool", {8}}}), "wanted 3: one a block");
  EXPECT_MESSAGE(build("shufflenet_v2", {{"width", 0}}), "width is 0, wanted a number from 0.1 to 16");
  EXPECT_MESSAGE(build("starnet", {{"depths", {64, 1, 1, 1}}, {"depth", 5}}),
                 "depth is 5, wanted at most 256 blocks in a stage");
  EXPECT_MESSAGE(build("shufflenet_v2", {{"channels", {24, 48}}}), "wanted 5: stem, three stages, conv5");
  EXPECT_MESSAGE(build("shufflenet_v2", {{"channels", {24, 49, 98, 196, 1024}}}), "the output must be even");
  EXPECT_MESSAGE(build("pp_lcnet", {{"scale", -1}}), "scale is -1");
  EXPECT_MESSAGE(build("efficientnet", {{"depth", 1e9}}), "depth is 1000000000.0, wanted a number");
}

TEST(Backbones, AreRefusedAsDetectorsWhenMapsDoNotFollowTheImage) {
  GraphBuilder g;
  EXPECT_MESSAGE(add_backbone(g, g.input(3), choose_backbone("vanillanet_13_x1_5_ada_pool")),
                 "cannot feed a detector: its map c2 has stride 3");
  EXPECT_NO_THROW(build_classifier(choose_backbone("vanillanet_13_x1_5_ada_pool"), 10));
}

TEST(Backbones, HaveAWidthFactorThatKeepsMultiplesOfEight) {
  for (const auto& [name, widths] : {std::pair{"vanillanet_5", std::array{128, 256, 512, 1024}},
                                     std::pair{"starnet_s1", std::array{8, 16, 24, 48}}}) {
    GraphBuilder g;
    const Features f = add_backbone(g, g.input(3), choose_backbone(name, {{"width", 0.25}}));
    EXPECT_EQ((std::array{g.channels(f.c2), g.channels(f.c3), g.channels(f.c4), g.channels(f.c5)}), widths)
        << name;
  }
}

TEST(Backbones, TakeEverythingBelowTheirScope) {
  for (const BackboneFamily* family : backbone_families()) {
    GraphBuilder g;
    const Value image = g.input(3);
    auto scope = g.scope("model.0");
    add_backbone(g, image, choose_backbone(family->name));
    for (const Parameter& parameter : g.graph().parameters)
      EXPECT_TRUE(parameter.name.starts_with("model.0.")) << parameter.name;
    for (const char* tap : {"c2", "c3", "c4", "c5"}) EXPECT_NO_THROW(g.graph().find(tap)) << tap;
  }
}

TEST(Backbones, GiveTheInputFormatOfTheirSource) {
  const auto format = [](const char* name, const BackboneConfig& config = BackboneConfig::object()) {
    const Graph graph = build_classifier(choose_backbone(name, config), 10);
    return std::get<Input>(graph.nodes.at(0).operation).format;
  };
  EXPECT_EQ(format("starnet_s1"), imagenet_format(256, 224, Interpolation::kBicubic));
  EXPECT_EQ(format("efficientnet_b3"), imagenet_format(320, 300, Interpolation::kBicubic));
  EXPECT_EQ(format("tf_efficientnet_b3"), imagenet_format(332, 300, Interpolation::kBicubic));
  const InputFormat megvii = format("shufflenet_v2_x1_0", {{"source", "megvii"}});
  EXPECT_EQ(megvii.order, ChannelOrder::kBgr);
  EXPECT_EQ(megvii.scale, 1);
  EXPECT_EQ(megvii.mean, (std::array<double, 3>{0, 0, 0}));
}

#undef EXPECT_MESSAGE

}  // namespace
}  // namespace marrow::nn
