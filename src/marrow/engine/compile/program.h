// The immutable result of compiling: steps over an arena whose layout is fixed. Contexts (arena, outputs,
// pool) are separate, so that several may share one program.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/engine/compile/tuner.h"
#include "marrow/engine/engine.h"
#include "marrow/engine/step.h"
#include "marrow/graph/graph.h"

namespace marrow::engine {

struct ProgramOutput {
  std::string name;
  Shape shape;
};

struct ProgramStep {
  StepPtr step;
  Shape shape;  // of what it writes
  double macs = 0;
  std::vector<View> reads = {};  // the values of its operation, then what is joined
  View writes = {};
};

struct Program {
  const Kernels* kernels = nullptr;
  Shape input;
  std::vector<ProgramStep> steps;
  std::vector<ProgramOutput> outputs;
  int64_t arena_floats = 0;
  int64_t shared_floats = 0;
  int64_t scratch_floats = 0;  // a thread
};

// See Engine's constructor. `pool` packs the weights, and its size decides how finely steps are cut; results
// do not depend on it. `tuner` chooses among implementations of a layer.
Program compile(const Graph& graph, const Weights& weights, const Shape& input,
                std::span<const std::string> outputs, const EngineOptions& options, Tuner& tuner,
                cpu::ThreadPool& pool);

}  // namespace marrow::engine
