#include "marrow/graph/passes/deploy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/base/talk.h"
#include "marrow/base/tensor_slab.h"
#include "marrow/base/text.h"
#include "marrow/graph/passes/fold_batch_norm.h"
#include "marrow/graph/passes/merge_linear.h"
#include "marrow/graph/passes/merge_siblings.h"
#include "marrow/graph/passes/merge_sums.h"
#include "marrow/graph/passes/remove_identities.h"
#include "marrow/graph/passes/strip_training.h"

namespace marrow::passes {
namespace {

// Passes that compute too little for threads.
template <GraphWithWeights (*pass)(const GraphWithWeights&)>
GraphWithWeights alone(const GraphWithWeights& source, int) {
  return pass(source);
}

// Each finds everything that those before it made possible, so one round is enough: identities stand between
// the convolutions of a pair, batch norms too.
constexpr std::array kPasses = {
    NamedPass{"strip_training", alone<strip_training>},
    NamedPass{"remove_identities", alone<remove_identities>},
    NamedPass{"fold_batch_norm", alone<fold_batch_norm>},
    NamedPass{"merge_sums", alone<merge_sums>},
    NamedPass{"merge_linear", merge_linear},
    // Its slices keep the engine from joining what follows each convolution to it.
    NamedPass{"merge_siblings", alone<merge_siblings>, false},
};

void check_names(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const NamedPass& pass : kPasses) known.emplace_back(pass.name);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) == known.end())
      throw Error(ErrorKind::kUsage, unknown_name_message("pass", name, known));
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::span<const NamedPass> passes() {
  return kPasses;
}

GraphWithWeights deploy(const GraphWithWeights& source, const DeployOptions& options,
                        std::vector<PassRun>* runs) {
  check_names(options.skip);
  check_names(options.also);
  verify(source.graph, source.weights);
  const TensorSlab new_weights;
  GraphWithWeights model = keep_one_decode(source, options.one_to_one);
  for (const NamedPass& pass : kPasses) {
    if (contains(options.skip, pass.name) || !(pass.by_default || contains(options.also, pass.name)))
      continue;
    const Stopwatch clock;
    GraphWithWeights next = pass.run(model, options.threads);
    verify(next.graph, next.weights);
    const PassRun run = {pass.name, clock.milliseconds(), model.graph.nodes.size(), next.graph.nodes.size()};
    debug(fmt::format("{}: {} operations became {} in {:.1f} ms", run.name, run.nodes_before, run.nodes_after,
                      run.ms));
    if (runs != nullptr) runs->push_back(run);
    model = std::move(next);
  }
  return model;
}

}  // namespace marrow::passes
