// A small detector and a small classifier, and what an executor trains them with.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/train/native/native_executor.h"
#include "support/graphs.h"
#include "support/same_bytes.h"

namespace marrow::testing {

inline constexpr int kClasses = 3, kBins = 4;

inline Value layer(GraphBuilder& g, Value x, const char* name, const ConvOptions& options) {
  const auto scope = g.scope(name);
  return g.activation(g.batch_norm(g.conv(x, "conv", options), "bn"), ActivationKind::kSilu);
}

// A head of two levels whose maps are two convolutions side by side.
inline Graph detector() {
  GraphBuilder g;
  Value x = layer(g, g.input(3), "stem", {.out = 12, .kernel = 3, .stride = 4});
  std::vector<Value> maps;
  for (const char* level : {"p8", "p16"}) {
    x = layer(g, x, level, {.out = 20, .kernel = 3, .stride = 2});
    const auto scope = g.scope(level);
    maps.push_back(g.concat({g.conv(g.drop_path(x, 0.2), "sides", {.out = 4 * kBins, .bias = true}),
                             g.conv(x, "classes", {.out = kClasses, .bias = true})}));
  }
  g.output("output0", g.detect_decode(maps, "dfl", kClasses, kBins));
  return std::move(g).build();
}

inline Graph classifier() {
  GraphBuilder g;
  const Value x = layer(g, g.input(3), "stem", {.out = 12, .kernel = 3, .stride = 2});
  g.output("logits", g.linear(g.dropout(g.flatten(g.global_average_pool(x)), 0.3, false), "fc", 5));
  return std::move(g).build();
}

inline train::TrainingBatch boxes(int64_t height, int64_t width, uint64_t seed) {
  train::TrainingBatch batch;
  batch.images = Tensor({2, 3, height, width}, DType::kUInt8);
  Random random(seed, "pixels");
  for (uint8_t& pixel : batch.images.values<uint8_t>()) pixel = static_cast<uint8_t>(random.below(256));
  batch.targets = Tensor::from({3, 6}, std::vector<float>{0, 1, 0.4F, 0.5F, 0.5F, 0.6F,  //
                                                          0, 2, 0.7F, 0.3F, 0.3F, 0.3F,  //
                                                          1, 0, 0.5F, 0.5F, 0.8F, 0.7F});
  return batch;
}

inline train::ExecutorSettings settings_of(const Graph& graph, const train::Objective& objective,
                                           train::OptimizerKind kind = train::OptimizerKind::kSgd) {
  train::ExecutorSettings settings;
  settings.objective = objective;
  settings.optimizer = kind;
  settings.groups = train::parameter_groups(graph, 5e-4, kind);
  settings.threads = 2;
  return settings;
}

inline train::ExecutorState start_of(const Graph& graph) {
  return {.weights = randomize(graph, 1), .average = randomize(graph, 1)};
}

inline std::unique_ptr<train::TrainingExecutor> executor_of_boxes(const Graph& graph) {
  return train::make_native_executor(graph, start_of(graph),
                                     settings_of(graph, loss::DetectionLossOptions()));
}

inline constexpr train::IterationSettings kRates{
    .bias_lr = 0.02, .lr = 0.01, .momentum = 0.9, .accumulate = 2};

}  // namespace marrow::testing
