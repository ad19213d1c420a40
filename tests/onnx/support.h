// Networks to export, and ways to compare what comes back.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/graph/shapes.h"
#include "marrow/onnx/read/import.h"
#include "marrow/onnx/write/export.h"
#include "support/graphs.h"
#include "support/temporary_folder.h"

namespace marrow::onnx {

using marrow::testing::noise;

// Through a file, as users do it.
inline ImportedNetwork read_back(const ModelProto& model) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "model.onnx";
  write_model(path, model);
  const MappedFile file(path);
  return import_network(parse_model(file.bytes(), "model.onnx"), "model.onnx");
}

inline passes::GraphWithWeights random_network(Graph graph) {
  graph.taps.clear();
  passes::GraphWithWeights network{std::move(graph), {}};
  network.weights = randomize(network.graph, 1);
  return network;
}

// The only output of each for one input, relative to the largest value.
inline double difference(const passes::GraphWithWeights& a, const passes::GraphWithWeights& b,
                         const Tensor& input) {
  const auto output = [&](const passes::GraphWithWeights& network) {
    const std::vector<Value> target = {network.graph.outputs.at(0).value};
    return reference::run_reference(network.graph, network.weights, input, target).at(0);
  };
  return relative_difference(output(a), output(b));
}

// The same by the engine, for whole networks.
inline double engine_difference(const passes::GraphWithWeights& a, const passes::GraphWithWeights& b,
                                const Tensor& input) {
  const auto output = [&](const passes::GraphWithWeights& network) {
    engine::Engine engine(network.graph, network.weights, input.shape());
    engine.run(input);
    return engine.output(0).clone();
  };
  return relative_difference(output(a), output(b));
}

}  // namespace marrow::onnx
