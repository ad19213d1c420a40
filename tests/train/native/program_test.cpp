// What a program does besides its single steps: threads, what is made again, frozen parts, what is not
// finite.
#include "marrow/train/native/program.h"

#include "branches.h"
#include "support/same_bytes.h"

namespace marrow::testing {
namespace {

constexpr double kTolerance = 5e-6;

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

Tensor rows_of(const loss::MapView<const float>& view) {
  Tensor rows({view.images, view.channels, view.height, view.width});
  copy_rows(view, rows);
  return rows;
}

// A network that goes on from values that are given has the bytes of the whole one, whose frozen part made
// them: one is read through a sum, a pool, a batch norm of its own, and beside others.
TEST(NativeProgram, GoesOnFromGivenValuesAsTheWholeNetworkDoes) {
  using namespace train::native;
  Value stem, wide;
  const Graph graph = graph_of(3, [&](GraphBuilder& g, Value x) {
    const auto layer = [&](Value in, const char* name, const ConvOptions& options) {
      const auto scope = g.scope(name);
      return g.activation(g.batch_norm(g.conv(in, "conv", options), "bn"), ActivationKind::kSilu);
    };
    stem = layer(x, "still.stem", {.out = 20, .kernel = 3, .stride = 2});
    wide = layer(stem, "still.wide", {.out = 37, .kernel = 3, .stride = 2});
    const Value up = g.upsample(g.batch_norm(wide, "norm"), 2);
    const Value joined = layer(g.concat({up, stem}), "joined", {.out = 20, .kernel = 3});
    return g.conv(g.concat({g.add(joined, stem), g.max_pool(stem, 5, 1, 2)}), "head", {.out = 11});
  });
  const std::vector<std::string> frozen = {"still."};
  const Tensor images = noise({3, 3, 20, 28}, 4), seed = noise({3, 11, 10, 14}, 5);
  const Value head = output_values(graph).front();
  struct Pass {
    std::vector<Tensor> values;
    Weights gradients, weights;
  };
  const auto pass = [&](std::vector<OutputRange> outputs, std::vector<Value> given,
                        std::span<const Tensor> inputs) {
    train::FlatParameters parameters(graph, frozen);
    const Weights weights = randomize(graph, 3);
    parameters.load(weights, weights);
    cpu::ThreadPool pool(2);
    Workspace workspace;
    Program program(graph, images.shape(), {.outputs = std::move(outputs), .frozen = frozen, .given = given},
                    parameters, kernels_of(cpu::choose_simd_level()), workspace, pool);
    EXPECT_EQ(program.first_non_finite(inputs, kPlace, 1), "");
    program.forward(inputs, kPlace, 1);
    Pass pass;
    for (size_t i = 0; i < program.outputs(); ++i) {
      pass.values.push_back(rows_of(program.output(i)));
      const loss::MapView<float> gradient = program.output_gradient(i);
      for (int64_t image = 0, at = 0; image < gradient.images; ++image) {
        std::fill_n(gradient.data + image * gradient.image_step, gradient.image_step, 0.0F);
        if (i > 0) continue;
        for (int64_t c = 0; c < gradient.channels; ++c)
          for (int64_t p = 0; p < gradient.pixels(); ++p, ++at)
            gradient.channel(image, c)[p * gradient.lanes] = seed.values()[static_cast<size_t>(at)];
      }
    }
    program.backward();
    for (const auto& [name, step] : program.trained()) {
      const auto& entry = parameters.entries()[parameters.index_of(name)];
      pass.gradients[name] = Tensor::from(entry.shape, parameters.gradient(name));
    }
    pass.weights = parameters.weights();
    return pass;
  };
  const Pass whole = pass({{head, 0, 11}, {stem, 0, 20}, {wide, 0, 37}}, {}, {&images, 1});
  const std::vector<Tensor> features = {whole.values[1], whole.values[2]};
  const Pass rest = pass({{head, 0, 11}}, {stem, wide}, features);
  EXPECT_TRUE(same_bytes(rest.values[0], whole.values[0]));
  EXPECT_EQ(rest.gradients.size(), 6u);
  ASSERT_EQ(rest.gradients.size(), whole.gradients.size());
  for (const auto& [name, gradient] : whole.gradients)
    EXPECT_TRUE(same_bytes(rest.gradients.at(name), gradient)) << name;
  for (const auto& [name, tensor] : whole.weights)
    EXPECT_TRUE(same_bytes(rest.weights.at(name), tensor)) << name;
  EXPECT_THROW(pass({{head, 0, 11}}, {stem, wide}, std::span(features).first(1)), Error);
  EXPECT_THROW(pass({{head, 0, 11}}, {wide, stem}, features), Error);
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
  EXPECT_EQ(program.first_non_finite({&input, 1}, kPlace, 1), "batch_norm (deep.bn)");
  const Weights after = parameters.weights();
  for (const auto& [name, tensor] : weights) EXPECT_TRUE(same_bytes(after.at(name), tensor)) << name;
}

}  // namespace
}  // namespace marrow::testing
