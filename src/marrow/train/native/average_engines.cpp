#include "marrow/train/native/average_engines.h"

#include <fmt/format.h>

namespace marrow::train::native {
namespace {

Graph with_outputs(Graph graph, std::span<const Value> targets) {
  graph.taps.clear();
  graph.outputs.clear();
  for (const Value target : targets)
    graph.outputs.push_back({fmt::format("target{}", graph.outputs.size()), target});
  return graph;
}

}  // namespace

AverageEngines::AverageEngines(Graph graph, Weights average, std::vector<Value> targets, int threads)
    : targets_(std::move(targets)),
      threads_(threads),
      network_(passes::deploy({with_outputs(std::move(graph), targets_), std::move(average)},
                              {.threads = threads})) {}

engine::Engine& AverageEngines::of(const Shape& images) {
  if (engine_ && shape_ == images) return *engine_;
  engine::EngineOptions options;
  options.threads = threads_;
  options.deploy = false;
  engine_.reset();  // first of all gives back its memory
  engine_.emplace(network_.graph, network_.weights, images, std::span<const std::string>(), options);
  shape_ = images;
  return *engine_;
}

}  // namespace marrow::train::native
