// All parameters of a graph in a few flat buffers, so that an optimizer and an average pass over them once.
//
// A parameter has a span of its own, in its shape's row-major order, as in checkpoints. Spans begin at
// multiples of 16 floats (64 bytes) and do not overlap; what is between them is zero and is to stay zero.
// Those that are trained come first, then the other ones: statistics, constants, scalars, frozen ones.
// Counters are apart. Spans stay where they are as long as this lives. One thread at a time, or several on
// different spans.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/graph/graph.h"

namespace marrow::train {

class FlatParameters {
 public:
  static constexpr int64_t kAlignment = 16;  // floats

  struct Entry {
    std::string name;
    Shape shape;
    ParameterRole role = ParameterRole::kWeight;
    bool trained = false;
    int64_t begin = 0;  // in the buffers, of floats
    int64_t size = 0;
    // Of a trained one: its gradient counts. Otherwise what its span holds means nothing, and whoever adds to
    // it writes instead.
    bool has_gradient = false;

    int64_t end() const { return begin + (size + kAlignment - 1) / kAlignment * kAlignment; }  // of its room
  };

  // Zeros. A trainable parameter is trained unless its name contains an entry of `frozen`. `order`: names of
  // trained parameters, whose spans come first and in this order (that in which a backward pass completes
  // them, say); the others follow in the graph's. Throws Error{kModel} when an entry of `frozen` matches no
  // parameter.
  explicit FlatParameters(const Graph& graph, const std::vector<std::string>& frozen = {},
                          std::span<const std::string> order = {});
  FlatParameters(const FlatParameters&) = delete;
  FlatParameters& operator=(const FlatParameters&) = delete;

  // Copies. Optional parameters that a set lacks are as in a fresh model. Throws Error{kModel}, with nothing
  // changed, when one that the graph wants is missing or has another shape. Drops the gradients.
  void load(const Weights& weights, const Weights& average);
  Weights weights() const;
  Weights average() const;

  const std::vector<Entry>& entries() const { return entries_; }  // counters aside; by `begin`
  size_t index_of(std::string_view name) const;                   // of entries(); throws Error{kModel}

  // Of one parameter: its weights, their average, its gradient. Throw Error{kModel} for an unknown name, a
  // counter, and gradient() for one that is not trained.
  std::span<float> value(std::string_view name);
  std::span<const float> average_value(std::string_view name) const;
  std::span<float> gradient(std::string_view name);
  std::span<const float> gradient(std::string_view name) const;
  void set_has_gradient(std::string_view name);

  // A counter of the weights; that of the average is as it was loaded.
  int64_t& counter(std::string_view name);
  float scalar(std::string_view name) const;
  void set_scalar(std::string_view name, double value);  // in the weights and in their average

  // What the gradients are yet to be multiplied by, so that clipping them costs no pass: 1 until they are
  // clipped. None may be added to in between.
  float gradient_scale() const { return gradient_scale_; }
  void set_gradient_scale(float scale) { gradient_scale_ = scale; }
  void drop_gradients();

  // The whole buffers, 64-byte aligned. The gradients' has the trained ones alone.
  std::span<float> all_weights() { return weights_.values(); }
  std::span<float> all_average() { return average_.values(); }
  std::span<float> all_gradients() { return gradients_.values(); }
  int64_t size() const { return weights_.size(); }
  int64_t trained_size() const { return gradients_.size(); }

  // The first by name that holds a NaN or an infinity; empty when there is none.
  std::string non_finite_parameter() const;
  std::string non_finite_gradient() const;

 private:
  using Counters = std::map<std::string, int64_t, std::less<>>;

  void copy_in(const Weights& from, Tensor& floats, Counters& counters);
  Weights copies(const Tensor& floats, const Counters& counters) const;

  Graph graph_;  // its parameters alone
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;  // of entries_
  Tensor weights_, average_, gradients_;
  Counters counters_, average_counters_;
  float gradient_scale_ = 1;
};

}  // namespace marrow::train
