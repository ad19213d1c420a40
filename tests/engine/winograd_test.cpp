// Winograd's tiles at their edges: maps that fill no tile, one tile and a bit of another, channels around the
// blocks, any padding, several images, more threads than tiles.
#include "marrow/graph/builder.h"
#include "support.h"

namespace marrow::engine {
namespace {

Graph convolution(int in, int out, int padding, int stride) {
  GraphBuilder g;
  // The sum makes the map blocked; the network's own input would stay planar.
  Value x = g.input(in);
  x = g.add(x, x);
  const ConvOptions options = {
      .out = out, .kernel = 3, .stride = stride, .padding = Padding::symmetric(padding), .bias = true};
  const Value y = g.conv(x, "conv", options);
  g.output("plain", y);
  Value joined = g.conv(x, "joined", options);
  joined = g.add(g.activation(joined, ActivationKind::kSilu), y);
  g.output("joined", g.activation(joined, ActivationKind::kRelu));
  return std::move(g).build();
}

constexpr double kWinogradTolerance = 3e-6;  // of the largest output

constexpr int kStrides[] = {1, 2};

TEST(Winograd, TakesAnyChannels) {
  for (const int stride : kStrides)
    for (const int in : {1, 7, 15, 17, 33, 58})
      for (const int out : {1, 16, 24, 33, 40}) {
        SCOPED_TRACE(::testing::Message() << in << " -> " << out << " stride " << stride);
        testing::expect_matches_reference(convolution(in, out, 1, stride), {1, in, 9, 11},
                                          kWinogradTolerance);
      }
}

TEST(Winograd, TakesAnySize) {
  for (const int stride : kStrides)
    for (const int height : {1, 2, 3, 4, 5, 8, 13})
      for (const int width : {1, 4, 6, 7, 8, 9, 30}) {
        SCOPED_TRACE(::testing::Message() << height << " x " << width << " stride " << stride);
        testing::expect_matches_reference(convolution(5, 18, 1, stride), {1, 5, height, width},
                                          kWinogradTolerance);
      }
}

TEST(Winograd, TakesAnyPaddingAndSeveralImages) {
  for (const int stride : kStrides)
    for (const int padding : {0, 1, 2, 5}) {
      SCOPED_TRACE(::testing::Message() << "padding " << padding << " stride " << stride);
      testing::expect_matches_reference(convolution(17, 40, padding, stride), {3, 17, 10, 7},
                                        kWinogradTolerance);
    }
}

TEST(Winograd, TakesMoreThreadsThanTiles) {
  for (const int stride : kStrides)
    testing::expect_matches_reference(convolution(20, 130, 1, stride), {1, 20, 5, 5}, kWinogradTolerance, 16);
}

// Results must not depend on how tiles are cut into tasks, nor on whether the threads share a task.
TEST(Winograd, GivesTheSameNumbersOnAnyNumberOfThreads) {
  for (const int stride : kStrides)
    for (const auto& [channels, height, width] : {std::tuple{33, 37, 29}, {130, 9, 11}}) {
      const Graph graph = convolution(channels, 50, 1, stride);
      const Weights weights = randomize(graph, 1);
      const Shape shape = {2, channels, height, width};
      const Tensor input = testing::noise(shape, 2);
      Engine one(graph, weights, shape, {}, {.threads = 1});
      one.run(input);
      for (const int threads : {2, 3, 7, 40}) {
        Engine many(graph, weights, shape, {}, {.threads = threads});
        many.run(input);
        EXPECT_TRUE(std::ranges::equal(one.output(1).values(), many.output(1).values())) << threads;
      }
    }
}

TEST(Winograd, IsWhatRuns) {
  for (const int stride : kStrides) {
    const Graph graph = convolution(8, 8, 1, stride);
    const Engine engine(graph, randomize(graph, 1), {1, 8, 8, 8});
    EXPECT_NE(engine.describe().find("winograd"), std::string::npos) << engine.describe();
  }
}

}  // namespace
}  // namespace marrow::engine
