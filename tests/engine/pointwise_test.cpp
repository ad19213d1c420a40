// 1x1 convolutions that pack their pixels: channels that fill no block and more than are packed at a time, in
// one map or scattered over several, any number of pixels, several images, threads.
#include "marrow/graph/builder.h"
#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kPointwiseTolerance = 3e-6;  // of the largest output

Graph pointwise(int in, int out) {
  return testing::plain_and_joined(in, {.out = out, .bias = true});
}

// Every second channel of two maps, as after a shuffle.
Graph scattered_pointwise(int channels, int out) {
  GraphBuilder g;
  const Value x = g.input(channels);
  const Value a = g.activation(x, ActivationKind::kRelu);
  const Value b = g.add(a, x);
  const Value mixed = g.channel_shuffle(g.concat({a, b}), 2);
  g.output("first", g.conv(g.slice(mixed, 0, channels), "first", {.out = out, .bias = true}));
  g.output("second", g.conv(g.slice(mixed, channels, 2 * channels), "second", {.out = out}));
  return std::move(g).build();
}

bool packs(const Graph& graph, const Shape& input) {
  return testing::runs("packed 1x1", graph, input);
}

TEST(PackedPointwise, TakesAnyChannelsAndPixels) {
  for (const auto& [in, out] : {std::pair{37, 160}, {511, 200}, {515, 133}, {1100, 130}})
    for (const auto& [height, width] : {std::pair{9, 31}, {24, 24}}) {
      SCOPED_TRACE(::testing::Message() << in << " -> " << out << " at " << height << " x " << width);
      const Graph graph = pointwise(in, out);
      testing::expect_matches_reference(graph, {1, in, height, width}, kPointwiseTolerance);
    }
  EXPECT_TRUE(packs(pointwise(511, 200), {1, 511, 64, 64}));
  EXPECT_FALSE(packs(pointwise(16, 200), {1, 16, 8, 8}));    // stays in the cache
  EXPECT_FALSE(packs(pointwise(511, 8), {1, 511, 64, 64}));  // is read once
}

TEST(PackedPointwise, GathersScatteredChannels) {
  for (const int channels : {5, 24, 58, 116}) {
    SCOPED_TRACE(::testing::Message() << channels << " channels");
    testing::expect_matches_reference(scattered_pointwise(channels, 200), {2, channels, 9, 7},
                                      kPointwiseTolerance);
    EXPECT_TRUE(packs(scattered_pointwise(channels, 200), {2, channels, 9, 7}));
  }
}

TEST(PackedPointwise, GivesTheSameNumbersOnAnyNumberOfThreads) {
  testing::expect_same_on_threads(pointwise(600, 130), {2, 600, 17, 23}, {2, 3, 40});
}

}  // namespace
}  // namespace marrow::engine
