#include "marrow/quantize/calibrate.h"

#include <fmt/format.h>

#include <map>

#include "marrow/engine/engine.h"
#include "marrow/quantize/quantizable.h"

namespace marrow::quantize {

Graph calibrate(const passes::GraphWithWeights& model, std::span<const Tensor> inputs, RangeRule rule,
                int threads) {
  const std::vector<int> groups = scale_groups(model.graph, quantizable_layers(model.graph));
  // What is computed is looked at; what only moves shows the same numbers again.
  Graph seen = model.graph;
  seen.taps.clear();
  std::vector<std::string> names;
  std::vector<int> group_of_name;
  for (size_t i = 0; i < seen.nodes.size(); ++i) {
    if (groups[i] < 0 || moves_numbers(seen.nodes[i].operation) ||
        std::holds_alternative<Input>(seen.nodes[i].operation))
      continue;
    names.push_back(fmt::format("value {}", i));
    group_of_name.push_back(groups[i]);
    seen.taps.push_back({names.back(), {static_cast<int>(i)}});
  }

  std::map<int, Histogram> histograms;
  if (!names.empty()) {
    engine::Engine engine(seen, model.weights, inputs.front().shape(), names,
                          {.threads = threads, .deploy = false});
    for (const auto add : {&Histogram::widen, &Histogram::count})
      for (const Tensor& input : inputs) {
        engine.run(input);
        for (size_t i = 0; i < names.size(); ++i)
          (histograms[group_of_name[i]].*add)(engine.output(i).values());
      }
  }
  Graph calibrated = model.graph;
  std::map<int, ByteScale> scales;
  for (const auto& [group, histogram] : histograms) scales[group] = histogram.scale(rule);
  for (size_t i = 0; i < groups.size(); ++i)
    if (const auto found = scales.find(groups[i]); found != scales.end())
      calibrated.nodes[i].byte_scale = found->second;
  return calibrated;
}

}  // namespace marrow::quantize
