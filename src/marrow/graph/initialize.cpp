#include <algorithm>
#include <cmath>

#include "marrow/base/random.h"
#include "marrow/graph/graph.h"

namespace marrow {
namespace {

double draw(const Init& init, Random& random, size_t index) {
  switch (init.kind) {
    case Init::Kind::kConstant:
      return init.value;
    case Init::Kind::kUniform:
      return random.uniform(-init.value, init.value);
    case Init::Kind::kNormal:
      return init.value * random.normal();
    case Init::Kind::kTruncatedNormal:
      for (;;) {
        const double x = init.value * random.normal();
        if (std::abs(x) <= 2) return x;
      }
    case Init::Kind::kArange:
      return static_cast<double>(index);
    case Init::Kind::kCorners: {
      constexpr size_t kOrder[] = {0, 2, 1, 3};
      return index % 4 == kOrder[index / 4 % 4] ? 1 : 0;
    }
  }
  return 0;
}

Tensor draw(const Parameter& parameter, uint64_t seed) {
  Tensor tensor(parameter.shape, parameter.dtype());
  if (parameter.role == ParameterRole::kCounter) return tensor;
  Random random(seed, parameter.name);
  const auto values = tensor.values();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(draw(parameter.init, random, i));
  return tensor;
}

}  // namespace

Weights initialize(const Graph& graph, uint64_t seed) {
  Weights weights;
  initialize_missing(graph, seed, weights);
  return weights;
}

void initialize_missing(const Graph& graph, uint64_t seed, Weights& weights) {
  for (const Parameter& parameter : graph.parameters)
    if (!weights.contains(parameter.name)) weights.emplace(parameter.name, draw(parameter, seed));
}

Weights randomize(const Graph& graph, uint64_t seed) {
  Weights weights = initialize(graph, seed);
  for (const Parameter& parameter : graph.parameters) {
    Random random(seed + 1, parameter.name);
    const auto fill = [&](auto draw_one) {
      std::ranges::generate(weights.at(parameter.name).values(), draw_one);
    };
    switch (parameter.role) {
      case ParameterRole::kNormWeight:
        fill([&] { return static_cast<float>(random.uniform(0.6, 1.4)); });
        break;
      case ParameterRole::kRunningVar:
        fill([&] { return static_cast<float>(random.uniform(0.2, 1.5)); });
        break;
      case ParameterRole::kBias:
      case ParameterRole::kNormBias:
      case ParameterRole::kRunningMean:
        fill([&] { return static_cast<float>(random.uniform(-0.3, 0.3)); });
        break;
      case ParameterRole::kWeight: {
        // Variance 2 / fan-in keeps activations near 1 through any depth; the small published inits would let
        // them die away.
        const double fan_in =
            static_cast<double>(element_count(parameter.shape)) / static_cast<double>(parameter.shape[0]);
        fill([&] { return static_cast<float>(random.normal() * std::sqrt(2.0 / fan_in)); });
        break;
      }
      case ParameterRole::kCounter:
      case ParameterRole::kConstant:
      case ParameterRole::kFixed:
      case ParameterRole::kScalar:
        break;
    }
  }
  return weights;
}

}  // namespace marrow
