// From the network that was trained to the smallest equal one: the passes, in order.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

struct NamedPass {
  std::string_view name;
  GraphWithWeights (*run)(const GraphWithWeights& source, int threads);
  bool by_default = true;
};

// In the order in which they run.
std::span<const NamedPass> passes();

struct DeployOptions {
  std::vector<std::string> skip;  // names of passes to leave out
  std::vector<std::string> also;  // names of passes that do not run by default
  bool one_to_one = false;        // which branches of an end-to-end head stay: keep_one_decode()
  int threads = 0;                // for merging large layers; 0: available_threads()
};

struct PassRun {
  std::string_view name;
  double ms = 0;
  size_t nodes_before = 0, nodes_after = 0;
};

// Runs the passes and verifies the graph after each. A graph that is deployed already comes out as it is.
// `runs`, when given, gets a line a pass; the debug log gets it in any case. Throws Error{kUsage} for a name
// that no pass has, Error{kModel} where weights are missing,
// and as choose_simd_level() does.
GraphWithWeights deploy(const GraphWithWeights& source, const DeployOptions& options = {},
                        std::vector<PassRun>* runs = nullptr);

}  // namespace marrow::passes
