#include "marrow/model/scaling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "marrow/base/error.h"
#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"

namespace marrow::model {
namespace {

ScalingBase base_of(const std::string& name, bool classifier, int image_size) {
  ScalingBase base;
  base.backbone = nn::choose_backbone(name);
  base.image_size = image_size;
  base.size_multiple = classifier ? 4 : 32;
  base.classifier = classifier;
  return base;
}

struct Published {
  const char* name;
  double width, depth;
  int resolution;
  double dropout;
  int64_t parameters;
};
// Tan and Le 2019 and its code; parameters as the published implementations have them, with 1000 classes.
constexpr Published kPublished[] = {
    {"efficientnet_b0", 1.0, 1.0, 224, 0.2, 5'288'548},  {"efficientnet_b1", 1.0, 1.1, 240, 0.2, 7'794'184},
    {"efficientnet_b2", 1.1, 1.2, 260, 0.3, 9'109'994},  {"efficientnet_b3", 1.2, 1.4, 300, 0.3, 12'233'232},
    {"efficientnet_b4", 1.4, 1.8, 380, 0.4, 19'341'616}, {"efficientnet_b5", 1.6, 2.2, 456, 0.4, 30'389'784},
    {"efficientnet_b6", 1.8, 2.6, 528, 0.5, 43'040'704}, {"efficientnet_b7", 2.0, 3.1, 600, 0.5, 66'347'960}};

TEST(Scaling, PublishedFactorsMakeThePublishedEfficientNets) {
  for (const Published& published : kPublished) {
    SCOPED_TRACE(published.name);
    ScalingBase base = base_of("efficientnet_b0", true, 224);
    base.settings = {{"dropout", published.dropout}};
    base.backbone = nn::choose_backbone("efficientnet_b0", base.settings);
    const ScaledBackbone scaled =
        scale_backbone(base, published.depth, published.width, published.resolution);
    EXPECT_EQ(scaled.backbone.config, nn::choose_backbone(published.name).config);
    EXPECT_EQ(scaled.image_size, published.resolution);
    const Model model = build_model(parse_model_spec(to_yaml(scaled_spec(scaled, "")), "scaled.yaml"));
    EXPECT_EQ(count_parameters(model.graph), published.parameters);
    EXPECT_EQ(std::get<Input>(model.graph.nodes.at(0).operation).format,
              std::get<Input>(make_model(published.name).graph.nodes.at(0).operation).format);
  }
}

// The paper's table 8 rounds by hand; the formula itself is this.
TEST(Scaling, FactorsArePowersOfPhi) {
  const Growth growth = Growth{1.2, 1.1, 1.15}.power(2);
  EXPECT_DOUBLE_EQ(growth.depth, 1.44);
  EXPECT_NEAR(growth.width, 1.21, 1e-12);
  EXPECT_NEAR(growth.resolution, 1.3225, 1e-12);
  EXPECT_NEAR((Growth{1.2, 1.1, 1.15}.cost()), 1.92027, 1e-9);
  const ScaledBackbone scaled = scale_backbone(base_of("efficientnet_b0", true, 224), growth);
  EXPECT_EQ(scaled.settings, (nn::BackboneConfig{{"width", 1.21}, {"depth", 1.44}, {"resolution", 296}}));
}

TEST(Scaling, ImageSizesAreRoundedToWhatTheModelReads) {
  const ScalingBase detector = base_of("starnet_s1", false, 640);
  EXPECT_EQ(scale_backbone(detector, {1, 1, 1.15}).image_size, 736);
  EXPECT_EQ(scaled_image_size(detector, 700), 704);
  EXPECT_EQ(scaled_image_size(detector, 3), 32);
  EXPECT_EQ(scaled_image_size(base_of("starnet_s1", true, 224), 257.6), 256);
}

TEST(Scaling, EveryFamilyGrows) {
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    SCOPED_TRACE(family->name);
    const ScalingBase base = base_of(family->name, false, 640);
    const ScaledBackbone scaled = scale_backbone(base, {1.2, 1.3, 1});
    const Graph before = scaled_graph(scale_backbone(base, {}), false);
    const Graph after = scaled_graph(scaled, false);
    EXPECT_GT(count_parameters(after), count_parameters(before));
    EXPECT_GT(after.nodes.size(), before.nodes.size());  // deeper
    EXPECT_GT(count_macs(after, 64, 64), count_macs(before, 64, 64));
    for (const NamedValue& tap : after.taps) {
      // Families round to multiples of 8; the stems of two have a width of their own.
      EXPECT_EQ(after.node(tap.value).channels % 8, 0) << tap.name;
      EXPECT_GE(after.node(tap.value).channels, before.node(before.find(tap.name)).channels) << tap.name;
    }
  }
}

TEST(Scaling, WritesADetectorWithOneLineForTheBackbone) {
  for (const char* name :
       {"vanillanet_5", "shufflenet_v2_x0_5", "starnet_s050", "pp_lcnet_x0_25", "efficientnet_b0"}) {
    SCOPED_TRACE(name);
    const ScaledBackbone scaled = scale_backbone(base_of(name, false, 640), {1.2, 1.1, 1.15});
    const ModelSpec spec = parse_model_spec(to_yaml(scaled_spec(scaled, "yolov8n")), "scaled.yaml");
    EXPECT_EQ(spec.scale, "n");
    EXPECT_TRUE(spec.warnings.empty());
    EXPECT_EQ(spec.backbone.front().module, name);
    const Model model = build_model(spec);
    EXPECT_EQ(model.strides, (std::vector<double>{8, 16, 32}));
    EXPECT_GT(count_parameters(model.graph), count_parameters(make_model("yolov8n", name).graph));
  }
}

// Factors act on what the published network has already.
TEST(Scaling, StartsFromTheSettingsOfTheVariant) {
  EXPECT_EQ(scale_backbone(base_of("pp_lcnet_x0_5", false, 640), {1, 1.1, 1}).settings,
            (nn::BackboneConfig{{"scale", 0.55}}));
  EXPECT_EQ(scale_backbone(base_of("efficientnet_b2", false, 640), {1.5, 1, 1}).settings,
            (nn::BackboneConfig{{"depth", 1.8}}));
  EXPECT_TRUE(scale_backbone(base_of("efficientnet_b2", false, 640), {}).settings.empty());
}

TEST(Scaling, SaysWhatAFamilyLacks) {
  nn::BackboneFamily family;
  family.name = "pebblenet";
  family.defaults = {{"source", "quarry"}, {"width", 8}};
  try {
    scaling_settings(family);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "'pebblenet' cannot be scaled: among its settings is no factor of width ('width' or 'scale') and no "
        "factor of depth ('depth'), a number that is 1 by default. It has source: \"quarry\", width: 8");
  }
  family.defaults = {{"source", "quarry"}, {"scale", 1.0}, {"depth", 1}};
  EXPECT_EQ(scaling_settings(family).width, "scale");
  EXPECT_EQ(scaling_settings(family).depth, "depth");
}

TEST(Scaling, CandidatesKeepThePapersConstraint) {
  const std::vector<Growth> candidates = growth_candidates();
  bool papers = false;
  std::set<std::tuple<double, double, double>> distinct;
  for (const Growth& growth : candidates) {
    EXPECT_GE(std::min({growth.depth, growth.width, growth.resolution}), 1);
    EXPECT_NEAR(growth.cost(), 2, 0.1 + 1e-6);
    distinct.insert({growth.depth, growth.width, growth.resolution});
    papers = papers || (std::abs(growth.depth - 1.2) < 1e-9 && std::abs(growth.width - 1.1) < 1e-9 &&
                        std::abs(growth.resolution - 1.15) < 1e-9);
  }
  EXPECT_TRUE(papers);
  EXPECT_EQ(distinct.size(), candidates.size());
  // Each dimension alone may take it all.
  EXPECT_TRUE(distinct.contains({2, 1, 1}));
}

TEST(Scaling, TheMostEvenOfTheNearestLeads) {
  const Growth even = {1.25, 1.15, 1.1}, lopsided = {2, 1, 1}, far = {1.2, 1.1, 1.15};
  const std::vector<MeasuredGrowth> measured = {{far, 2.5}, {lopsided, 2.001}, {even, 1.985}};
  EXPECT_EQ(rank_growths(measured, 0.02).front().growth.depth, even.depth);
  EXPECT_EQ(rank_growths(measured, 0.001).front().growth.depth, lopsided.depth);
  EXPECT_EQ(rank_growths(measured, 0.02).back().growth.depth, far.depth);
  EXPECT_EQ(lopsided.unevenness(), std::log(2.0));
}

}  // namespace
}  // namespace marrow::model
