// Every operation, at awkward sizes, at every SIMD level, against the reference executor.
#include <algorithm>

#include "support.h"
#include "support/op_cases.h"

namespace marrow::engine {
namespace {

using testing::OpCase;

void run_all(const std::vector<OpCase>& cases) {
  for (const OpCase& op : cases) {
    SCOPED_TRACE(op.name);
    testing::expect_matches_reference(op.graph, op.input, op.tolerance);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(EngineOps, ConvolutionsMatchReference) {
  run_all(testing::convolutions());
}
TEST(EngineOps, StemsReadThePlanarInput) {
  run_all(testing::stems());
}
// Tasks of more threads end within a row.
TEST(EngineOps, RowsOfTilesTakeTheirEpilogueHoweverTheyAreCut) {
  for (const int channels : {3, 24})
    for (const int64_t width : {5, 37, 150}) {
      SCOPED_TRACE(::testing::Message() << channels << " channels, width " << width);
      const Graph graph = testing::graph_of(channels, [&](GraphBuilder& g, Value x) {
        if (channels != 3) x = g.add(x, x);  // makes the map blocked
        const ConvOptions conv = {
            .out = 24, .kernel = 3, .stride = 2, .groups = channels == 3 ? 1 : 3, .bias = true};
        const Value y = g.activation(g.conv(x, "a", conv), ActivationKind::kSilu);
        return g.activation(g.add(y, g.conv(x, "b", conv)), ActivationKind::kRelu);
      });
      const Shape shape = {2, channels, 23, width};
      testing::expect_matches_reference(graph, shape, 5e-6);
      const Weights weights = randomize(graph, 1);
      const Tensor input = testing::noise(shape, 2);
      for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
        std::vector<float> first;
        for (const int threads : {1, 2, 3, 9}) {
          Engine engine(graph, weights, shape, {}, {threads, std::string(cpu::simd_name(level))});
          engine.run(input);
          const auto found = engine.output(0).values();
          if (first.empty()) first.assign(found.begin(), found.end());
          EXPECT_TRUE(std::ranges::equal(found, first)) << cpu::simd_name(level) << ", " << threads;
        }
      }
    }
}

TEST(EngineOps, TransposedConvolutionsMatchReference) {
  run_all(testing::transposed());
}
TEST(EngineOps, ActivationsPoolsAndCopiesMatchReference) {
  run_all(testing::others());
}
TEST(EngineOps, DetectDecodeMatchesReference) {
  run_all(testing::decodes());
}

TEST(EngineOps, DetectDecodeLeavesOutAnchorsWithoutScores) {
  for (const OpCase& op : testing::decodes()) {
    const Weights weights = randomize(op.graph, 7);
    const Tensor input = testing::noise(op.input, 11);
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      SCOPED_TRACE(op.name + " " + std::string(cpu::simd_name(level)));
      EngineOptions options{.threads = 2, .simd = std::string(cpu::simd_name(level))};
      Engine all(op.graph, weights, op.input, {}, options);
      all.run(input);
      const Tensor& wanted = all.output(0);
      const int64_t images = wanted.dim(0), rows = wanted.dim(1), anchors = wanted.dim(2);
      const auto value = [&](const Tensor& tensor, int64_t n, int64_t row, int64_t anchor) {
        return tensor.values()[static_cast<size_t>((n * rows + row) * anchors + anchor)];
      };
      const int64_t end = 4 + std::get<DetectDecode>(op.graph.nodes.back().operation).classes;
      // Each anchor's best score; so high a threshold that one in a hundred passes.
      std::vector<float> best;
      for (int64_t n = 0; n < images; ++n)
        for (int64_t a = 0; a < anchors; ++a) {
          best.push_back(0);
          for (int64_t row = 4; row < end; ++row)
            best.back() = std::max(best.back(), value(wanted, n, row, a));
        }
      std::vector<float> sorted = best;
      std::ranges::sort(sorted);
      options.least_score = sorted[sorted.size() * 99 / 100];
      Engine some(op.graph, weights, op.input, {}, options);
      some.run(testing::noise(op.input, 12));  // leaves other numbers behind
      some.run(input);
      int64_t left_out = 0;
      for (int64_t n = 0; n < images; ++n)
        for (int64_t a = 0; a < anchors; ++a) {
          bool zero = true, same = true;
          for (int64_t row = 0; row < rows; ++row) {
            zero &= value(some.output(0), n, row, a) == 0;
            same &= value(some.output(0), n, row, a) == value(wanted, n, row, a);
          }
          left_out += zero;
          const bool needed = best[static_cast<size_t>(n * anchors + a)] > options.least_score;
          ASSERT_TRUE(same || (zero && !needed)) << "image " << n << ", anchor " << a;
        }
      EXPECT_GT(left_out, 0);
    }
  }
}

}  // namespace
}  // namespace marrow::engine
