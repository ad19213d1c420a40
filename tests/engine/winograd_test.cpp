// Winograd's tiles at their edges: maps that fill no tile, one tile and a bit of another, channels around the
// blocks, any padding, several images, more threads than tiles.
#include "support.h"

namespace marrow::engine {
namespace {

Graph convolution(int in, int out, int padding, int stride) {
  return testing::plain_and_joined(
      in, {.out = out, .kernel = 3, .stride = stride, .padding = Padding::symmetric(padding), .bias = true});
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
    for (const auto& [channels, height, width] : {std::tuple{33, 37, 29}, {130, 9, 11}})
      testing::expect_same_on_threads(convolution(channels, 50, 1, stride), {2, channels, height, width},
                                      {2, 3, 7, 40});
}

TEST(Winograd, IsWhatRuns) {
  for (const int stride : kStrides)
    EXPECT_TRUE(testing::runs("winograd", convolution(8, 8, 1, stride), {1, 8, 8, 8}));
}

}  // namespace
}  // namespace marrow::engine
