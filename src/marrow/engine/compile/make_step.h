// The table of what a lowered operation becomes: one entry each. Which elements the step works on follows
// from its views: the factories of engine/steps/ choose.
#pragma once

#include "marrow/engine/compile/places.h"
#include "marrow/engine/compile/tuner.h"

namespace marrow::engine {

struct StepContext {
  const Weights& weights;
  const Places& places;
  const Kernels& kernels;
  Tuner& tuner;
  cpu::ThreadPool& pool;
  float least_score;  // see EngineOptions
};

struct MadeStep {
  MadeStep(StepPtr made, double multiply_adds = 0) : step(std::move(made)), macs(multiply_adds) {}

  StepPtr step;
  double macs;  // of what has weights
};

MadeStep make_step(const LoweredOp& op, const StepContext& context);

}  // namespace marrow::engine
