// Products of bfloat16 in a training step: exact where the operands are, and else within their rounding.
#include "branches.h"
#include "marrow/train/recipe/train_options.h"
#include "small_training.h"
#include "support/environment.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::testing {
namespace {

class Bfloat16Steps : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_bfloat16()) GTEST_SKIP() << kNoBfloat16;
  }
};

// Of weights, inputs and gradients that bfloat16 holds, the products are float32's.
void expect_exact(const std::vector<OpCase>& cases) {
  for (const OpCase& op : cases) {
    SCOPED_TRACE(op.name);
    Weights weights = randomize(op.graph, 3);
    Tensor input = noise(op.input, 4);
    for (float& x : input.values()) x = rounded_to_bfloat16(x);
    for (auto& [name, tensor] : weights)
      for (float& x : tensor.values()) x = rounded_to_bfloat16(x);
    expect_reference_step(op.graph, weights, input, {.threads = 2, .bfloat16 = true, .poisoned = true}, 3e-6);
  }
}

TEST_F(Bfloat16Steps, ConvolutionsOfWhatItHoldsAreExact) {
  expect_exact(convolutions());
}
// Channels that a convolution reads out of order, from several maps.
TEST_F(Bfloat16Steps, ConvolutionsOfGatheredChannelsAreExact) {
  std::vector<OpCase> cases;
  for (const int kernel : {1, 3})
    for (const int stride : {1, 2})
      for (const int groups : {1, 2})
        cases.push_back({fmt::format("gathered {}/{} in {}", kernel, stride, groups),
                         graph_of(46,
                                  [&](GraphBuilder& g, Value x) {
                                    const Value turned = g.concat({g.slice(x, 20, 46), g.slice(x, 0, 20)});
                                    return g.conv(
                                        g.channel_shuffle(turned, 2), "conv",
                                        {.out = 38, .kernel = kernel, .stride = stride, .groups = groups});
                                  }),
                         {2, 46, 9, 11},
                         kSum});
  expect_exact(cases);
}
TEST_F(Bfloat16Steps, StemsOfWhatItHoldsAreExact) {
  expect_exact(stems());
}

// Of all gradients, taken together.
double gradient_distance(const NativeStep& found, const NativeStep& wanted) {
  double difference = 0, whole = 0;
  for (const auto& [name, gradient] : wanted.gradients)
    for (size_t i = 0; i < static_cast<size_t>(gradient.size()); ++i) {
      const double own = double{gradient.values()[i]};
      difference += std::pow(double{found.gradients.at(name).values()[i]} - own, 2);
      whole += own * own;
    }
  return std::sqrt(difference / whole);
}

// Smooth, so that a rounding turns no maximum and no kink elsewhere.
constexpr int kLayers = 5;
Graph smooth_layers() {
  return graph_of(3, [](GraphBuilder& g, Value x) {
    x = layer(g, x, "stem", {.out = 20, .kernel = 3, .stride = 2});
    x = layer(g, x, "wide", {.out = 40});
    x = layer(g, x, "down", {.out = 36, .kernel = 3, .stride = 2});
    x = layer(g, x, "deep", {.out = 24});
    return g.conv(x, "head", {.out = 18, .bias = true});
  });
}

// A product's operands lose up to 2^-9 of themselves each. The longest chain of products goes through all
// layers and back.
TEST_F(Bfloat16Steps, ANetworksGradientsAreWithinItsRounding) {
  const Graph graph = smooth_layers();
  const Weights weights = randomize(graph, 3);
  const Tensor input = noise({3, 3, 20, 28}, 4), seed = double_noise({3, 18, 5, 7}, 5);
  NativeOptions options{.threads = 2};
  const NativeStep wanted = run_native(graph, weights, input, {&seed, 1}, options);
  options.bfloat16 = true;
  const NativeStep found = run_native(graph, weights, input, {&seed, 1}, options);
  EXPECT_LE(gradient_distance(found, wanted), 2 * kLayers * 0x1p-8);
  EXPECT_GE(gradient_distance(found, wanted), 0x1p-12) << "nothing was rounded";
}

TEST_F(Bfloat16Steps, NumbersDoNotDependOnThreads) {
  const Graph graph = branches();
  const Weights weights = randomize(graph, 3);
  const Tensor input = noise({3, 3, 20, 28}, 4), seed = double_noise({3, 11, 10, 14}, 5);
  NativeOptions options{.threads = 1, .place = kPlace, .bfloat16 = true};
  const NativeStep wanted = run_native(graph, weights, input, {&seed, 1}, options);
  for (const int threads : {2, 3, 7}) {
    SCOPED_TRACE(threads);
    options.threads = threads;
    const NativeStep found = run_native(graph, weights, input, {&seed, 1}, options);
    EXPECT_TRUE(same_bytes(found.values[0], wanted.values[0]));
    EXPECT_TRUE(same_bytes(found.input, wanted.input));
    for (const auto& [name, gradient] : wanted.gradients)
      EXPECT_TRUE(same_bytes(found.gradients.at(name), gradient)) << name;
  }
}

class Bfloat16Executor : public Bfloat16Steps {
 protected:
  Bfloat16Executor() : graph_(detector()), settings_(settings_of(graph_, loss::DetectionLossOptions())) {
    settings_.precision = "bf16";
  }
  std::unique_ptr<train::TrainingExecutor> executor(const train::ExecutorState& state) const {
    return train::make_native_executor(graph_, state, settings_);
  }
  static void train_some(train::TrainingExecutor& executor, int first, int last) {
    for (int step = first; step < last; ++step) {
      executor.accumulate(boxes(64, 96, static_cast<uint64_t>(step)), {.seed = 4, .position = 2 * step});
      executor.clip_gradients(10, 1);
      executor.update(kRates);
    }
  }

  Graph graph_;
  train::ExecutorSettings settings_;
};

TEST_F(Bfloat16Executor, GoesOnFromItsStateToTheSameBytes) {
  const auto whole = executor(start_of(graph_));
  train_some(*whole, 0, 4);
  for (const int threads : {1, 3}) {
    settings_.threads = threads;
    const auto first = executor(start_of(graph_));
    train_some(*first, 0, 2);
    const auto second = executor(first->state());
    train_some(*second, 2, 4);
    expect_same_bytes(second->state(), whole->state());
  }
  settings_.precision = "float32";
  const auto other = executor(start_of(graph_));
  train_some(*other, 0, 4);
  EXPECT_FALSE(same_bytes(other->state().weights.at("stem.conv.weight"),
                          whole->state().weights.at("stem.conv.weight")));
}

TEST_F(Bfloat16Executor, IsWhatAmpAsksFor) {
  train::TrainOptions options;
  EXPECT_EQ(train::native_backend(options).precision, "float32");
  options.amp = "fp16";
  EXPECT_EQ(train::native_backend(options).precision, "float32");
  options.amp = "bf16";
  EXPECT_EQ(train::native_backend(options).precision, "bf16");
}

// The processor's other levels have no such products.
TEST(Bfloat16, IsFloat32WhereTheProcessorHasNone) {
  const Graph graph = detector();
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    if (train::native::has_pair_products(level)) continue;
    const Environment simd("MARROW_SIMD", std::string(cpu::simd_name(level)).c_str());
    train::TrainOptions options;
    options.amp = "bf16";
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(train::native_backend(options).precision, "float32");
    EXPECT_SAYS(::testing::internal::GetCapturedStderr(), "AVX-512 BF16");
    train::ExecutorSettings settings = settings_of(graph, loss::DetectionLossOptions());
    settings.precision = "bf16";
    EXPECT_SAYS(message_of([&] { train::make_native_executor(graph, start_of(graph), settings); }),
                "float32 alone");
  }
}

}  // namespace
}  // namespace marrow::testing
