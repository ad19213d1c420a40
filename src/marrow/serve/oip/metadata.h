// What the Open Inference Protocol and Triton's extensions of it say about the server and its models.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "marrow/serve/metrics.h"
#include "marrow/serve/network.h"
#include "marrow/serve/oip/tensors.h"

namespace marrow::serve {

// Of every model: a file has no other.
inline constexpr const char* kModelVersion = "1";

std::string server_metadata(const std::string& version);
std::string model_metadata(const Network& network);
std::string model_config(const Network& network, const InferLimits& limits);

struct ModelState {
  std::string name;
  std::shared_ptr<Network> network;  // null: not loaded yet
  std::shared_ptr<ModelMetrics> metrics;
};
std::string model_statistics(const std::vector<ModelState>& models);
// `ready_only`: those that are.
std::string repository_index(const std::vector<ModelState>& models, bool ready_only);

// A Python literal, which Ultralytics' client reads: {'stride': 32, 'names': {0: 'person', ...}, ...}
std::string python_metadata(const Network& network);

}  // namespace marrow::serve
