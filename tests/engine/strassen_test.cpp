// Strassen's halves where they do not fit: odd numbers of pixels, more than are taken at a time, several
// images, threads.
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
  for (const int height : {8, 37})
    testing::expect_same_on_threads(convolution(512, 544), {1, 512, height, 9}, {2, 3, 9});
}

TEST(Strassen, LeavesWhatHasNoHalves) {
  EXPECT_FALSE(runs_strassen(convolution(512, 516), {1, 512, 7, 7}));
  EXPECT_FALSE(runs_strassen(convolution(516, 512), {1, 516, 7, 7}));
  EXPECT_FALSE(runs_strassen(convolution(512, 512), {1, 512, 2, 7}));
}

}  // namespace
}  // namespace marrow::engine
