// Every operation's gradient against central differences in double, on awkward sizes.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/graph/reference/training.h"
#include "support/doubles.h"

namespace marrow::reference {
namespace {

using testing::double_noise;
using testing::double_weights;
using testing::graph_of;
using testing::output_values;

constexpr TrainingPlace kPlace{.seed = 5, .epoch = 2, .position = 40};

// In double a step of 1e-5 leaves errors of 1e-10 of the second derivatives and 1e-11 of the values.
constexpr double kStep = 1e-5, kAbsolute = 1e-8, kRelative = 1e-7;

// What the gradients are of: the targets' values, each element times a number of its own.
class Loss {
 public:
  Loss(const Graph& graph, const Shape& shape, TrainingOptions options)
      : graph_(graph),
        options_(std::move(options)),
        targets_(output_values(graph)),
        weights_(double_weights(randomize(graph, 3))),
        input_(double_noise(shape, 17)),
        factors_(testing::random_gradients(step().values)) {}

  TrainingGradients gradients() { return step().backward(factors_); }

  // Along `direction`, another tensor of leaf's shape.
  void expect_slope(const std::string& name, Tensor& leaf, const Tensor& gradient, const Tensor& direction) {
    const Tensor start = leaf.clone();
    const auto at = [&](double distance) {
      for (int64_t i = 0; i < leaf.size(); ++i)
        leaf.values<double>()[i] = start.values<double>()[i] + distance * direction.values<double>()[i];
      const std::vector<Tensor> values = step().values;
      double sum = 0;
      for (size_t i = 0; i < values.size(); ++i) sum += testing::dot(values[i], factors_[i]);
      return sum;
    };
    const double wanted = (at(kStep) - at(-kStep)) / (2 * kStep);
    at(0);
    EXPECT_NEAR(testing::dot(gradient, direction), wanted, kAbsolute + kRelative * std::abs(wanted)) << name;
  }

  // Single elements tell where an error is; a random direction leaves no element out.
  void expect_leaf(const std::string& name, Tensor& leaf, const Tensor& gradient) {
    ASSERT_EQ(gradient.shape(), leaf.shape()) << name;
    for (uint64_t seed = 0; seed < 3; ++seed)
      expect_slope(name + " along a direction", leaf, gradient, double_noise(leaf.shape(), 31 + seed));
    for (int64_t i = 0; i < leaf.size(); i += 1 + leaf.size() / 20) {
      Tensor unit(leaf.shape(), DType::kFloat64);
      unit.values<double>()[i] = 1;
      expect_slope(name + " [" + std::to_string(i) + "]", leaf, gradient, unit);
    }
  }

  void expect_gradients() {
    TrainingGradients found = gradients();
    expect_leaf("input", input_, found.input);
    for (const Parameter& parameter : graph_.parameters) {
      const bool wanted = parameter.trainable() && !is_frozen(parameter.name, options_.frozen);
      EXPECT_EQ(found.parameters.contains(parameter.name), wanted) << parameter.name;
      if (wanted) expect_leaf(parameter.name, weights_.at(parameter.name), found.parameters[parameter.name]);
    }
  }

 private:
  TrainingStep step() { return run_training_reference<double>(graph_, weights_, input_, targets_, options_); }

  const Graph& graph_;
  TrainingOptions options_;
  std::vector<Value> targets_;
  Weights weights_;
  Tensor input_;
  std::vector<Tensor> factors_;
};

using Body = std::function<Value(GraphBuilder&, Value)>;

void expect_gradients(int channels, const std::vector<Shape>& sizes, const Body& body,
                      const std::vector<std::string>& frozen = {}) {
  const Graph graph = graph_of(channels, body);
  for (Shape shape : sizes) {
    shape[1] = channels;
    SCOPED_TRACE(to_string(shape));
    Loss(graph, shape, {.place = kPlace, .frozen = frozen}).expect_gradients();
  }
}

// Odd, even, one pixel, one row; channels come from the case.
const std::vector<Shape> kSizes = {{2, 0, 7, 5}, {3, 0, 6, 4}, {2, 0, 1, 1}, {1, 0, 1, 9}};

TEST(ReferenceGradients, OfConvolutions) {
  for (const ConvOptions& o : std::vector<ConvOptions>{
           {.out = 5, .kernel = 1},
           {.out = 9, .kernel = 3, .bias = true},
           {.out = 2, .kernel = 3, .stride = 2},
           {.out = 4, .kernel = 5, .stride = 3, .bias = true},
           {.out = 3, .kernel = 3, .dilation = 2, .groups = 3},
           {.out = 6, .kernel = 3, .stride = 2, .dilation = 3, .groups = 3},
           {.out = 3, .kernel = 7, .groups = 3, .bias = true},
           {.out = 9, .kernel = 5, .stride = 2, .groups = 3, .padding = Padding::tensorflow_same()},
           {.out = 2, .kernel = 4, .stride = 2, .padding = Padding::tensorflow_same()},
           {.out = 2, .kernel = 3, .stride = 2, .padding = Padding{0, 2, false}},
           {.out = 2, .kernel = 2, .padding = Padding{2, 1, false}},
       }) {
    SCOPED_TRACE(::testing::Message() << "kernel " << o.kernel << " stride " << o.stride << " dilation "
                                      << o.dilation << " groups " << o.groups);
    expect_gradients(3, kSizes, [&](auto& g, Value x) { return g.conv(x, "c", o); });
  }
  expect_gradients(11, {{1, 0, 8, 7}}, [](auto& g, Value x) {
    return g.conv(x, "c", {.out = 2, .kernel = 4, .stride = 4, .padding = Padding::symmetric(0)});
  });
  expect_gradients(11, {{2, 0, 5, 3}}, [](auto& g, Value x) {
    return g.conv(x, "c", {.out = 11, .kernel = 3, .stride = 2, .groups = 11});
  });
}

TEST(ReferenceGradients, OfTransposedConvolutions) {
  for (const ConvTransposeOptions& o : std::vector<ConvTransposeOptions>{
           {.out = 3},
           {.out = 2, .kernel = 3, .stride = 2, .padding = 1, .output_padding = 1, .bias = false},
           {.out = 5, .kernel = 4, .stride = 3},
           {.out = 1, .kernel = 2, .stride = 3},
       }) {
    SCOPED_TRACE(::testing::Message() << "kernel " << o.kernel << " stride " << o.stride);
    expect_gradients(3, kSizes, [&](auto& g, Value x) { return g.conv_transpose(x, "c", o); });
  }
}

TEST(ReferenceGradients, OfLinearLayers) {
  for (const bool bias : {true, false})
    expect_gradients(3, {{2, 0, 1, 1}, {5, 0, 1, 1}},
                     [&](auto& g, Value x) { return g.linear(g.flatten(x), "fc", 7, {}, {}, bias); });
}

TEST(ReferenceGradients, OfBatchNorms) {
  const Body body = [](auto& g, Value x) { return g.batch_norm(x, "bn", {.eps = 1e-3}); };
  expect_gradients(3, kSizes, body);
  expect_gradients(3, {{1, 0, 1, 1}}, body);  // one value a channel
  expect_gradients(3, kSizes, body, {"bn."});
  expect_gradients(3, kSizes, body, {"bn.weight"});
  expect_gradients(3, kSizes, body, {"bn.bias"});
}

TEST(ReferenceGradients, OfActivations) {
  for (int kind = 0; kind < kActivationKinds; ++kind) {
    const Activation activation{static_cast<ActivationKind>(kind), 0.3, {}};
    SCOPED_TRACE(activation_name(activation.kind));
    // Wide enough to reach the flat parts.
    expect_gradients(3, kSizes, [&](auto& g, Value x) {
      return g.add(g.activation(g.scale(x, "wide", 4), activation), x);
    });
  }
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.leaky_relu(x, g.scalar("slope", 0.37)); });
}

TEST(ReferenceGradients, OfSumsAndProducts) {
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.add(x, g.scale(x, "s", 0.5)); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.add(x, x); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.multiply(g.scale(x, "s", 0.5), x); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.multiply(x, x); });
  expect_gradients(3, kSizes, [](auto& g, Value x) {
    return g.multiply(x, g.conv(g.global_average_pool(x), "gate", {.out = 3, .bias = true}));
  });
}

TEST(ReferenceGradients, OfMovedChannels) {
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.concat({x, g.scale(x, "s", 2), x}); });
  expect_gradients(5, kSizes, [](auto& g, Value x) {
    return g.concat({g.slice(x, 3, 5), g.multiply(g.slice(x, 1, 4), g.slice(x, 0, 3))});
  });
  expect_gradients(9, kSizes, [](auto& g, Value x) { return g.slice(x, 1, 3, 3); });
  expect_gradients(6, kSizes, [](auto& g, Value x) { return g.channel_shuffle(x, 2); });
  expect_gradients(6, kSizes, [](auto& g, Value x) { return g.channel_shuffle(x, 3); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.flatten(x); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.scale(x, "s", 0.5); });
}

TEST(ReferenceGradients, OfPools) {
  for (const int kernel : {2, 3, 5})
    for (const int stride : {1, 2, 3})
      expect_gradients(3, kSizes,
                       [&](auto& g, Value x) { return g.max_pool(x, kernel, stride, kernel / 2); });
  expect_gradients(3, {{2, 0, 7, 5}}, [](auto& g, Value x) { return g.max_pool(x, 2, 2); });
  for (const int size : {1, 3, 4})
    expect_gradients(3, kSizes, [&](auto& g, Value x) { return g.adaptive_max_pool(x, size); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.global_average_pool(x); });
  for (const int factor : {1, 2, 3})
    expect_gradients(3, kSizes, [&](auto& g, Value x) { return g.upsample(x, factor); });
}

TEST(ReferenceGradients, OfAttention) {
  for (const Attention& a :
       {Attention{1, 1, 1, 1}, Attention{1, 3, 5, 1}, Attention{2, 4, 3, 1}, Attention{3, 2, 1, 2}}) {
    SCOPED_TRACE(::testing::Message() << a.heads << " heads, " << a.areas << " areas");
    expect_gradients(a.heads * a.head_channels(), {{2, 0, 3, 4}, {1, 0, 2, 1}},
                     [&](auto& g, Value x) { return g.attention(x, a); });
  }
}

TEST(ReferenceGradients, OfDropoutAndDropPath) {
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.dropout(x, 0.4); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.dropout(x, 0.4, true); });
  expect_gradients(3, kSizes, [](auto& g, Value x) { return g.add(x, g.drop_path(x, 0.4)); });
}

// Values with several readers, of which some are targets too.
TEST(ReferenceGradients, OfSmallNetworks) {
  const auto unit = [](GraphBuilder& g, Value x, const std::string& name, const ConvOptions& options) {
    const auto scope = g.scope(name);
    return g.activation(g.batch_norm(g.conv(x, "conv", options), "bn"), ActivationKind::kSilu);
  };
  const std::vector<Shape> sizes = {{2, 0, 9, 7}, {3, 0, 8, 8}};
  // Split, bottleneck, concatenation of all that came before, pyramid of pools.
  expect_gradients(3, sizes, [&](GraphBuilder& g, Value x) {
    const Value both = unit(g, x, "a", {.out = 6, .kernel = 3, .stride = 2});
    const Value low = g.slice(both, 0, 3), high = g.slice(both, 3, 6);
    const Value next = g.add(high, unit(g, high, "b", {.out = 3, .kernel = 3}));
    const Value pooled = g.max_pool(next, 5, 1, 2);
    g.output("pooled", pooled);
    return unit(g, g.concat({low, high, next, pooled, g.max_pool(pooled, 5, 1, 2)}), "c", {.out = 5});
  });
  // Star product, gate and a residual with drop path.
  expect_gradients(4, sizes, [&](GraphBuilder& g, Value x) {
    const Value wide = g.batch_norm(g.conv(x, "dw", {.out = 4, .kernel = 7, .groups = 4}), "dw_bn");
    const Value star =
        g.multiply(g.activation(g.conv(wide, "f1", {.out = 5, .bias = true}), ActivationKind::kRelu6),
                   g.conv(wide, "f2", {.out = 5, .bias = true}));
    const Value gate =
        g.activation(g.conv(g.global_average_pool(star), "fc", {.out = 5}), ActivationKind::kHardSigmoid);
    const Value branch = g.batch_norm(g.conv(g.multiply(star, gate), "g", {.out = 4}), "g_bn");
    const Value sum = g.add(x, g.drop_path(branch, 0.4));
    g.output("sum", sum);
    return g.linear(g.dropout(g.flatten(g.global_average_pool(sum)), 0.3), "classifier", 3);
  });
}

TEST(ReferenceGradients, StayPyTorchsAtKinks) {
  struct Kink {
    ActivationKind kind;
    double x, slope;
  };
  using enum ActivationKind;
  for (const Kink& each : std::vector<Kink>{{kRelu, 0, 0},
                                            {kRelu6, 0, 0},
                                            {kRelu6, 6, 0},
                                            {kLeakyRelu, 0, 0.3},
                                            {kHardSwish, -3, -0.5},
                                            {kHardSwish, 3, 1.5},
                                            {kHardSigmoid, -3, 0},
                                            {kHardSigmoid, 3, 0},
                                            {kElu, 0, 0.3}}) {
    const Graph graph = graph_of(1, [&](GraphBuilder& g, Value v) {
      return g.activation(v, Activation{each.kind, 0.3, {}});
    });
    Tensor x({1, 1, 1, 1}, DType::kFloat64), one({1, 1, 1, 1}, DType::kFloat64);
    x.values<double>()[0] = each.x;
    one.values<double>()[0] = 1;
    const auto step = run_training_reference<double>(graph, testing::kNoWeights, x, output_values(graph));
    EXPECT_EQ(step.backward(std::span(&one, 1)).input.values<double>()[0], each.slope)
        << activation_name(each.kind) << " at " << each.x;
  }
}

TEST(ReferenceGradients, OfAWindowGoToItsFirstLargestOrItsLastNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor one = Tensor::from({1, 1, 1, 1}, std::vector<float>{1});
  for (const bool adaptive : {true, false}) {
    const Graph graph = graph_of(1, [&](GraphBuilder& g, Value x) {
      return adaptive ? g.adaptive_max_pool(x, 1) : g.max_pool(x, 2, 2);
    });
    const auto gradient = [&](const std::vector<float>& values) {
      const auto step = run_training_reference<float>(
          graph, testing::kNoWeights, Tensor::from({1, 1, 2, 2}, values), output_values(graph));
      const Tensor found = step.backward(std::span(&one, 1)).input;
      return std::vector<float>(found.values().begin(), found.values().end());
    };
    EXPECT_EQ(gradient({1, 2, 2, 0}), (std::vector<float>{0, 1, 0, 0}));
    EXPECT_EQ(gradient({-INFINITY, -INFINITY, -INFINITY, -INFINITY}), (std::vector<float>{1, 0, 0, 0}));
    EXPECT_EQ(gradient({nan, 7, nan, 9}), (std::vector<float>{0, 0, 1, 0}));
  }
}

}  // namespace
}  // namespace marrow::reference
