#include "marrow/engine/compile/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/base/tensor_slab.h"
#include "marrow/engine/compile/elements.h"
#include "marrow/engine/compile/expansions.h"
#include "marrow/engine/compile/in_place.h"
#include "marrow/engine/compile/lowering.h"
#include "marrow/engine/compile/make_step.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/shapes.h"

namespace marrow::engine {
namespace {

// Kernels count pixels in int.
void check_sizes(const Graph& graph, const Lowered& lowered) {
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (element_count(lowered.shapes[i]) > std::numeric_limits<int>::max() / 4)
      throw Error(ErrorKind::kShape,
                  fmt::format("[{}] {}: the output {} is larger than the engine handles (2 GiB)",
                              operation_name(graph.nodes[i].operation), graph.nodes[i].name,
                              marrow::to_string(lowered.shapes[i])));
}

}  // namespace

Program compile(const Graph& graph, const Weights& weights, const Shape& input,
                std::span<const std::string> outputs, const EngineOptions& options, Tuner& tuner,
                cpu::ThreadPool& pool) {
  verify(graph, weights);
  passes::GraphWithWeights model = passes::select_outputs({graph, weights}, outputs);
  if (options.deploy) model = passes::deploy(model, {.threads = pool.threads()});

  Program program;
  program.input = input;
  program.kernels = &kernels_of(cpu::choose_simd_level(options.simd));
  Lowered lowered =
      lower(model.graph, model.weights, infer_shapes(model.graph, input), program.kernels->lanes);
  choose_elements(model.graph, options.precision, lowered);
  fuse_expansions(*program.kernels, pool.threads(), lowered);
  gate_in_place(lowered);
  check_sizes(model.graph, lowered);
  const auto shape = [&](Value value) { return lowered.shapes[static_cast<size_t>(value.id)]; };
  for (const NamedValue& output : model.graph.outputs)
    program.outputs.push_back({output.name, shape(output.value)});
  const Places places(lowered, program.kernels->lanes);
  program.arena_floats = places.arena_floats();
  const StepContext context{model.weights, places, *program.kernels, tuner, pool, options.least_score};
  const TensorSlab packed_weights;
  for (const LoweredOp& op : lowered.ops) {
    auto [step, macs] = make_step(op, context);
    step->name = op.name;
    program.shared_floats = std::max(program.shared_floats, aligned_floats(step->shared_floats()));
    program.scratch_floats = std::max(program.scratch_floats, aligned_floats(step->scratch_floats()));
    std::vector<View> reads;
    for_each_read(op, [&](Value value) { reads.push_back(places.view(value)); });
    program.steps.push_back(
        {std::move(step), shape(op.output), macs, std::move(reads), places.view(op.output)});
  }
  return program;
}

}  // namespace marrow::engine
