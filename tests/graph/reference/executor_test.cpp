#include "marrow/graph/reference/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/graph/builder.h"
#include "marrow/graph/shapes.h"

namespace marrow::reference {
namespace {

Tensor random_tensor(const Shape& shape, uint64_t seed) {
  Tensor tensor(shape);
  Random random(seed, "input");
  for (float& x : tensor.values()) x = static_cast<float>(random.normal());
  return tensor;
}

Tensor counting(const Shape& shape) {
  Tensor tensor(shape);
  std::iota(tensor.values().begin(), tensor.values().end(), 0.f);
  return tensor;
}

// Builds a graph of one operation on an input with `channels` channels and runs it.
template <class Add>
Tensor run_one(const Tensor& input, const Add& add_operation, const Weights& weights = {}) {
  GraphBuilder g;
  g.output("out", add_operation(g, g.input(static_cast<int>(input.dim(1)))));
  const Graph graph = std::move(g).build();
  return run_reference(graph, weights, input, "out");
}

std::vector<float> list(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

// Written the other way round from the executor's loops: one output at a time, every index checked.
double conv_at(const Tensor& x, const Tensor& w, const ConvOptions& o, const Padding& rows,
               const Padding& columns, int64_t n, int64_t oc, int64_t oy, int64_t ox) {
  const int64_t in_per_group = x.dim(1) / o.groups;
  const int64_t group = oc / (o.out / o.groups);
  double sum = 0;
  for (int64_t i = 0; i < in_per_group; ++i)
    for (int64_t ky = 0; ky < o.kernel; ++ky)
      for (int64_t kx = 0; kx < o.kernel; ++kx) {
        const int64_t y = oy * o.stride + ky * o.dilation - rows.before;
        const int64_t xx = ox * o.stride + kx * o.dilation - columns.before;
        if (y < 0 || y >= x.dim(2) || xx < 0 || xx >= x.dim(3)) continue;
        const int64_t c = group * in_per_group + i;
        sum += static_cast<double>(x.values()[((n * x.dim(1) + c) * x.dim(2) + y) * x.dim(3) + xx]) *
               w.values()[((oc * in_per_group + i) * o.kernel + ky) * o.kernel + kx];
      }
  return sum;
}

TEST(Reference, ConvEqualsTheFormulaOnAwkwardSizes) {
  const std::vector<ConvOptions> cases = {
      {.out = 4, .kernel = 1},
      {.out = 6, .kernel = 3, .stride = 2},
      {.out = 6, .kernel = 3, .dilation = 2, .groups = 3},
      {.out = 3, .kernel = 7, .groups = 3},
      {.out = 2, .kernel = 4, .stride = 4, .padding = Padding::symmetric(0)},
      {.out = 2, .kernel = 5, .stride = 2, .padding = Padding::tensorflow_same()},
      {.out = 2, .kernel = 3, .stride = 2, .padding = Padding{0, 2, false}},
  };
  for (const ConvOptions& o : cases) {
    for (const Shape& shape : {Shape{2, 3, 7, 4}, Shape{1, 3, 8, 9}}) {
      const Tensor x = random_tensor(shape, 1);
      const Tensor w = random_tensor({o.out, 3 / o.groups, o.kernel, o.kernel}, 2);
      const Tensor y =
          run_one(x, [&](auto& g, Value v) { return g.conv(v, "conv", o); }, {{"conv.weight", w}});
      const Padding rule = o.padding.value_or(Padding::symmetric((o.dilation * (o.kernel - 1) + 1) / 2));
      const Padding rows = resolve_padding(rule, shape[2], o.kernel, o.stride, o.dilation);
      const Padding columns = resolve_padding(rule, shape[3], o.kernel, o.stride, o.dilation);
      int64_t at = 0;
      for (int64_t n = 0; n < y.dim(0); ++n)
        for (int64_t oc = 0; oc < y.dim(1); ++oc)
          for (int64_t oy = 0; oy < y.dim(2); ++oy)
            for (int64_t ox = 0; ox < y.dim(3); ++ox)
              EXPECT_NEAR(y.values()[at++], conv_at(x, w, o, rows, columns, n, oc, oy, ox), 1e-5)
                  << "kernel " << o.kernel << " stride " << o.stride << " at " << oy << "," << ox;
    }
  }
}

TEST(Reference, ConvTransposeSpreadsEachPixel) {
  const Tensor x = Tensor::from({1, 1, 1, 2}, std::vector<float>{1, 10});
  const Tensor w = Tensor::from({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4});
  const Tensor y = run_one(x, [](auto& g, Value v) { return g.conv_transpose(v, "up", 1, 2, 2); },
                           {{"up.weight", w}, {"up.bias", Tensor::from({1}, std::vector<float>{0.5})}});
  EXPECT_EQ(y.shape(), (Shape{1, 1, 2, 4}));
  EXPECT_EQ(list(y), (std::vector<float>{1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5}));
}

TEST(Reference, PoolsDropTrailingRowsAndNeverPickThePadding) {
  const Tensor x = Tensor::from({1, 1, 3, 3}, std::vector<float>{-1, -2, -3, -4, -5, -6, -7, -8, -9});
  EXPECT_EQ(list(run_one(x, [](auto& g, Value v) { return g.max_pool(v, 2, 2); })), (std::vector<float>{-1}));
  EXPECT_EQ(list(run_one(x, [](auto& g, Value v) { return g.max_pool(v, 3, 2, 1); })),
            (std::vector<float>{-1, -2, -4, -5}));
}

TEST(Reference, AdaptiveCellsOverlap) {
  const Tensor y =
      run_one(counting({1, 1, 5, 5}), [](auto& g, Value v) { return g.adaptive_max_pool(v, 3); });
  // Rows 0..1, 1..3 and 3..4.
  EXPECT_EQ(list(y), (std::vector<float>{6, 8, 9, 16, 18, 19, 21, 23, 24}));
}

TEST(Reference, ChannelsMoveAsDefined) {
  const Tensor x = counting({2, 6, 1, 1});
  EXPECT_EQ(list(run_one(x, [](auto& g, Value v) { return g.channel_shuffle(v, 2); })),
            (std::vector<float>{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
  EXPECT_EQ(list(run_one(x,
                         [](auto& g, Value v) {
                           return g.concat({g.slice(v, 4, 6), g.slice(v, 0, 1)});
                         })),
            (std::vector<float>{4, 5, 0, 10, 11, 6}));
  EXPECT_EQ(list(run_one(counting({1, 1, 2, 2}), [](auto& g, Value v) { return g.upsample(v, 2); })),
            (std::vector<float>{0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3}));
}

TEST(Reference, GateMultipliesWholeChannels) {
  const Tensor y = run_one(counting({1, 2, 1, 2}),
                           [](auto& g, Value v) { return g.multiply(v, g.global_average_pool(v)); });
  EXPECT_EQ(list(y), (std::vector<float>{0, 0.5, 5, 7.5}));
}

TEST(Reference, ActivationsMatchTheirFormulas) {
  const auto at = [](ActivationKind kind, float x, double slope = 0.1) {
    const Tensor input = Tensor::from({1, 1, 1, 1}, std::vector<float>{x});
    return run_one(input,
                   [&](auto& g, Value v) {
                     return g.activation(v, Activation{kind, slope, {}});
                   })
        .values()[0];
  };
  EXPECT_FLOAT_EQ(at(ActivationKind::kRelu6, 7), 6);
  EXPECT_FLOAT_EQ(at(ActivationKind::kLeakyRelu, -2), -0.2f);
  EXPECT_FLOAT_EQ(at(ActivationKind::kSilu, 1), 0.73105858f);
  EXPECT_FLOAT_EQ(at(ActivationKind::kHardSwish, 1), 4.f / 6);
  EXPECT_FLOAT_EQ(at(ActivationKind::kHardSwish, -3), 0);
  EXPECT_FLOAT_EQ(at(ActivationKind::kHardSigmoid, 1), 1.f / 6 + 0.5f);
  EXPECT_FLOAT_EQ(at(ActivationKind::kGelu, 1), 0.84134475f);
  EXPECT_FLOAT_EQ(at(ActivationKind::kMish, 1), 0.86509840f);
  EXPECT_FLOAT_EQ(at(ActivationKind::kMish, 100), 100);
  EXPECT_FLOAT_EQ(at(ActivationKind::kElu, -1), 0.1f * std::expm1(-1.f));
}

TEST(Reference, LeakySlopeComesFromTheWeights) {
  GraphBuilder g;
  const Value x = g.input(1);
  g.output("out", g.leaky_relu(x, g.scalar("act_learn", 1)));
  const Graph graph = std::move(g).build();
  const Tensor input = Tensor::from({1, 1, 1, 2}, std::vector<float>{-4, 2});
  EXPECT_EQ(list(run_reference(graph, {}, input, "out")), (std::vector<float>{-4, 2}));
  EXPECT_EQ(list(run_reference(graph, {{"act_learn", Tensor::scalar(0.25f)}}, input, "out")),
            (std::vector<float>{-1, 2}));
}

TEST(Reference, BatchNormUsesRunningOrBatchStatistics) {
  GraphBuilder g;
  g.output("out", g.batch_norm(g.input(1), "bn", {.eps = 0.5, .momentum = 0.1}));
  const Graph graph = std::move(g).build();
  Weights weights = initialize(graph, 0);
  weights["bn.weight"].values()[0] = 2;
  weights["bn.bias"].values()[0] = 1;
  weights["bn.running_mean"].values()[0] = 3;
  weights["bn.running_var"].values()[0] = 3.5;
  const Tensor x = Tensor::from({2, 1, 1, 2}, std::vector<float>{1, 2, 3, 6});
  EXPECT_EQ(list(run_reference(graph, weights, x, "out")), (std::vector<float>{-1, 0, 1, 4}));

  const Value out = graph.find("out");
  const auto trained = run_reference_with_batch_statistics(graph, weights, x, std::span(&out, 1));
  // Mean 3, biased variance 3.5, unbiased 14 / 3.
  EXPECT_EQ(list(trained.values[0]), (std::vector<float>{-1, 0, 1, 4}));
  EXPECT_FLOAT_EQ(trained.statistics.at("bn.running_mean").values()[0], 3);
  EXPECT_FLOAT_EQ(trained.statistics.at("bn.running_var").values()[0], 0.9f * 3.5f + 0.1f * 14 / 3);
  EXPECT_EQ(trained.statistics.at("bn.num_batches_tracked").values<int64_t>()[0], 1);
}

TEST(Reference, MeasuredStatisticsNormaliseTheInput) {
  GraphBuilder g;
  g.output("out", g.batch_norm(g.input(2), "bn"));
  const Graph graph = std::move(g).build();
  Tensor x = random_tensor({2, 2, 5, 3}, 4);
  for (float& value : x.values()) value = 100 + 1000 * value;
  const Weights weights = measure_batch_statistics(graph, initialize(graph, 0), x);
  const Tensor out = run_reference(graph, weights, x, "out");
  for (const float y : out.values()) EXPECT_LT(std::abs(y), 5);
}

TEST(Reference, DropoutScalesOnlyWhenItDownscalesInInference) {
  const Tensor x = Tensor::from({1, 1, 1, 1}, std::vector<float>{10});
  EXPECT_FLOAT_EQ(run_one(x, [](auto& g, Value v) { return g.dropout(v, 0.2, true); }).values()[0], 8);
  EXPECT_FLOAT_EQ(
      run_one(x, [](auto& g, Value v) { return g.drop_path(g.dropout(v, 0.2), 0.3); }).values()[0], 10);
}

TEST(Reference, DetectDecodeOfKnownLogits) {
  GraphBuilder g;
  Value x = g.input(3);
  x = g.conv(x, "map", {.out = 4 * 16 + 2, .kernel = 8, .stride = 8, .padding = Padding{}, .bias = true});
  g.output("out", g.detect_decode({{x}}, "dfl.conv.weight", 2, 16));
  const Graph graph = std::move(g).build();
  Weights weights = initialize(graph, 0);
  weights["map.weight"] = Tensor(weights["map.weight"].shape());
  auto bias = weights["map.bias"].values();
  std::ranges::fill(bias, 0.f);
  // A bin so likely that the expectation is the bin itself: left 1, top 2, right 3, bottom 4.
  for (int side = 0; side < 4; ++side) bias[side * 16 + side + 1] = 200;
  bias[65] = 1;
  const Tensor y = run_reference(graph, weights, Tensor({1, 3, 8, 16}), "out");
  ASSERT_EQ(y.shape(), (Shape{1, 6, 2}));
  EXPECT_EQ(list(y),
            (std::vector<float>{12, 20, 12, 12, 32, 32, 48, 48, 0.5, 0.5, 0.73105858f, 0.73105858f}));
}

TEST(Reference, NamesWhatIsMissing) {
  GraphBuilder g;
  g.output("out", g.conv(g.input(1), "conv", {.out = 1}));
  const Graph graph = std::move(g).build();
  const Tensor x({1, 1, 2, 2});
  EXPECT_THROW(run_reference(graph, {}, x, "out"), Error);
  EXPECT_THROW(run_reference(graph, {{"conv.weight", Tensor({2, 1, 1, 1})}}, x, "out"), Error);
  EXPECT_THROW(run_reference(graph, initialize(graph, 0), x, "logits"), Error);
}

// Two positions, one head of one key and one value channel: shares are sigmoids of score differences.
TEST(Reference, AttentionIsTheWeightedMeanOfValues) {
  Tensor x({1, 3, 1, 2});
  const std::vector<float> numbers = {1, 2, 3, -1, 10, 20};  // queries, keys, values
  std::ranges::copy(numbers, x.values().begin());
  const Tensor y = run_one(x, [](GraphBuilder& g, Value v) { return g.attention(v, {1, 1, 1, 1}); });
  const auto mean = [](double query) { return 20 - 10 / (1 + std::exp(query * (-1 - 3))); };
  EXPECT_NEAR(y.values()[0], mean(1), 1e-5);
  EXPECT_NEAR(y.values()[1], mean(2), 1e-5);
  // Alone in its area, a position sees only itself.
  const Tensor apart = run_one(x, [](GraphBuilder& g, Value v) { return g.attention(v, {1, 1, 1, 2}); });
  EXPECT_EQ(list(apart), (std::vector<float>{10, 20}));
}

TEST(Reference, AttentionHasHeadsOfTheirOwn) {
  // Equal keys: every position gets the mean of its head's values.
  Tensor x({1, 8, 2, 1});
  for (int64_t c = 0; c < 8; ++c)
    for (int64_t i = 0; i < 2; ++i) x.values()[c * 2 + i] = c % 4 == 1 ? 1.f : static_cast<float>(c * 10 + i);
  const Tensor y = run_one(x, [](GraphBuilder& g, Value v) { return g.attention(v, {2, 1, 2, 1}); });
  EXPECT_EQ(list(y), (std::vector<float>{20.5, 20.5, 30.5, 30.5, 60.5, 60.5, 70.5, 70.5}));
}

TEST(Reference, SlicesEachGroup) {
  const Tensor y =
      run_one(counting({1, 6, 1, 1}), [](GraphBuilder& g, Value v) { return g.slice(v, 1, 3, 2); });
  EXPECT_EQ(list(y), (std::vector<float>{1, 2, 4, 5}));
}

TEST(Reference, ScalesChannels) {
  Tensor gamma({2});
  gamma.values()[0] = 2;
  gamma.values()[1] = -1;
  const Tensor y =
      run_one(counting({1, 2, 1, 2}), [](GraphBuilder& g, Value v) { return g.scale(v, "gamma", 1); },
              {{"gamma", gamma}});
  EXPECT_EQ(list(y), (std::vector<float>{0, 2, -2, -3}));
}

}  // namespace
}  // namespace marrow::reference
