// Gates write over their input where nobody reads it later, and nowhere else.
#include <sstream>

#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kGateTolerance = 2e-6;  // of the largest output

Value gated(GraphBuilder& g, Value x, const std::string& name) {
  const int channels = static_cast<int>(g.channels(x));
  const Value gate = g.conv(g.global_average_pool(x), name, {.out = channels, .bias = true});
  return g.multiply(x, g.activation(gate, ActivationKind::kSigmoid));
}

// Of the gates: how many write what they read.
int in_place(const Graph& graph, const Shape& input, Precision precision = Precision::kFloat32) {
  const Engine engine(graph, randomize(graph, 1), input, {}, {.threads = 1, .precision = precision});
  std::istringstream text(engine.describe());
  int count = 0;
  for (std::string line; std::getline(text, line);) {
    const size_t writes = line.find("arena ", line.find(" gate"));
    if (writes == std::string::npos || line.find(" gate") == std::string::npos) continue;
    const std::string place = line.substr(writes, line.find(' ', writes + 6) - writes);
    count += line.find(place + ",", writes + place.size()) != std::string::npos;
  }
  return count;
}

void check(const std::function<Value(GraphBuilder&, Value)>& body, int wanted) {
  const Graph graph = testing::graph_of(20, [&](GraphBuilder& g, Value x) {
    return body(g, g.conv(x, "conv", {.out = 20, .kernel = 3, .bias = true}));
  });
  testing::expect_matches_reference(graph, {2, 20, 9, 7}, kGateTolerance);
  EXPECT_EQ(in_place(graph, {2, 20, 9, 7}), wanted);
}

TEST(InPlace, AGateWritesOverWhatNobodyReadsLater) {
  check([](GraphBuilder& g, Value x) { return gated(g, x, "gate"); }, 1);
  check([](GraphBuilder& g, Value x) { return g.conv(gated(g, x, "gate"), "last", {.out = 7}); }, 1);
  // Parts of what a gate wrote.
  check(
      [](GraphBuilder& g, Value x) {
        const Value y = gated(g, x, "gate");
        return g.concat({g.slice(y, 16, 20), g.conv(g.slice(y, 0, 16), "last", {.out = 8, .kernel = 3})});
      },
      1);
}

TEST(InPlace, WhatIsReadLaterOrIsAPartStays) {
  check(
      [](GraphBuilder& g, Value x) {
        return g.conv(g.add(g.conv(gated(g, x, "gate"), "a", {.out = 20}), x), "last", {.out = 7});
      },
      0);
  check(
      [](GraphBuilder& g, Value x) {
        const Value y = g.slice(x, 0, 16);
        return g.add(gated(g, y, "gate"), g.max_pool(y, 3, 1, 1));
      },
      0);
  check([](GraphBuilder& g, Value x) { return g.concat({gated(g, g.slice(x, 0, 16), "gate"), x}); }, 0);
  // A member of a concatenation lies in it, before the gate and after.
  check(
      [](GraphBuilder& g, Value x) {
        const Value all = g.concat({g.conv(x, "a", {.out = 16, .kernel = 3}), x});
        return g.add(g.conv(gated(g, all, "gate"), "b", {.out = 36}), all);
      },
      0);
  check([](GraphBuilder& g, Value x) { return g.concat({gated(g, x, "gate"), g.max_pool(x, 3, 1, 1)}); }, 0);
}

}  // namespace
}  // namespace marrow::engine
