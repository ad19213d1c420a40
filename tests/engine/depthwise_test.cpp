// Depthwise convolutions of narrow maps, which are cut into other tiles than wide ones.
#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kDepthwiseTolerance = 2e-6;  // of the largest output

Graph depthwise(int kernel, int stride, std::optional<Padding> padding) {
  return testing::graph_of(11, [&](GraphBuilder& g, Value x) {
    x = g.add(x, x);  // makes the map blocked
    ConvOptions conv = {.out = 11, .kernel = kernel, .stride = stride, .groups = 11, .bias = true};
    conv.padding = padding;
    return g.activation(g.conv(x, "dw", conv), ActivationKind::kRelu);
  });
}

TEST(Depthwise, NarrowRowsMatchReferenceForAnyWidth) {
  for (const int kernel : {3, 5, 7})
    for (const int stride : {1, 2})
      for (int64_t width = 1; width <= 42; width += width < 22 ? 1 : 3) {
        SCOPED_TRACE(::testing::Message() << kernel << "/" << stride << ", width " << width);
        testing::expect_matches_reference(depthwise(kernel, stride, {}), {2, 11, 9, width},
                                          kDepthwiseTolerance);
        const Padding padding = {.before = kernel - 1, .after = 1};
        testing::expect_matches_reference(depthwise(kernel, stride, padding), {1, 11, 6, width},
                                          kDepthwiseTolerance);
      }
}

TEST(Depthwise, ThreadsDoNotChangeAByte) {
  for (const int64_t width : {7, 10, 14, 19, 20})
    testing::expect_same_on_threads(depthwise(5, 1, {}), {2, 11, 17, width}, {2, 3});
}

}  // namespace
}  // namespace marrow::engine
