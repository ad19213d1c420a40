// What a program does besides its single steps: threads, what is made again, frozen parts, what is not
// finite.
#include "marrow/train/native/program.h"

#include "step_cases.h"
#include "support/same_bytes.h"

namespace marrow::testing {
namespace {

constexpr double kTolerance = 5e-6;

// Layers of every kind around branches that are read several times, in parts, shuffled and joined.
Graph branches() {
  return graph_of(3, [](GraphBuilder& g, Value x) {
    const auto layer = [&](Value in, const char* name, const ConvOptions& options, ActivationKind kind) {
      const auto scope = g.scope(name);
      return g.activation(g.batch_norm(g.conv(in, "conv", options), "bn"), kind);
    };
    Value a = layer(x, "stem", {.out = 20, .kernel = 3, .stride = 2}, ActivationKind::kSilu);
    Value b = layer(a, "wide", {.out = 36}, ActivationKind::kRelu6);
    const Value left = g.slice(b, 0, 18), right = g.slice(b, 18, 36);
    const Value deep = layer(right, "deep", {.out = 18, .kernel = 3}, ActivationKind::kHardSwish);
    const Value own =
        layer(deep, "depth", {.out = 18, .kernel = 5, .stride = 1, .groups = 18}, ActivationKind::kIdentity);
    b = g.channel_shuffle(g.concat({left, g.add(own, right), deep}), 2);
    const Value gate = g.activation(g.conv(g.global_average_pool(b), "gate", {.out = 54, .bias = true}),
                                    ActivationKind::kSigmoid);
    b = g.drop_path(g.multiply(b, gate), 0.4);
    // A star product of two layers, that one convolution reads.
    b = g.multiply(layer(b, "star1", {.out = 22}, ActivationKind::kRelu6),
                   layer(b, "star2", {.out = 22, .kernel = 3}, ActivationKind::kIdentity));
    b = layer(b, "joined", {.out = 54}, ActivationKind::kTanh);
    // A gate that one convolution applies, and another that pooling reads, too.
    const Value squeezed = g.activation(g.conv(g.global_average_pool(b), "squeeze", {.out = 9, .bias = true}),
                                        ActivationKind::kRelu);
    b = layer(g.multiply(b, g.activation(g.conv(squeezed, "expand", {.out = 54, .bias = true}),
                                         ActivationKind::kHardSigmoid)),
              "gated", {.out = 54}, ActivationKind::kSilu);
    const Value down = layer(b, "down", {.out = 24, .kernel = 3, .stride = 2}, ActivationKind::kSilu);
    const Value up = g.upsample(down, 2);
    return g.conv(g.concat({up, g.max_pool(b, 5, 1, 2), a}), "head", {.out = 11, .bias = true});
  });
}

constexpr TrainingPlace kPlace{.seed = 9, .epoch = 1, .position = 6};

TEST(NativeProgram, BranchesEqualTheReferenceAtEveryLevel) {
  const Graph graph = branches();
  for (const cpu::SimdLevel level : cpu::available_simd_levels())
    expect_reference_step(graph, randomize(graph, 3), noise({3, 3, 20, 28}, 4),
                          {.threads = 2, .level = level, .place = kPlace}, kTolerance);
}

TEST(NativeProgram, ValuesMadeAgainEqualStoredOnes) {
  const Graph graph = branches();
  expect_reference_step(graph, randomize(graph, 3), noise({3, 3, 20, 28}, 4),
                        {.place = kPlace, .stores_all = true}, kTolerance);
}

TEST(NativeProgram, FrozenPartsStandStill) {
  const Graph graph = branches();
  expect_reference_step(graph, randomize(graph, 3), noise({2, 3, 20, 28}, 4),
                        {.place = kPlace, .frozen = {"stem", "wide.bn", "deep.conv"}}, kTolerance);
}

TEST(NativeProgram, NumbersDoNotDependOnThreads) {
  const Graph graph = branches();
  const Weights weights = randomize(graph, 3);
  const Tensor input = noise({3, 3, 20, 28}, 4);
  const Tensor seed = double_noise({3, 11, 10, 14}, 5);
  const NativeStep wanted = run_native(graph, weights, input, {&seed, 1}, {.place = kPlace});
  for (const int threads : {2, 3, 7}) {
    SCOPED_TRACE(threads);
    const NativeStep found =
        run_native(graph, weights, input, {&seed, 1}, {.threads = threads, .place = kPlace});
    EXPECT_TRUE(same_bytes(found.values[0], wanted.values[0]));
    EXPECT_TRUE(same_bytes(found.input, wanted.input));
    for (const auto& [name, gradient] : wanted.gradients)
      EXPECT_TRUE(same_bytes(found.gradients.at(name), gradient)) << name;
    for (const auto& [name, statistic] : wanted.statistics)
      EXPECT_TRUE(same_bytes(found.statistics.at(name), statistic)) << name;
  }
}

TEST(NativeProgram, NamesTheFirstNodeThatIsNotFinite) {
  using namespace train::native;
  const Graph graph = branches();
  Weights weights = randomize(graph, 3);
  // The batch norm is the first whose numbers overflow.
  std::ranges::fill(weights.at("deep.bn.weight").values(), 3e38F);
  train::FlatParameters parameters(graph);
  parameters.load(weights, weights);
  cpu::ThreadPool pool(1);
  Workspace workspace;
  const Tensor input = noise({3, 3, 20, 28}, 4);
  Program program(graph, input.shape(), {.outputs = {{graph.find("out"), 0, 11}}}, parameters,
                  train::native::kernels_of(cpu::choose_simd_level()), workspace, pool);
  EXPECT_EQ(program.first_non_finite(input, kPlace, 1), "batch_norm (deep.bn)");
  const Weights after = parameters.weights();
  for (const auto& [name, tensor] : weights) EXPECT_TRUE(same_bytes(after.at(name), tensor)) << name;
}

}  // namespace
}  // namespace marrow::testing
