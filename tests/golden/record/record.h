// What the recorders of the golden set share: draws that are the same on every machine, and writers.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/weights.h"

namespace marrow::golden {

namespace fs = std::filesystem;
using nlohmann::json;

// Whole kinds of cases; each writes its folder below `root`.
void record_backbones(const fs::path& root);   // backbones/NAME
void record_blocks(const fs::path& root);      // backbones/grads
void record_forward(const fs::path& root);     // yolov8/forward
void record_letterbox(const fs::path& root);   // yolov8/letterbox
void record_nms(const fs::path& root);         // yolov8/nms
void record_augment(const fs::path& root);     // yolov8/augment
void record_loss(const fs::path& root);        // yolov8/loss
void record_metrics(const fs::path& root);     // yolov8/metrics
void record_schedule(const fs::path& root);    // yolov8/e2e/lr_schedule.json
void record_val_loader(const fs::path& root);  // yolov8/e2e/val_loader.json and its dataset

// Uniform draws only: they are integers scaled by a power of two, so no machine's libm can differ.
class Draws : public Random {
 public:
  explicit Draws(const std::string& name) : Random(1, name) {}
  // Mean 0, variance 1, near to a normal distribution: the sum of four uniform draws.
  double bell() { return (uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508075688772; }
  int between(int low, int high) {
    return low + static_cast<int>(below(static_cast<uint64_t>(high - low + 1)));
  }
};

Tensor noise(const Shape& shape, const std::string& name);
// Weights that keep activations near 1, batch norms away from the identity. Running statistics are 0 and 1.
Weights random_weights(const Graph& graph, const std::string& name);

template <class T, class From>
Tensor tensor_of(const Shape& shape, const std::vector<From>& values) {
  Tensor tensor(shape, dtype_of<T>());
  for (size_t i = 0; i < values.size(); ++i) tensor.values<T>()[i] = static_cast<T>(values[i]);
  return tensor;
}
Tensor bools(const Shape& shape, const std::vector<bool>& values);

// Both make the folder.
void write_json(const fs::path& path, const json& content);
void write_tensors(const fs::path& path, const Weights& tensors,
                   const std::map<std::string, std::string>& metadata = {});

}  // namespace marrow::golden
