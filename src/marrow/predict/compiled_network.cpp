#include "marrow/predict/compiled_network.h"

#include <algorithm>
#include <cassert>

#include "marrow/cpu/thread_pool.h"
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

CompiledNetwork::Compiled& CompiledNetwork::at(const Shape& input, size_t side_by_side) {
  const auto found = std::ranges::find_if(compiled_, [&](const Compiled& compiled) {
    return compiled.input.shape() == input && 1 + compiled.others.size() == side_by_side;
  });
  if (found != compiled_.end()) {
    compiled_.splice(compiled_.begin(), compiled_, found);
    return compiled_.front();
  }
  if (compiled_.size() == kept_) compiled_.pop_back();
  engine::EngineOptions options = options_;
  if (side_by_side > 1) {
    const int threads = cpu::thread_count(options.threads);
    options.threads = std::max(1, threads / static_cast<int>(side_by_side));
  }
  Compiled compiled = {Tensor(input), engine::Engine(network_.graph, network_.weights, input, {}, options)};
  for (size_t i = 1; i < side_by_side; ++i)
    compiled.others.push_back({Tensor(input), compiled.engine.share(options.threads)});
  compiled_.push_front(std::move(compiled));
  return compiled_.front();
}

}  // namespace marrow::predict
