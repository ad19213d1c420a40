#include "marrow/predict/classifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/graph/passes/pass.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/image/network_input.h"
#include "marrow/image/resize.h"
#include "marrow/image/scene.h"
#include "marrow/model/zoo.h"
#include "support/scene_weights.h"

namespace marrow::predict {
namespace {

passes::GraphWithWeights classifier_network(const std::string& name, int classes) {
  Graph graph = model::make_model(name, {}, {.classes = classes}).graph;
  Weights weights = testing::scene_weights(graph, 2, input_format(graph));
  return {std::move(graph), std::move(weights)};
}

InputFormat& format_of(Graph& graph) {
  return std::get<Input>(graph.nodes.at(0).operation).format;
}

// Images wider and higher than the crop; every kind of resize that a source asks for.
TEST(Classifier, EqualsTheChainDoneByHand) {
  const std::vector<std::pair<Interpolation, image::ResizeFilter>> filters = {
      {Interpolation::kBilinear, image::ResizeFilter::kAntialiasedBilinear},
      {Interpolation::kBicubic, image::ResizeFilter::kAntialiasedBicubic},
      {Interpolation::kOpenCvBilinear, image::ResizeFilter::kLinear}};
  passes::GraphWithWeights n = classifier_network("starnet_s050", 12);
  InputFormat& format = format_of(n.graph);
  format.resize = 73;
  format.crop = 64;
  for (const Size size : {Size{150, 90}, {90, 150}}) {
    const image::Image image = image::draw_scene(size.width, size.height, 4);
    for (const auto& [interpolation, filter] : filters) {
      format.interpolation = interpolation;
      const image::Image cut = image::resize_for_classifier(image, 73, 64, filter);
      Tensor input({1, 3, 64, 64});
      image::fill_network_input(cut.pixels(), format, input.values().data());
      const Tensor logits = reference::run_reference(n.graph, n.weights, input, "logits");
      double total = 0;
      for (const float logit : logits.values()) total += std::exp(static_cast<double>(logit));

      Classifier classifier(n.graph, n.weights, {.engine = {.threads = 2}});
      const ClassificationResult result = classifier.classify(image, 12);
      ASSERT_EQ(result.top.size(), 12u);
      double sum = 0;
      for (const ClassProbability& entry : result.top) {
        const double logit = logits.values()[static_cast<size_t>(entry.class_id)];
        EXPECT_NEAR(entry.probability, std::exp(logit) / total, 1e-4) << entry.class_id;
        sum += entry.probability;
      }
      EXPECT_NEAR(sum, 1, 1e-5);
      EXPECT_TRUE(std::ranges::is_sorted(result.top, std::greater{}, &ClassProbability::probability));
      EXPECT_EQ(result.network, (Size{64, 64}));
    }
  }
}

TEST(Classifier, KeepsTheProportionOfResizeToCrop) {
  passes::GraphWithWeights n = classifier_network("starnet_s050", 3);
  format_of(n.graph).resize = 256;
  format_of(n.graph).crop = 224;
  const image::Image image = image::draw_scene(300, 200, 4);
  const ClassificationResult small = Classifier(n.graph, n.weights, {.crop = 56}).classify(image, 3);
  EXPECT_EQ(small.network, (Size{56, 56}));
  format_of(n.graph).resize = 64;
  format_of(n.graph).crop = 56;
  const ClassificationResult same = Classifier(n.graph, n.weights, {}).classify(image, 3);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(small.top[i].probability, same.top[i].probability);
}

// A YAML classifier states no sizes.
TEST(Classifier, TakesYoloClassifiersAt224) {
  const passes::GraphWithWeights n = classifier_network("yolov8n-cls", 7);
  EXPECT_EQ(Classifier(n.graph, n.weights, {}).classify(image::draw_scene(300, 260, 1), 5).network,
            (Size{224, 224}));
  EXPECT_EQ(Classifier(n.graph, n.weights, {.crop = 32}).classify(image::draw_scene(30, 26, 1), 5).network,
            (Size{32, 32}));
}

TEST(Classifier, TakesImagesOfAnySize) {
  const passes::GraphWithWeights n = classifier_network("starnet_s050", 4);
  Classifier classifier(n.graph, n.weights, {.crop = 32});
  for (const Size size : {Size{1, 1}, {2, 3}, {4000, 20}, {20, 4000}, {1, 3000}, {6000, 5000}}) {
    SCOPED_TRACE(::testing::Message() << size.width << " x " << size.height);
    double sum = 0;
    for (const ClassProbability& entry :
         classifier.classify(image::Image(size.width, size.height, 90), 4).top)
      sum += entry.probability;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST(Classifier, ListsNoMoreClassesThanThereAre) {
  const passes::GraphWithWeights n = classifier_network("starnet_s050", 2);
  Classifier classifier(n.graph, n.weights, {.crop = 32});
  EXPECT_EQ(classifier.classify(image::draw_scene(40, 40, 1), 5).top.size(), 2u);
  EXPECT_EQ(classifier.classify(image::draw_scene(40, 40, 1), 0).top.size(), 0u);
  EXPECT_EQ(classifier.classify(image::draw_scene(40, 40, 1), -1).top.size(), 0u);
}

TEST(Classifier, SurvivesWeightsThatAreNoNumbers) {
  const passes::GraphWithWeights n = classifier_network("starnet_s050", 5);
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  const auto top_with_bias = [&](const std::vector<float>& bias) {
    Weights weights = n.weights;
    weights["head.bias"] = Tensor::from({5}, bias);
    return Classifier(n.graph, weights, {.crop = 32}).classify(image::draw_scene(40, 40, 1), 5).top;
  };
  for (const ClassProbability& entry : top_with_bias({nan, nan, nan, nan, nan}))
    EXPECT_NEAR(entry.probability, 0.2, 1e-6);
  const auto infinite = top_with_bias({0, infinity, nan, -infinity, 0});
  EXPECT_EQ(infinite.front().class_id, 1);
  EXPECT_EQ(infinite.front().probability, 1);
}

TEST(Classifier, RefusesWhatItCannotRun) {
  const model::Model detector = model::make_model("yolov8n");
  EXPECT_THROW(Classifier(detector.graph, initialize(detector.graph, 0), {}), Error);
  const passes::GraphWithWeights n = classifier_network("starnet_s050", 2);
  EXPECT_THROW(Classifier(n.graph, {}, {}), Error);
  EXPECT_THROW(Classifier(n.graph, n.weights, {.crop = 32}).classify(image::Image(), 1), Error);
}

}  // namespace
}  // namespace marrow::predict
