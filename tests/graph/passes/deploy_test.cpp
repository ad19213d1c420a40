#include "marrow/graph/passes/deploy.h"

#include <cstdlib>

#include "graph/passes/support.h"
#include "marrow/base/error.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::with_random_weights;

// A pair of convolutions with all that stands between in training, a sum of two, and siblings behind it.
GraphWithWeights trained() {
  GraphBuilder g;
  Value x = g.batch_norm(g.conv(g.input(3), "a", {.out = 6, .kernel = 3, .bias = true}), "a_bn");
  x = g.dropout(g.leaky_relu(x, g.scalar("slope", 1)), 0.1);
  x = g.activation(g.batch_norm(g.conv(x, "b", {.out = 6}), "b_bn"), ActivationKind::kRelu);
  x = g.activation(g.add(g.conv(x, "wide", {.out = 6, .kernel = 3}), g.conv(x, "narrow", {.out = 6})),
                   ActivationKind::kRelu);
  g.output("out", g.multiply(g.conv(x, "f1", {.out = 5}), g.conv(x, "f2", {.out = 5})));
  return with_random_weights(std::move(g).build());
}

TEST(Deploy, RunsThePassesInOrderAndSaysWhatEachDid) {
  const GraphWithWeights source = trained();
  std::vector<PassRun> runs;
  const GraphWithWeights deployed = deploy(source, {}, &runs);
  // input, a with b, relu, wide with narrow, relu, f1, f2, multiply
  EXPECT_EQ(deployed.graph.nodes.size(), 8u);
  expect_equal(source, deployed);
  std::vector<std::pair<std::string_view, size_t>> after;
  for (const PassRun& run : runs) after.emplace_back(run.name, run.nodes_after);
  EXPECT_EQ(after, (std::vector<std::pair<std::string_view, size_t>>{{"strip_training", 14},
                                                                     {"remove_identities", 13},
                                                                     {"fold_batch_norm", 11},
                                                                     {"merge_sums", 9},
                                                                     {"merge_linear", 8}}));
}

TEST(Deploy, ADeployedGraphComesOutAsItIs) {
  const GraphWithWeights once = deploy(trained());
  const GraphWithWeights twice = deploy(once);
  testing::expect_same(twice.graph, once.graph);
  for (const auto& [name, tensor] : once.weights)
    EXPECT_TRUE(std::ranges::equal(tensor.values(), twice.weights.at(name).values())) << name;
}

TEST(Deploy, SkipsAndAddsPassesByName) {
  const GraphWithWeights source = trained();
  for (const NamedPass& pass : passes()) {
    std::vector<PassRun> runs;
    const GraphWithWeights without = deploy(source, {.skip = {std::string(pass.name)}, .also = {}}, &runs);
    expect_equal(source, without);
    for (const PassRun& run : runs) EXPECT_NE(run.name, pass.name);
    EXPECT_EQ(without.graph.nodes.size() > 8, pass.by_default) << pass.name;
  }
  const GraphWithWeights joined = deploy(source, {.skip = {}, .also = {"merge_siblings"}});
  EXPECT_EQ(count<Conv>(joined.graph), 3);
  expect_equal(source, joined);
}

TEST(Deploy, RefusesANameThatNoPassHas) {
  try {
    deploy(trained(), {.skip = {"fold_batchnorm"}, .also = {}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("Did you mean 'fold_batch_norm'"), std::string::npos)
        << error.what();
  }
}

TEST(Deploy, LeavesPairsApartWhoseSlopeIsBelowOne) {
  GraphWithWeights source = trained();
  source.weights["slope"] = Tensor::scalar(0.5f);
  const GraphWithWeights deployed = deploy(source);
  EXPECT_EQ(count<Conv>(deployed.graph), 5);
  EXPECT_EQ(count<BatchNorm>(deployed.graph), 0);
  expect_equal(source, deployed);
}

TEST(Deploy, TheDebugLogSaysWhyAPassDeclined) {
  GraphWithWeights source = trained();
  source.weights["slope"] = Tensor::scalar(0.5f);
  const auto log_of = [&](const char* wanted) {
    ::setenv("MARROW_DEBUG", wanted, 1);
    ::testing::internal::CaptureStderr();
    deploy(source);
    ::unsetenv("MARROW_DEBUG");
    return ::testing::internal::GetCapturedStderr();
  };
  const std::string log = log_of("1");
  EXPECT_NE(log.find("remove_identities: leaves %3 leaky_relu"), std::string::npos) << log;
  EXPECT_NE(log.find("its slope 'slope' is 0.5"), std::string::npos) << log;
  EXPECT_NE(log.find("merge_linear: 10 operations became 10"), std::string::npos) << log;
  EXPECT_EQ(log_of(""), "");
}

}  // namespace
}  // namespace marrow::passes
