// A graph with every kind of parameter, and gradients that differ from step to step.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/graph/builder.h"
#include "marrow/train/step/flat_parameters.h"

namespace marrow::testing {

// conv, bn and slope; bins, which are constant; the fixed weights of a padding; a second convolution, wide
// enough for several chunks; fc.
inline Graph graph_with_all_roles() {
  GraphBuilder g;
  const Value image = g.input(3);
  Value x = g.batch_norm(g.conv(image, "conv", {.out = 5, .kernel = 3, .bias = true}), "bn");
  g.constant("bins", {1, 16, 1, 1}, Init::arange());
  x = g.leaky_relu(x, g.scalar("slope", 0.5));
  {
    const auto scope = g.scope("edge");
    x = g.zero_pad(x, 0, 1);
  }
  x = g.conv(x, "wide", {.out = 60, .kernel = 11});
  g.output("output0", g.linear(g.flatten(g.global_average_pool(x)), "fc", 7));
  return std::move(g).build();
}

// Of full rank, as matrices: MuSGD multiplies what little there is of a singular vector.
inline std::vector<float> gradient_of(const std::string& name, size_t size, int step) {
  Random random(static_cast<uint64_t>(step), name);
  std::vector<float> gradient(size);
  for (float& value : gradient) value = static_cast<float>(random.uniform(-1, 1));
  return gradient;
}

inline void set_gradients(train::FlatParameters& parameters, int step) {
  for (const train::FlatParameters::Entry& entry : parameters.entries()) {
    if (!entry.trained) continue;
    const std::vector<float> gradient = gradient_of(entry.name, static_cast<size_t>(entry.size), step);
    std::ranges::copy(gradient, parameters.gradient(entry.name).begin());
    parameters.set_has_gradient(entry.name);
  }
}

}  // namespace marrow::testing
