// Strassen's parts where they do not fit: odd numbers of pixels, more than are taken at a time, several
// images, threads; and its rounding.
#include <cmath>

#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kStrassenTolerance = 5e-6;  // of the largest output

Graph convolution(int in, int out) {
  return testing::plain_and_joined(in, {.out = out, .bias = true});
}

bool runs_strassen(const Graph& graph, const Shape& input) {
  return testing::runs("strassen", graph, input);
}
bool runs_two_levels(const Graph& graph, const Shape& input) {
  return testing::runs("strassen 1x1/1 twice", graph, input);
}

TEST(Strassen, MatchesReferenceForAnyNumberOfPixels) {
  const Graph graph = convolution(512, 544);
  for (const auto& [height, width] : {std::pair{4, 7}, {7, 7}, {1, 29}, {33, 41}}) {
    SCOPED_TRACE(::testing::Message() << height << " x " << width);
    testing::expect_matches_reference(graph, {1, 512, height, width}, kStrassenTolerance);
    EXPECT_TRUE(runs_strassen(graph, {1, 512, height, width}));
  }
}

TEST(Strassen, TwoLevelsMatchReference) {
  const Graph graph = convolution(576, 1024);
  for (const auto& [height, width] : {std::pair{4, 7}, {1, 32}, {22, 46}}) {
    SCOPED_TRACE(::testing::Message() << height << " x " << width);
    testing::expect_matches_reference(graph, {1, 576, height, width}, kStrassenTolerance);
    EXPECT_TRUE(runs_two_levels(graph, {1, 576, height, width}));
  }
  testing::expect_matches_reference(graph, {3, 576, 4, 9}, kStrassenTolerance, 40);
}

// The bound that steps/strassen.cpp states, and what numbers without a pattern are far below.
TEST(Strassen, RoundsWithinItsBounds) {
  constexpr int kIn = 512, kPixels = 32;
  constexpr double kUnit = 0x1p-24;
  for (const auto& [out, bound, usual] :
       {std::tuple{512, 3.0 * kIn * kIn + 25.0 * kIn, 2.0}, {1024, 9.0 * kIn * kIn + 175.0 * kIn, 4.0}})
    for (const double growth : {0.0, 8.0}) {  // of the channels' sizes, in powers of two
      GraphBuilder g;
      Value x = g.input(kIn);
      x = g.add(x, x);
      g.output("y", g.conv(x, "layer", {.out = out, .bias = false}));
      const Graph graph = std::move(g).build();
      const Shape shape = {1, kIn, 4, kPixels / 4};
      EXPECT_EQ(runs_two_levels(graph, shape), out == 1024);
      Weights weights = randomize(graph, 7);
      const std::span<float> b = weights.at("layer.weight").values();
      Tensor input = testing::noise(shape, 11);
      for (int c = 0; c < kIn; ++c)
        for (int p = 0; p < kPixels; ++p)
          input.values()[static_cast<size_t>(c * kPixels + p)] *=
              static_cast<float>(std::exp2(growth * c / kIn));
      engine::Engine engine(graph, weights, shape, {}, {.threads = 1});
      engine.run(input);
      double largest_a = 0, largest_b = 0, squares = 0, products = 0;
      for (const float value : input.values()) largest_a = std::max(largest_a, std::abs(2.0 * value));
      for (const float value : b) largest_b = std::max(largest_b, std::abs(double{value}));
      for (int o = 0; o < out; ++o)
        for (int p = 0; p < kPixels; ++p) {
          double sum = 0, sum_of_squares = 0;
          for (int c = 0; c < kIn; ++c) {
            const double product = 2.0 * input.values()[static_cast<size_t>(c * kPixels + p)] *
                                   b[static_cast<size_t>(o * kIn + c)];
            sum += product;
            sum_of_squares += product * product;
          }
          const double error = engine.output(0).values()[static_cast<size_t>(o * kPixels + p)] - sum;
          ASSERT_LE(std::abs(error), bound * kUnit * largest_a * largest_b);
          squares += error * error;
          products += sum_of_squares;
        }
      // A chain of K sums of random signs is off by some u sqrt(K / 2) of its products' root sum of squares.
      EXPECT_LE(std::sqrt(squares / products), usual * kUnit * std::sqrt(kIn / 2.0))
          << out << " outputs, growth " << growth;
    }
}

TEST(Strassen, TakesSeveralImagesAndManyThreads) {
  const Graph graph = convolution(576, 512);
  testing::expect_matches_reference(graph, {3, 576, 5, 7}, kStrassenTolerance);
  testing::expect_matches_reference(graph, {1, 576, 5, 7}, kStrassenTolerance, 40);
}

// Which half a pixel is in must not depend on the threads.
TEST(Strassen, GivesTheSameNumbersOnAnyNumberOfThreads) {
  for (const int height : {8, 37})
    testing::expect_same_on_threads(convolution(512, 544), {1, 512, height, 9}, {2, 3, 9});
  testing::expect_same_on_threads(convolution(512, 1024), {1, 512, 36, 9}, {2, 3, 9});
}

TEST(Strassen, LeavesWhatHasNoHalves) {
  EXPECT_FALSE(runs_strassen(convolution(512, 516), {1, 512, 7, 7}));
  EXPECT_FALSE(runs_strassen(convolution(516, 512), {1, 516, 7, 7}));
  EXPECT_FALSE(runs_strassen(convolution(512, 512), {1, 512, 2, 7}));
}

}  // namespace
}  // namespace marrow::engine
