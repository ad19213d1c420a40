// Tensors in double, for gradients.
#pragma once

#include <algorithm>
#include <vector>

#include "support/graphs.h"

namespace marrow::testing {

// Of float32.
inline Tensor to_double(const Tensor& floats) {
  Tensor doubles(floats.shape(), DType::kFloat64);
  std::ranges::copy(floats.values(), doubles.values<double>().begin());
  return doubles;
}

// A step keeps what it reads until its last backward.
inline const Weights kNoWeights;

inline Tensor double_noise(const Shape& shape, uint64_t seed) {
  return to_double(noise(shape, seed));
}

// Every float of `weights` as a double of its own.
inline Weights double_weights(const Weights& weights) {
  Weights doubles;
  for (const auto& [name, tensor] : weights)
    doubles[name] = tensor.dtype() == DType::kFloat32 ? to_double(tensor) : tensor;
  return doubles;
}

inline std::vector<Value> output_values(const Graph& graph) {
  std::vector<Value> targets;
  for (const NamedValue& output : graph.outputs) targets.push_back(output.value);
  return targets;
}

// Random gradients for the targets of a step.
inline std::vector<Tensor> random_gradients(const std::vector<Tensor>& values) {
  std::vector<Tensor> gradients;
  for (const Tensor& value : values) gradients.push_back(double_noise(value.shape(), 23 + gradients.size()));
  return gradients;
}

inline double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += a.values<double>()[i] * b.values<double>()[i];
  return sum;
}

}  // namespace marrow::testing
