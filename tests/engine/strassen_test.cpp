// Strassen's halves where they do not fit: odd numbers of pixels, more than are taken at a time, several
// images, threads.
#include "marrow/graph/builder.h"
#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kStrassenTolerance = 5e-6;  // of the largest output

Graph convolution(int in, int out) {
  GraphBuilder g;
  Value x = g.input(in);
  x = g.add(x, x);  // makes the map blocked
  const Value y = g.conv(x, "plain", {.out = out, .bias = true});
  g.output("plain", y);
  Value joined = g.activation(g.conv(x, "joined", {.out = out}), ActivationKind::kSilu);
  g.output("joined", g.activation(g.add(joined, y), ActivationKind::kRelu));
  return std::move(g).build();
}

bool runs_strassen(const Graph& graph, const Shape& input) {
  const Engine engine(graph, randomize(graph, 1), input);
  return engine.describe().find("strassen") != std::string::npos;
}

TEST(Strassen, MatchesReferenceForAnyNumberOfPixels) {
  const Graph graph = convolution(512, 544);
  for (const auto& [height, width] : {std::pair{4, 7}, {7, 7}, {1, 29}, {23, 41}}) {
    SCOPED_TRACE(::testing::Message() << height << " x " << width);
    testing::expect_matches_reference(graph, {1, 512, height, width}, kStrassenTolerance);
    EXPECT_TRUE(runs_strassen(graph, {1, 512, height, width}));
  }
}

TEST(Strassen, TakesSeveralImagesAndManyThreads) {
  const Graph graph = convolution(576, 512);
  testing::expect_matches_reference(graph, {3, 576, 5, 7}, kStrassenTolerance);
  testing::expect_matches_reference(graph, {1, 576, 5, 7}, kStrassenTolerance, 40);
}

// Which half a pixel is in must not depend on the threads.
TEST(Strassen, GivesTheSameNumbersOnAnyNumberOfThreads) {
  const Graph graph = convolution(512, 544);
  const Weights weights = randomize(graph, 1);
  for (const int height : {8, 37}) {
    const Shape shape = {1, 512, height, 9};
    const Tensor input = testing::noise(shape, 2);
    Engine one(graph, weights, shape, {}, {.threads = 1});
    one.run(input);
    for (const int threads : {2, 3, 9}) {
      Engine many(graph, weights, shape, {}, {.threads = threads});
      many.run(input);
      EXPECT_TRUE(std::ranges::equal(one.output(1).values(), many.output(1).values())) << threads;
    }
  }
}

TEST(Strassen, LeavesWhatHasNoHalves) {
  EXPECT_FALSE(runs_strassen(convolution(512, 516), {1, 512, 7, 7}));
  EXPECT_FALSE(runs_strassen(convolution(516, 512), {1, 516, 7, 7}));
  EXPECT_FALSE(runs_strassen(convolution(512, 512), {1, 512, 2, 7}));
}

}  // namespace
}  // namespace marrow::engine
