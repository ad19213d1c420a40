// Every operation, at awkward sizes, at every SIMD level, against the reference executor.
#include "support.h"
#include "support/op_cases.h"

namespace marrow {
namespace {

using test::OpCase;

void run_all(const std::vector<OpCase>& cases) {
  for (const OpCase& op : cases) {
    SCOPED_TRACE(op.name);
    test::expect_matches_reference(op.graph, op.input, op.tolerance);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(EngineOps, ConvolutionsMatchReference) {
  run_all(test::convolutions());
}
TEST(EngineOps, StemsReadThePlanarInput) {
  run_all(test::stems());
}
TEST(EngineOps, TransposedConvolutionsMatchReference) {
  run_all(test::transposed());
}
TEST(EngineOps, ActivationsPoolsAndCopiesMatchReference) {
  run_all(test::others());
}
TEST(EngineOps, DetectDecodeMatchesReference) {
  run_all(test::decodes());
}

}  // namespace
}  // namespace marrow
