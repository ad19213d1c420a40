#include <gtest/gtest.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/heads/classify.h"
#include "marrow/nn/heads/detect.h"

namespace marrow::nn {
namespace {

const Activation kSilu{ActivationKind::kSilu, 0, {}};

// A head on two levels of 64 and 128 channels, strides 8 and 16.
Graph build(std::string_view name, const nlohmann::json& args, const HeadSettings& head = {}) {
  const Module* module = find_module(name);
  GraphBuilder g;
  const Value fine = g.conv(g.input(3), "fine", {.out = 64, .stride = 8});
  const Value coarse = g.conv(fine, "coarse", {.out = 128, .stride = 2});
  ModuleCall call{.graph = g,
                  .inputs = {fine, coarse},
                  .args = args,
                  .argument_names = module->arguments,
                  .classes = 5,
                  .activation = kSilu,
                  .head = head};
  module->build(call);
  return std::move(g).build();
}

Shape shape_of(const Graph& graph, std::string_view name) {
  return infer_shapes(graph, {1, 3, 64, 96})[static_cast<size_t>(graph.find(name).id)];
}

TEST(Heads, DetectYieldsRawMapsAndDecodedBoxes) {
  const Graph graph = build("Detect", {5});
  EXPECT_EQ(shape_of(graph, "feat0"), (Shape{1, 69, 8, 12}));
  EXPECT_EQ(shape_of(graph, "feat1"), (Shape{1, 69, 4, 6}));
  EXPECT_EQ(shape_of(graph, "output0"), (Shape{1, 9, 120}));
  EXPECT_EQ(graph.find_parameter("dfl.conv.weight")->role, ParameterRole::kConstant);
  EXPECT_EQ(graph.find_parameter("cv2.0.1.conv.weight")->shape, (Shape{64, 64, 3, 3}));
  EXPECT_EQ(graph.find_parameter("cv3.1.0.conv.weight")->shape, (Shape{64, 128, 3, 3}));
  EXPECT_EQ(graph.find_parameter("cv3.1.2.bias")->init.value, std::log(5.0 / 5 / 1600));
}

TEST(Heads, SegmentAddsCoefficientsAndPrototypes) {
  const Graph graph = build("Segment", {5, 32, 64});
  EXPECT_EQ(shape_of(graph, "coefficients1"), (Shape{1, 32, 4, 6}));
  EXPECT_EQ(shape_of(graph, "prototypes"), (Shape{1, 32, 16, 24}));
  EXPECT_EQ(shape_of(graph, "output0"), (Shape{1, 4 + 5 + 32, 120}));
  EXPECT_NE(graph.find_parameter("proto.upsample.weight"), nullptr);
  EXPECT_NE(graph.find_parameter("cv4.1.2.weight"), nullptr);
  EXPECT_NE(graph.find_parameter("dfl.conv.weight"), nullptr);
}

TEST(Heads, PoseAndObbAddTheirMaps) {
  EXPECT_EQ(shape_of(build("Pose", {1, {17, 3}}), "keypoints0"), (Shape{1, 51, 8, 12}));
  EXPECT_EQ(shape_of(build("Pose", {1, {4, 2}}), "keypoints0"), (Shape{1, 8, 8, 12}));
  EXPECT_EQ(shape_of(build("OBB", {5, 1}), "angles1"), (Shape{1, 1, 4, 6}));
  EXPECT_EQ(shape_of(build("OBB", {5, 1}), "output0"), (Shape{1, 4 + 5 + 1, 120}));
  EXPECT_EQ(shape_of(build("Pose", {1, {4, 2}}), "output0"), (Shape{1, 4 + 1 + 8, 120}));
  EXPECT_THROW(build("OBB", {5, 2}), Error);
  EXPECT_THROW(build("Pose", {1, {17, 4}}), Error);
  EXPECT_THROW(build("Pose", {1, 17}), Error);
}

TEST(Heads, OnlyBoxesHaveASecondPairOfBranches) {
  EXPECT_NO_THROW(build("Detect", {5}, {.end2end = true}));
  for (const char* name : {"Segment", "Pose", "OBB"}) {
    try {
      build(name, {5}, {.end2end = true});
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("end2end is true"), std::string::npos) << error.what();
    }
  }
}

TEST(Heads, ALevelWithoutAStrideIsRefused) {
  GraphBuilder g;
  const Value pooled = g.adaptive_max_pool(g.input(3), 8);
  const Value level[] = {pooled};
  EXPECT_THROW(detect_head(g, level, {2, kSilu}), Error);
}

TEST(Heads, ClassifyYieldsLogits) {
  GraphBuilder g;
  classify_head(g, g.input(8), {.classes = 5}, kSilu);
  const Graph graph = std::move(g).build();
  EXPECT_EQ(infer_shapes(graph, {2, 8, 7, 7}).back(), (Shape{2, 5}));
  EXPECT_EQ(graph.find_parameter("linear.weight")->shape, (Shape{5, kClassifyHidden}));
}

}  // namespace
}  // namespace marrow::nn
