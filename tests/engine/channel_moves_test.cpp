// Channel shuffles, slices and concatenations that are read where their channels lie.
#include "marrow/graph/builder.h"
#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kChannelMovesTolerance = 5e-6;  // of the largest output

Value pointwise(GraphBuilder& g, Value x, const std::string& name, int out) {
  return g.activation(g.conv(x, name, {.out = out, .bias = true}), ActivationKind::kRelu);
}
Value depthwise(GraphBuilder& g, Value x, const std::string& name, int channels, int stride) {
  return g.conv(x, name, {.out = channels, .kernel = 3, .stride = stride, .groups = channels, .bias = true});
}

// ShuffleNet V2's units: one of stride 2, then `units` of stride 1.
Value stage(GraphBuilder& g, Value x, const std::string& name, int in, int out, int units) {
  const auto scope = g.scope(name);
  const int half = out / 2;
  const Value left = pointwise(g, depthwise(g, x, "l_dw", in, 2), "l", half);
  Value right = pointwise(g, x, "r1", half);
  right = pointwise(g, depthwise(g, right, "r_dw", half, 2), "r2", half);
  x = g.channel_shuffle(g.concat({left, right}), 2);
  for (int i = 0; i < units; ++i) {
    const auto unit = g.scope(std::to_string(i));
    Value y = pointwise(g, g.slice(x, half, out), "1", half);
    y = pointwise(g, depthwise(g, y, "dw", half, 1), "2", half);
    x = g.channel_shuffle(g.concat({g.slice(x, 0, half), y}), 2);
  }
  return x;
}

Graph shuffle_net(int in, int first, int second) {
  GraphBuilder g;
  Value x = g.input(in);
  x = stage(g, g.add(x, x), "stage1", in, first, 3);
  x = stage(g, x, "stage2", first, second, 2);
  g.output("out", pointwise(g, x, "last", 20));
  return std::move(g).build();
}

bool copies(const Graph& graph, const Shape& input) {
  return testing::runs("gather", graph, input);
}

TEST(ChannelMoves, ShuffleNetMatchesReferenceWithoutACopy) {
  for (const auto& [in, first, second] : {std::array{24, 116, 232}, {7, 30, 58}, {16, 48, 96}, {1, 2, 4}})
    for (const int64_t images : {1, 3}) {
      SCOPED_TRACE(::testing::Message() << in << " " << first << " " << second << " images " << images);
      const Graph graph = shuffle_net(in, first, second);
      const Shape input = {images, in, 13, 10};
      testing::expect_matches_reference(graph, input, kChannelMovesTolerance);
      EXPECT_FALSE(copies(graph, input));
    }
}

TEST(ChannelMoves, WhoCannotReadPlacesGetsOneCopy) {
  GraphBuilder g;
  Value x = g.input(30);
  x = g.channel_shuffle(g.add(x, x), 3);
  g.output("dense", g.conv(x, "dense", {.out = 9, .kernel = 3, .bias = true}));
  g.output("pointwise", pointwise(g, x, "pointwise", 17));
  g.output("shuffled", x);
  g.output("joined", g.add(depthwise(g, x, "dw", 30, 1), x));
  const Graph graph = std::move(g).build();
  testing::expect_matches_reference(graph, {2, 30, 5, 6}, kChannelMovesTolerance);
  EXPECT_TRUE(copies(graph, {1, 30, 5, 6}));
}

TEST(ChannelMoves, AChannelMayBeReadTwice) {
  GraphBuilder g;
  Value x = g.input(22);
  x = g.add(x, x);
  const Value twice = g.concat({g.slice(x, 3, 20), g.slice(x, 5, 22), g.slice(x, 3, 9)});
  g.output("pointwise", pointwise(g, depthwise(g, twice, "dw", 40, 1), "a", 18));
  g.output("direct", pointwise(g, twice, "b", 18));
  const Graph graph = std::move(g).build();
  testing::expect_matches_reference(graph, {2, 22, 5, 6}, kChannelMovesTolerance);
  EXPECT_FALSE(copies(graph, {1, 22, 5, 6}));
}

// A convolution of one channel is dense and depthwise at once.
TEST(ChannelMoves, OneChannelIsReadFromWithinABlock) {
  for (const int kernel : {1, 3}) {
    SCOPED_TRACE(kernel);
    GraphBuilder g;
    Value x = g.input(8);
    x = g.add(x, x);
    const Value one = g.conv(g.slice(x, 3, 4), "one", {.out = 1, .kernel = kernel, .bias = true});
    g.output("sum", g.add(g.activation(one, ActivationKind::kRelu), g.slice(x, 0, 1)));
    g.output("alone", g.conv(g.slice(x, 2, 3), "alone", {.out = 1, .kernel = kernel, .bias = true}));
    testing::expect_matches_reference(std::move(g).build(), {2, 8, 5, 6}, kChannelMovesTolerance);
  }
}

}  // namespace
}  // namespace marrow::engine
