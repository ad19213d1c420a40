#include "marrow/predict/compiled_network.h"

#include <algorithm>
#include <cassert>

#include "marrow/graph/passes/deploy.h"

namespace marrow::predict {
namespace {

passes::GraphWithWeights prepared(const passes::GraphWithWeights& network,
                                  const std::vector<std::string>& outputs,
                                  const engine::EngineOptions& options) {
  verify(network.graph, network.weights);
  const passes::GraphWithWeights selected = passes::select_outputs(network, outputs);
  return options.deploy ? passes::deploy(selected, {.threads = options.threads}) : selected;
}

}  // namespace

const Tensor& CompiledNetwork::Compiled::run() {
  engine.run(input);
  return engine.output(0);
}

CompiledNetwork::CompiledNetwork(const passes::GraphWithWeights& network,
                                 const std::vector<std::string>& outputs,
                                 const engine::EngineOptions& options, size_t kept)
    : network_(prepared(network, outputs, options)), options_(options), kept_(kept) {
  assert(kept_ > 0);
  options_.deploy = false;
}

CompiledNetwork::Compiled& CompiledNetwork::at(const Shape& input) {
  const auto found = std::ranges::find_if(
      compiled_, [&](const Compiled& compiled) { return compiled.input.shape() == input; });
  if (found != compiled_.end()) {
    compiled_.splice(compiled_.begin(), compiled_, found);
    return compiled_.front();
  }
  if (compiled_.size() == kept_) compiled_.pop_back();
  compiled_.push_front(
      {Tensor(input), engine::Engine(network_.graph, network_.weights, input, {}, options_)});
  return compiled_.front();
}

}  // namespace marrow::predict
