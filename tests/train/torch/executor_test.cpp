// The training executor against the reference executor, and its gradients against finite differences.
#include "marrow/train/torch/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/zoo.h"
#include "support/graphs.h"
#include "support/op_cases.h"

namespace marrow::train {
namespace {

using testing::graph_of;
using testing::noise;
using testing::OpCase;

constexpr TrainingPlace kPlace{.seed = 5, .epoch = 2, .position = 40};

std::vector<Value> output_values(const Graph& graph) {
  std::vector<Value> targets;
  for (const NamedValue& output : graph.outputs) targets.push_back(output.value);
  return targets;
}

// Sums of a few hundred products in float32, in whatever order LibTorch takes them.
constexpr double kTolerance = 1e-5;

void expect_matches_reference(const std::vector<OpCase>& cases) {
  for (const OpCase& op : cases) {
    SCOPED_TRACE(op.name);
    const Weights weights = randomize(op.graph, 7);
    const Tensor input = noise(op.input, 11);
    const std::vector<Value> targets = output_values(op.graph);
    const std::vector<Tensor> wanted = reference::run_reference(op.graph, weights, input, targets);
    for (const bool channels_last : {false, true}) {
      TorchExecutor executor(op.graph, weights, {.channels_last = channels_last});
      const auto found = executor.evaluate(to_torch(input), targets);
      for (size_t i = 0; i < wanted.size(); ++i) {
        ASSERT_EQ(found[i].sizes().vec(), wanted[i].shape());
        ASSERT_LE(relative_difference(from_torch(found[i]), wanted[i]), kTolerance)
            << (channels_last ? "channels last" : "channels first");
      }
    }
  }
}

TEST(TorchExecutor, ConvolutionsMatchReference) {
  expect_matches_reference(testing::convolutions());
  expect_matches_reference(testing::stems());
  expect_matches_reference(testing::transposed());
}
TEST(TorchExecutor, OtherOperationsMatchReference) {
  expect_matches_reference(testing::others());
}
TEST(TorchExecutor, DetectDecodeMatchesReference) {
  expect_matches_reference(testing::decodes());
}

// d(sum(out * rand))/dx for a sample of the elements of input and parameters, in float64, where a step of
// 1e-6 leaves errors near 1e-9.
void expect_gradients(const std::string& name, const Graph& graph, const Shape& shape, bool training) {
  SCOPED_TRACE(name + (training ? ", training" : ", evaluation"));
  constexpr double kStep = 1e-6, kAbsolute = 1e-7, kRelative = 1e-5;
  TorchExecutor executor(graph, randomize(graph, 3), {.compute_type = torch::kFloat64});
  const std::vector<Value> targets = output_values(graph);
  torch::Tensor input = to_torch(noise(shape, 17)).to(torch::kFloat64).requires_grad_(true);
  std::vector<torch::Tensor> weights_of_loss;
  const auto loss = [&] {
    const auto values =
        training ? executor.train(input, targets, kPlace) : executor.evaluate_with_gradient(input, targets);
    torch::Tensor sum = torch::zeros({}, torch::kFloat64);
    for (size_t i = 0; i < values.size(); ++i) {
      if (weights_of_loss.size() == i)
        weights_of_loss.push_back(to_torch(noise(values[i].sizes().vec(), 23 + i)).to(torch::kFloat64));
      sum = sum + (values[i] * weights_of_loss[i]).sum();
    }
    return sum;
  };
  loss().backward();

  std::vector<std::pair<std::string, torch::Tensor>> leaves = {{"input", input}};
  for (const Parameter& parameter : graph.parameters)
    if (parameter.trainable()) leaves.emplace_back(parameter.name, executor.parameter(parameter.name));
  for (auto& [leaf, tensor] : leaves) {
    ASSERT_TRUE(tensor.grad().defined()) << leaf;
    const torch::Tensor gradient = tensor.grad().contiguous();
    auto* values = tensor.data_ptr<double>();
    for (int64_t i = 0; i < tensor.numel(); i += std::max<int64_t>(1, tensor.numel() / 12)) {
      const double before = values[i];
      values[i] = before + kStep;
      const double above = loss().item<double>();
      values[i] = before - kStep;
      const double below = loss().item<double>();
      values[i] = before;
      const double wanted = (above - below) / (2 * kStep), found = gradient.data_ptr<double>()[i];
      EXPECT_NEAR(found, wanted, kAbsolute + kRelative * std::abs(wanted)) << leaf << " [" << i << "]";
    }
  }
}

struct GradientCase {
  std::string name;
  std::function<Value(GraphBuilder&, Value)> body;
};

TEST(TorchExecutor, GradientsMatchFiniteDifferences) {
  std::vector<GradientCase> cases = {
      {"conv",
       [](auto& g, Value x) { return g.conv(x, "c", {.out = 5, .kernel = 3, .stride = 2, .bias = true}); }},
      {"conv_same",
       [](auto& g, Value x) {
         return g.conv(x, "c", {.out = 4, .kernel = 4, .stride = 2, .padding = Padding::tensorflow_same()});
       }},
      {"conv_grouped_dilated",
       [](auto& g, Value x) { return g.conv(x, "c", {.out = 8, .kernel = 3, .dilation = 2, .groups = 2}); }},
      {"conv_depthwise",
       [](auto& g, Value x) { return g.conv(x, "c", {.out = 4, .kernel = 5, .groups = 4}); }},
      {"conv_transpose", [](auto& g, Value x) { return g.conv_transpose(x, "c", 3, 3, 2, 1); }},
      {"batch_norm", [](auto& g, Value x) { return g.batch_norm(x, "bn"); }},
      {"add", [](auto& g, Value x) { return g.add(x, g.activation(x, ActivationKind::kTanh)); }},
      {"multiply", [](auto& g, Value x) { return g.multiply(x, g.activation(x, ActivationKind::kSigmoid)); }},
      {"gate",
       [](auto& g, Value x) {
         return g.multiply(x, g.activation(g.global_average_pool(x), ActivationKind::kSigmoid));
       }},
      {"slices that tile",
       [](auto& g, Value x) {
         const Value low = g.slice(x, 0, 1), high = g.slice(x, 1, 4);
         return g.concat({high, g.activation(low, ActivationKind::kTanh), high});
       }},
      {"slices that overlap",
       [](auto& g, Value x) {
         return g.concat({g.slice(x, 0, 3), g.activation(g.slice(x, 2, 4), ActivationKind::kTanh)});
       }},
      {"slice of groups", [](auto& g, Value x) { return g.slice(x, 1, 2, 2); }},
      {"scale", [](auto& g, Value x) { return g.scale(x, "gamma", 0.4); }},
      {"attention",
       [](auto& g, Value x) {
         return g.attention(x, {1, 1, 2, 1});
       }},
      {"shuffle", [](auto& g, Value x) { return g.channel_shuffle(x, 2); }},
      {"max_pool", [](auto& g, Value x) { return g.max_pool(x, 3, 2, 1); }},
      {"adaptive_max_pool", [](auto& g, Value x) { return g.adaptive_max_pool(x, 3); }},
      {"upsample", [](auto& g, Value x) { return g.upsample(x, 2); }},
      {"linear", [](auto& g, Value x) { return g.linear(g.flatten(g.global_average_pool(x)), "fc", 6); }},
      {"dropout", [](auto& g, Value x) { return g.dropout(x, 0.4); }},
      {"dropout downscaled", [](auto& g, Value x) { return g.dropout(x, 0.4, true); }},
      {"drop_path", [](auto& g, Value x) { return g.drop_path(x, 0.4); }},
      {"named slope", [](auto& g, Value x) { return g.leaky_relu(x, g.scalar("slope", 0.37)); }},
      {"decode",
       [](auto& g, Value x) {
         return g.detect_decode(std::vector<Value>{g.conv(x, "p2", {.out = 14, .kernel = 2, .stride = 2})},
                                "dfl", 2, 3);
       }},
  };
  for (int kind = 1; kind < kActivationKinds; ++kind)
    cases.push_back(
        {std::string(activation_name(static_cast<ActivationKind>(kind))), [kind](auto& g, Value x) {
           return g.activation(x, Activation{static_cast<ActivationKind>(kind), 0.3, {}});
         }});
  for (const GradientCase& each : cases)
    for (const bool training : {true, false})
      expect_gradients(each.name, graph_of(4, each.body), {3, 4, 6, 7}, training);
}

// conv - batch norm - silu, twice.
Graph two_layers() {
  return graph_of(3, [](GraphBuilder& g, Value x) {
    for (const char* name : {"model.0", "model.1"}) {
      const auto scope = g.scope(name);
      x = g.activation(g.batch_norm(g.conv(x, "conv", {.out = 6, .kernel = 3}), "bn"), ActivationKind::kSilu);
    }
    return x;
  });
}

TEST(TorchExecutor, TrainingMovesStatisticsAsTheReferenceDoes) {
  const Graph graph = two_layers();
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise({4, 3, 9, 7}, 2);
  const std::vector<Value> targets = output_values(graph);
  TorchExecutor executor(graph, weights);
  const auto wanted = reference::run_reference_with_batch_statistics(graph, weights, input, targets);
  const auto found = executor.train(to_torch(input), targets, kPlace);
  EXPECT_LE(relative_difference(from_torch(found[0]), wanted.values[0]), kTolerance);
  const Weights after = executor.weights();
  ASSERT_FALSE(wanted.statistics.empty());
  for (const auto& [name, tensor] : wanted.statistics)
    EXPECT_LE(relative_difference(after.at(name).to_float(), tensor.to_float()), kTolerance) << name;
}

TEST(TorchExecutor, OneValueAChannelLeavesStatisticsFinite) {
  const Graph graph = graph_of(3, [](GraphBuilder& g, Value x) { return g.batch_norm(x, "bn"); });
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise({1, 3, 1, 1}, 2);
  TorchExecutor executor(graph, weights);
  const std::vector<Value> targets = output_values(graph);
  executor.train(to_torch(input), targets, kPlace);
  const auto wanted = reference::run_reference_with_batch_statistics(graph, weights, input, targets);
  const Weights after = executor.weights();
  EXPECT_EQ(wanted.statistics.size(), 3u);
  for (const auto& [name, tensor] : wanted.statistics)
    EXPECT_LE(relative_difference(after.at(name).to_float(), tensor.to_float()), kTolerance) << name;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.bytes(), a.bytes() + a.byte_size(), b.bytes());
}

TEST(TorchExecutor, FrozenPartsKeepEveryByteAndGetNoGradient) {
  const Graph graph = two_layers();
  TorchExecutor executor(graph, randomize(graph, 1), {.frozen = {"model.0."}});
  const Weights before = executor.weights();
  executor.train(to_torch(noise({4, 3, 8, 8}, 2)), output_values(graph), kPlace)[0].sum().backward();
  const Weights after = executor.weights();
  for (const Parameter& parameter : graph.parameters) {
    const bool frozen = parameter.name.starts_with("model.0.");
    const bool statistic = parameter.role >= ParameterRole::kRunningMean;
    EXPECT_EQ(same_bytes(before.at(parameter.name), after.at(parameter.name)), frozen || !statistic)
        << parameter.name;
    EXPECT_EQ(executor.parameter(parameter.name).grad().defined(), !frozen && !statistic) << parameter.name;
    EXPECT_EQ(executor.frozen(parameter), frozen && !statistic) << parameter.name;
  }
}

TEST(TorchExecutor, RefusesToFreezeWhatIsNotThere) {
  const Graph graph = two_layers();
  EXPECT_THROW(TorchExecutor(graph, randomize(graph, 1), {.frozen = {"model.7."}}), Error);
}

TEST(TorchExecutor, MasksDependOnSeedEpochPositionAndPlaceAlone) {
  const Graph graph = graph_of(8, [](GraphBuilder& g, Value x) {
    g.output("path", g.drop_path(x, 0.5));
    g.output("other", g.dropout(x, 0.5));
    return g.dropout(x, 0.5);
  });
  TorchExecutor executor(graph, {});
  const std::vector<Value> targets = output_values(graph);
  const auto masks = [&](int64_t samples, const TrainingPlace& place) {
    return executor.train(torch::ones({samples, 8, 5, 4}), targets, place);
  };
  const auto all = masks(6, kPlace);
  for (int64_t i = 0; i < 6; ++i) {
    TrainingPlace one = kPlace;
    one.position += i;
    const auto alone = masks(1, one);
    for (size_t k = 0; k < all.size(); ++k) EXPECT_TRUE(torch::equal(alone[k], all[k].narrow(0, i, 1)));
  }
  EXPECT_FALSE(torch::equal(all[1], all[2]));  // two places of one graph
  TrainingPlace other_epoch = kPlace, other_seed = kPlace;
  ++other_epoch.epoch;
  ++other_seed.seed;
  EXPECT_FALSE(torch::equal(masks(6, other_epoch)[2], all[2]));
  EXPECT_FALSE(torch::equal(masks(6, other_seed)[2], all[2]));
  // 0 or 1 / (1 - rate), a sample's branch as a whole; half of many.
  const auto many = masks(2000, kPlace);
  EXPECT_TRUE((many[0].eq(0) | many[0].eq(2)).all().item<bool>());
  EXPECT_TRUE(torch::equal(many[0].amax({1, 2, 3}), many[0].amin({1, 2, 3})));
  EXPECT_NEAR(many[0].mean().item<double>(), 1, 0.1);
  EXPECT_NEAR(many[2].mean().item<double>(), 1, 0.02);
}

TEST(TorchExecutor, NamesTheFirstOperationThatIsNotFinite) {
  const Graph graph = graph_of(2, [](GraphBuilder& g, Value x) {
    const auto scope = g.scope("star");
    const Value square = g.multiply(x, x);
    return g.batch_norm(g.multiply(square, square), "bn");
  });
  TorchExecutor executor(graph, randomize(graph, 1));
  const Weights before = executor.weights();
  const std::vector<Value> targets = output_values(graph);
  const torch::Tensor images = torch::ones({1, 2, 3, 3});
  EXPECT_EQ(executor.first_non_finite(images, targets, kPlace), "");
  EXPECT_EQ(executor.first_non_finite(images * 1e15, targets, kPlace), "multiply (star)");
  EXPECT_EQ(executor.first_non_finite(images * NAN, targets, kPlace), "the input");
  for (const auto& [name, tensor] : executor.weights())
    EXPECT_TRUE(same_bytes(tensor, before.at(name))) << name;
  torch::NoGradGuard no_grad;
  torch::Tensor bias = executor.parameter("star.bn.bias");
  bias.fill_(INFINITY);
  EXPECT_EQ(executor.first_non_finite(images, targets, kPlace), "parameter 'star.bn.bias'");
}

TEST(TorchExecutor, PixelsBecomeInputAsTheGraphSays) {
  GraphBuilder g;
  const InputFormat format{.order = ChannelOrder::kBgr, .scale = 0.5, .mean = {1, 2, 3}, .std = {2, 4, 8}};
  g.output("out", g.input(3, format));
  const Graph graph = std::move(g).build();
  TorchExecutor executor(graph, {});
  const torch::Tensor pixels = torch::tensor({10, 20, 30}, torch::kUInt8).view({1, 3, 1, 1});
  const auto out = executor.evaluate(pixels, output_values(graph))[0].flatten();
  EXPECT_FLOAT_EQ(out[0].item<float>(), (30 * 0.5F - 1) / 2);
  EXPECT_FLOAT_EQ(out[1].item<float>(), (20 * 0.5F - 2) / 4);
  EXPECT_FLOAT_EQ(out[2].item<float>(), (10 * 0.5F - 3) / 8);
}

TEST(TorchExecutor, MixedPrecisionKeepsProductsAndGradientsInFloat32) {
  GraphBuilder g;
  Value x = g.input(3);
  x = g.activation(g.batch_norm(g.conv(x, "conv", {.out = 16, .kernel = 3}), "bn"), ActivationKind::kSilu);
  g.output("half", x);
  g.output("product", g.multiply(x, x));
  const Graph graph = std::move(g).build();
  const Weights weights = randomize(graph, 1);
  const torch::Tensor images = to_torch(noise({2, 3, 16, 16}, 4));
  const std::vector<Value> targets = output_values(graph);
  TorchExecutor exact(graph, weights), mixed(graph, weights, {.compute_type = torch::kBFloat16});
  const auto wanted = exact.train(images, targets, kPlace), found = mixed.train(images, targets, kPlace);
  EXPECT_EQ(found[0].scalar_type(), torch::kBFloat16);
  EXPECT_EQ(found[1].scalar_type(), torch::kFloat32);
  EXPECT_LE(relative_difference(from_torch(found[1]), from_torch(wanted[1])), 5e-2);
  wanted[1].sum().backward();
  found[1].sum().backward();
  for (const char* name : {"conv.weight", "bn.weight", "bn.bias"}) {
    const torch::Tensor gradient = mixed.parameter(name).grad();
    EXPECT_EQ(gradient.scalar_type(), torch::kFloat32) << name;
    EXPECT_LE(relative_difference(from_torch(gradient), from_torch(exact.parameter(name).grad())), 5e-2)
        << name;
  }
}

// Stars (StarNet) and gates (squeeze and excitation) as the networks have them.
TEST(TorchExecutor, MixedPrecisionKeepsProductsOfNetworksInFloat32) {
  for (const char* name : {"starnet_s050", "pp_lcnet_x0_25"}) {
    SCOPED_TRACE(name);
    const Graph graph = model::make_model(name).graph;
    std::vector<Value> products;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      if (std::holds_alternative<Multiply>(graph.nodes[i].operation))
        products.push_back(Value{static_cast<int>(i)});
    ASSERT_GT(products.size(), 1u);
    TorchExecutor mixed(graph, initialize(graph, 1), {.compute_type = torch::kBFloat16});
    for (const torch::Tensor& product : mixed.train(to_torch(noise({2, 3, 64, 64}, 4)), products, kPlace))
      EXPECT_EQ(product.scalar_type(), torch::kFloat32);
  }
}

TEST(TorchExecutor, WeightsSurviveTheRoundTrip) {
  const Graph graph = two_layers();
  const Weights weights = randomize(graph, 9);
  for (const bool channels_last : {false, true}) {
    TorchExecutor executor(graph, initialize(graph, 0), {.channels_last = channels_last});
    executor.load(weights);
    for (const auto& [name, tensor] : executor.weights())
      EXPECT_TRUE(same_bytes(tensor, weights.at(name))) << name;
  }
}

TEST(TorchExecutor, RefusesMissingWeightsAndUnknownNames) {
  const Graph graph = two_layers();
  Weights weights = randomize(graph, 9);
  const TorchExecutor executor(graph, weights);
  EXPECT_THROW(executor.parameter("model.0.conv.wieght"), Error);
  weights.erase("model.1.bn.bias");
  EXPECT_THROW(TorchExecutor(graph, weights), Error);
}

TEST(TorchDevice, IsNamedAsTheFlagSays) {
  EXPECT_EQ(parse_device("cpu"), torch::Device(torch::kCPU));
  for (const char* wrong : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99", ""})
    EXPECT_THROW(parse_device(wrong), Error) << wrong;
}

}  // namespace
}  // namespace marrow::train
