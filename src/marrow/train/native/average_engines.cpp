#include "marrow/train/native/average_engines.h"

#include <fmt/format.h>

namespace marrow::train::native {
namespace {

constexpr size_t kMostEngines = 8;

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
  for (auto& [shape, engine] : engines_)
    if (shape == images) return engine;
  engine::EngineOptions options;
  options.threads = threads_;
  options.deploy = false;
  if (engines_.size() == kMostEngines) engines_.pop_front();
  engines_.emplace_back(images, engine::Engine(network_.graph, network_.weights, images, {}, options));
  return engines_.back().second;
}

}  // namespace marrow::train::native
