// Copying a file's tensors into a model, and saying what happened to each.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::weights {

struct LoadReport {
  struct Mismatch {
    std::string name;
    Shape found;   // in the file
    Shape wanted;  // in the model
  };
  std::vector<std::string> loaded;
  std::vector<Mismatch> mismatched;
  std::vector<std::string> missing;  // in the model, not in the file (optional parameters aside)
  std::vector<std::string> unused;   // in the file, not in the model

  bool complete() const { return mismatched.empty() && missing.empty(); }
  // The share of the model's parameters that the file filled, from 0 to 1, among those whose name passes
  // `counts`; optional ones that the file lacks aside. 1 when there are none.
  double loaded_share(const std::function<bool(const std::string&)>& counts) const;
};

// Copies every tensor of `source` whose name and shape a parameter of `graph` has into `weights`, as float32
// (counters as int64).
LoadReport load_weights(const Graph& graph, const Weights& source, Weights& weights);

// A table by module ("model.22", "stages.1"): counts of loaded, shape differs, missing and unused, then the
// names behind the last three (the first few of each).
std::string to_string(const LoadReport& report);

}  // namespace marrow::weights
