// One block of each family in training mode: batch statistics, running statistics after one step, and the
// output with the old statistics. The blocks are those that a model YAML names.
#include <gtest/gtest.h>

#include "marrow/graph/reference/executor.h"
#include "support/golden.h"
#include "support/recorded_blocks.h"

namespace marrow {
namespace {

constexpr double kBlockTolerance = 1e-4;  // golden/backbones/README.md, "grads"

void run_block(const weights::SafetensorsFile& file) {
  const testing::RecordedBlock line = testing::recorded_block(file);
  ASSERT_FALSE(line.module.empty());
  const Tensor& input = file.tensors.at("input");
  const Graph graph = testing::build_block(line, static_cast<int>(input.dim(1)));
  const Weights weights = testing::recorded_weights(file, line);
  ASSERT_NO_THROW(verify(graph, weights));

  const Value output = graph.find("output");
  const auto step =
      reference::run_reference_with_batch_statistics(graph, weights, input, std::span(&output, 1));
  EXPECT_LE(relative_difference(step.values.at(0), file.tensors.at("output")), kBlockTolerance);
  EXPECT_LE(relative_difference(reference::run_reference(graph, weights, input, "output"),
                                file.tensors.at("output_eval")),
            kBlockTolerance);
  const Weights after = testing::recorded_group(file, "buffer_after.", line);
  EXPECT_FALSE(after.empty());
  for (const auto& [name, expected] : after) {
    ASSERT_TRUE(step.statistics.contains(name)) << name;
    const Tensor& found = step.statistics.at(name);
    EXPECT_LE(relative_difference(found.to_float(), expected.to_float()), kBlockTolerance) << name;
  }
}

TEST(parity_backbone_blocks, TrainingStepGivesTheRecordedOutputsAndStatistics) {
  testing::for_each_recorded_block(run_block);
}

}  // namespace
}  // namespace marrow
