// Whole networks on our own kernels against the plain loops of the reference in double: a training step from
// random gradients of what the loss reads. That the reference is right is tests/parity_train's matter.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "marrow/loss/detection_head.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/train/native/native_executor.h"
#include "support/same_bytes.h"
#include "support/without_kinks.h"
#include "train/native/step_cases.h"

namespace marrow {
namespace {

constexpr TrainingPlace kStepPlace{.seed = 5, .epoch = 2, .position = 40};

// Of gradients, all taken together.
double whole_distance(const Weights& found, const Weights& wanted) {
  double difference = 0, whole = 0;
  for (const auto& [name, gradient] : wanted) {
    const double norm = testing::norm_of(gradient);
    whole += norm * norm;
    const double own = testing::distance(found.at(name), gradient, 1) * std::max(norm, 1.0);
    difference += own * own;
  }
  return std::sqrt(difference / whole);
}

Graph with_outputs(Graph graph, const std::vector<Value>& values) {
  graph.outputs.clear();
  graph.taps.clear();
  for (const Value value : values)
    graph.outputs.push_back({"out" + std::to_string(graph.outputs.size()), value});
  return graph;
}

struct Bound {
  cpu::SimdLevel level;
  double tolerance;
};

void expect_step(const testing::NativeStep& found, const testing::ReferenceStep& wanted, double tolerance) {
  for (size_t i = 0; i < wanted.values.size(); ++i)
    EXPECT_LE(testing::distance(found.values[i], wanted.values[i], 0), tolerance) << "value " << i;
  const Weights& gradients = wanted.gradients.parameters;
  EXPECT_EQ(found.gradients.size(), gradients.size());
  EXPECT_LE(whole_distance(found.gradients, gradients), tolerance);
  EXPECT_LE(testing::distance(found.input, wanted.gradients.input, 0), tolerance);
  double largest = 0;
  for (const auto& [name, gradient] : gradients) largest = std::max(largest, testing::norm_of(gradient));
  for (const auto& [name, gradient] : gradients)
    EXPECT_LE(testing::distance(found.gradients.at(name), gradient, 1e-3 * largest), 4 * tolerance) << name;
  for (const auto& [name, statistic] : wanted.statistics)
    if (statistic.dtype() == DType::kFloat64) {
      EXPECT_LE(testing::distance(found.statistics.at(name), statistic, 1e-2), tolerance) << name;
    }
}

void expect_same_step(const Graph& graph, const Shape& shape, const std::vector<Bound>& bounds) {
  const Weights weights = initialize(graph, 3);
  const Tensor input = testing::noise(shape, 17);
  testing::NativeOptions options = {.threads = 2, .place = kStepPlace, .poisoned = true};
  const testing::ReferenceStep wanted = testing::run_in_double(graph, weights, input, options);
  for (const auto& [level, tolerance] : bounds) {
    SCOPED_TRACE(std::string(cpu::simd_name(level)));
    options.level = level;
    expect_step(testing::run_native(graph, weights, input, wanted.seeds, options), wanted, tolerance);
  }
}

int64_t count_parameters(const Graph& graph) {
  int64_t count = 0;
  for (const Parameter& parameter : graph.parameters)
    if (parameter.counted()) count += element_count(parameter.shape);
  return count;
}

// Of a family, and its name.
std::pair<std::string, Graph> smallest_classifier(const nn::BackboneFamily& family) {
  std::pair<std::string, Graph> smallest;
  for (const nn::BackboneVariant& variant : family.variants) {
    Graph graph = nn::build_classifier(nn::choose_backbone(variant.name), 10);
    if (smallest.second.nodes.empty() || count_parameters(graph) < count_parameters(smallest.second))
      smallest = {variant.name, std::move(graph)};
  }
  return smallest;
}

// At 64 pixels the last batch norms see eight values a channel, which brings out roundings: the reference
// itself, rounded to float32 with its sums in double, is up to 2e-5 off.
constexpr double kSmallImages = 1e-4;

TEST(parity_native_networks, TheSmallestClassifierOfEachFamily) {
  std::set<std::string_view> drops;
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    const auto [name, graph] = smallest_classifier(*family);
    SCOPED_TRACE(name);
    for (const Node& node : graph.nodes) {
      const auto* dropout = std::get_if<Dropout>(&node.operation);
      if (dropout != nullptr) drops.insert(dropout->downscale_in_inference ? "Paddle's dropout" : "dropout");
      if (std::holds_alternative<DropPath>(node.operation)) drops.insert("drop path");
    }
    expect_same_step(testing::without_kinks(graph), {2, 3, 64, 64},
                     {{cpu::choose_simd_level(), kSmallImages}});
  }
  EXPECT_EQ(drops.size(), 3u) << "not every kind of mask was met";
}

TEST(parity_native_networks, TheSmallestDetectorOfEachFamily) {
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    const std::string name = smallest_classifier(*family).first;
    SCOPED_TRACE(name);
    const Graph graph = model::make_model("yolov8n", name).graph;
    expect_same_step(testing::without_kinks(with_outputs(graph, loss::detection_maps(graph))), {2, 3, 64, 64},
                     {{cpu::choose_simd_level(), kSmallImages}});
  }
}

// The plain kernels sum in double, the others in float32.
TEST(parity_native_networks, YoloV8nOfLargerImages) {
  const Graph graph = model::make_model("yolov8n").graph;
  expect_same_step(testing::without_kinks(with_outputs(graph, loss::detection_maps(graph))), {2, 3, 320, 320},
                   {{cpu::SimdLevel::kPlain, 1e-5}, {cpu::choose_simd_level(), 2e-5}});
}

// One maximum that goes elsewhere turns the gradient by thousandths.
TEST(parity_native_networks, YoloV8nAsItIs) {
  const Graph graph = model::make_model("yolov8n").graph;
  expect_same_step(with_outputs(graph, loss::detection_maps(graph)), {2, 3, 192, 192},
                   {{cpu::choose_simd_level(), 5e-3}});
}

// Gradients of a fresh network turn far by small changes, so the measure is what rounding the weights alone
// does to them in float32. Products of bfloat16 round as much, and maps and gradients besides.
TEST(parity_native_networks, ProductsOfBfloat16InTheSmallestDetectorOfEachFamily) {
  if (!testing::has_bfloat16()) GTEST_SKIP() << testing::kNoBfloat16;
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    const std::string name = smallest_classifier(*family).first;
    SCOPED_TRACE(name);
    Graph graph = model::make_model("yolov8n", name).graph;
    graph = testing::without_kinks(with_outputs(graph, loss::detection_maps(graph)));
    const Tensor input = testing::noise({2, 3, 96, 64}, 17);
    std::vector<Tensor> seeds;
    for (const Value output : testing::output_values(graph))
      seeds.push_back(testing::double_noise(
          infer_shapes(graph, input.shape())[static_cast<size_t>(output.id)], 23 + seeds.size()));
    const auto gradients = [&](const Weights& weights, bool bfloat16) {
      return testing::run_native(graph, weights, input, seeds,
                                 {.threads = 2, .place = kStepPlace, .bfloat16 = bfloat16})
          .gradients;
    };
    const Weights weights = initialize(graph, 3);
    Weights rounded;
    for (const auto& [key, tensor] : weights) {
      rounded[key] = tensor.clone();
      if (tensor.shape().size() == 4)
        for (float& x : rounded[key].values()) x = testing::rounded_to_bfloat16(x);
    }
    const Weights wanted = testing::double_weights(gradients(weights, false));
    EXPECT_LE(whole_distance(gradients(weights, true), wanted),
              2 * whole_distance(gradients(rounded, false), wanted));
  }
}

// A whole step of a whole network: loss, clipping, optimizer and average.
TEST(parity_native_networks, BytesDoNotDependOnThreads) {
  const Graph graph = model::make_model("yolov8n").graph;
  for (const auto kind : {train::OptimizerKind::kSgd, train::OptimizerKind::kMuSgd}) {
    train::ExecutorState wanted;
    for (const int threads : {1, 2, 3, 7}) {
      SCOPED_TRACE(threads);
      train::ExecutorSettings settings{.objective = loss::DetectionLossOptions(),
                                       .groups = train::parameter_groups(graph, 5e-4, kind),
                                       .optimizer = kind,
                                       .threads = threads};
      const Weights start = initialize(graph, 3);
      const auto executor =
          train::make_native_executor(graph, {.weights = start, .average = start}, settings);
      for (int step = 0; step < 2; ++step) {
        train::TrainingBatch batch{
            .images = testing::noise({3, 3, 96 + 32 * step, 64}, 4),
            .targets = Tensor::from({3, 6}, std::vector<float>{0, 1, 0.4F, 0.5F, 0.5F, 0.6F,  //
                                                               0, 2, 0.7F, 0.3F, 0.3F, 0.3F,  //
                                                               2, 0, 0.5F, 0.5F, 0.8F, 0.7F})};
        executor->accumulate(batch, kStepPlace);
        EXPECT_TRUE(std::isfinite(executor->clip_gradients(10, 1)));
        executor->update({.bias_lr = 0.1, .lr = 0.01, .momentum = 0.9, .accumulate = 1});
      }
      if (threads == 1)
        wanted = executor->state();
      else
        testing::expect_same_bytes(executor->state(), wanted);
    }
  }
}

}  // namespace
}  // namespace marrow
