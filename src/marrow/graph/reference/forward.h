// One run of a graph through the kernels: what the reference executor and the reference training step are
// made of.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/reference/kernels.h"
#include "marrow/graph/shapes.h"
#include "marrow/graph/training_mode.h"

namespace marrow::reference {

struct ForwardMode {
  bool batch_statistics = false;  // batch norms normalise by the batch's; running ones move
  // Where dropout and drop path draw their masks; without it they are inactive.
  std::optional<TrainingPlace> masks = {};
  std::vector<std::string> frozen = {};  // see is_frozen()
  bool keeps_values = false;             // all of them, for a backward; else each goes after its last reader
};

// The same values as T, float or double, sharing storage where they are held so.
template <class T>
Tensor converted(const Tensor& tensor) {
  if constexpr (std::is_same_v<T, float>) {
    return tensor.to_float();
  } else {
    if (tensor.dtype() == dtype_of<T>()) return tensor;
    const Tensor floats = tensor.to_float();
    Tensor result(tensor.shape(), dtype_of<T>());
    std::ranges::copy(floats.values(), result.values<T>().begin());
    return result;
  }
}

template <class T>
class Forward {
 public:
  // `graph` and `weights` must outlive it. Throws as run() does.
  Forward(const Graph& graph, const Weights& weights, const Tensor& input, ForwardMode mode)
      : graph_(graph),
        weights_(weights),
        input_(converted<T>(input)),
        mode_(std::move(mode)),
        shapes_(infer_shapes(graph, input.shape())),
        values_(graph.nodes.size()) {}

  // Once. Throws as run_reference() does.
  std::vector<Tensor> run(std::span<const Value> targets) {
    const std::vector<bool> needed = reachable(graph_, targets);
    std::vector<int> uses_left(graph_.nodes.size(), mode_.keeps_values ? 1 : 0);
    for (const Value target : targets) ++uses_left.at(static_cast<size_t>(target.id));  // never freed
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      if (needed[i])
        for (const Value in : graph_.nodes[i].inputs) ++uses_left[static_cast<size_t>(in.id)];

    for (index_ = 0; index_ < graph_.nodes.size(); ++index_) {
      if (!needed[index_]) continue;
      const Node& node = graph_.nodes[index_];
      Tensor dst(is_view(node) ? Shape{0} : shapes_[index_], dtype_of<T>());
      std::visit([&](const auto& operation) { compute(operation, node, dst); }, node.operation);
      values_[index_] = std::move(dst);
      for (const Value in : node.inputs)
        if (--uses_left[static_cast<size_t>(in.id)] == 0) values_[static_cast<size_t>(in.id)] = Tensor();
    }
    std::vector<Tensor> results;
    for (const Value target : targets) results.push_back(value(target));
    return results;
  }

  // running_mean, running_var (of T) and num_batches_tracked of every batch norm that used the batch's
  // statistics, after the run.
  Weights take_statistics() { return std::move(statistics_); }

  // The rest is for a backward.

  const Tensor& value(Value value) const { return values_[static_cast<size_t>(value.id)]; }

  // A parameter; undefined for an empty name.
  Tensor weight(const std::string& name) const {
    if (name.empty()) return {};
    const auto found = weights_.find(name);
    if (found == weights_.end()) throw Error(ErrorKind::kModel, "tensor '" + name + "' is missing");
    const Parameter* parameter = graph_.find_parameter(name);
    if (parameter == nullptr || parameter->shape != found->second.shape())
      throw Error(ErrorKind::kModel,
                  fmt::format("tensor '{}' is {}; the model wants {}", name, to_string(found->second.shape()),
                              parameter == nullptr ? "none" : to_string(parameter->shape)));
    return converted<T>(found->second);
  }

  double slope(const Activation& op) const {
    return weights_.contains(op.slope_name) ? weight(op.slope_name).template values<T>()[0] : op.slope;
  }

  // Whether a batch norm normalises by the batch's statistics.
  bool uses_batch(const BatchNorm& op) const {
    return mode_.batch_statistics && !is_frozen(op.weight, mode_.frozen);
  }
  // The mean and variance that it normalises its input by.
  std::pair<Tensor, Tensor> statistics_of(const BatchNorm& op, const Tensor& src) const {
    Tensor mean = weight(op.running_mean), var = weight(op.running_var);
    if (uses_batch(op)) {
      mean = Tensor(mean.shape(), dtype_of<T>());
      var = Tensor(var.shape(), dtype_of<T>());
      Kernels<T>::batch_statistics(src, mean, var);
    }
    return {mean, var};
  }

  // What dropout and drop path multiply by, a number an element or a sample; undefined where inactive.
  Tensor mask(const Dropout& op, size_t node) const { return drawn(op, node, shapes_[node]); }
  Tensor mask(const DropPath& op, size_t node) const { return drawn(op, node, {shapes_[node][0]}); }

 private:
  // Nodes whose output is their input's memory.
  bool is_view(const Node& node) const {
    return std::holds_alternative<Input>(node.operation) || std::holds_alternative<Flatten>(node.operation) ||
           (std::holds_alternative<DropPath>(node.operation) && !mode_.masks);
  }

  const Tensor& in(const Node& node, size_t i = 0) const { return value(node.inputs[i]); }
  std::vector<const Tensor*> all_in(const Node& node) const {
    std::vector<const Tensor*> tensors;
    for (size_t i = 0; i < node.inputs.size(); ++i) tensors.push_back(&in(node, i));
    return tensors;
  }

  template <class Drop>
  Tensor drawn(const Drop& op, size_t node, const Shape& shape) const {
    if (!mode_.masks) return {};
    Tensor mask(shape);
    draw_mask(op, *mode_.masks, node, shape[0], mask.values());
    return converted<T>(mask);
  }

  void compute(const Input&, const Node&, Tensor& dst) { dst = input_; }
  void compute(const Conv& op, const Node& node, Tensor& dst) {
    Kernels<T>::conv(in(node), weight(op.weight), weight(op.bias), op, dst);
  }
  void compute(const ConvTranspose& op, const Node& node, Tensor& dst) {
    Kernels<T>::conv_transpose(in(node), weight(op.weight), weight(op.bias), op, dst);
  }
  void compute(const Linear& op, const Node& node, Tensor& dst) {
    Kernels<T>::linear(in(node), weight(op.weight), weight(op.bias), dst);
  }
  void compute(const BatchNorm& op, const Node& node, Tensor& dst) {
    const auto [mean, var] = statistics_of(op, in(node));
    if (uses_batch(op))
      update_statistics(op, mean, var,
                        static_cast<double>(in(node).size()) / static_cast<double>(mean.size()));
    Kernels<T>::batch_norm(in(node), weight(op.weight), weight(op.bias), mean, var, op.eps, dst);
  }
  void compute(const Activation& op, const Node& node, Tensor& dst) {
    Kernels<T>::activation(in(node), op.kind, slope(op), dst);
  }
  void compute(const Add&, const Node& node, Tensor& dst) { Kernels<T>::add(in(node), in(node, 1), dst); }
  void compute(const Multiply&, const Node& node, Tensor& dst) {
    Kernels<T>::multiply(in(node), in(node, 1), dst);
  }
  void compute(const Concat&, const Node& node, Tensor& dst) { Kernels<T>::concat(all_in(node), dst); }
  void compute(const Slice& op, const Node& node, Tensor& dst) { Kernels<T>::slice(in(node), op, dst); }
  void compute(const Scale& op, const Node& node, Tensor& dst) {
    Kernels<T>::scale(in(node), weight(op.weight), dst);
  }
  void compute(const Attention& op, const Node& node, Tensor& dst) {
    Kernels<T>::attention(in(node), op, dst);
  }
  void compute(const ChannelShuffle& op, const Node& node, Tensor& dst) {
    Kernels<T>::channel_shuffle(in(node), op.groups, dst);
  }
  void compute(const MaxPool& op, const Node& node, Tensor& dst) { Kernels<T>::max_pool(in(node), op, dst); }
  void compute(const AdaptiveMaxPool& op, const Node& node, Tensor& dst) {
    Kernels<T>::adaptive_max_pool(in(node), op, dst);
  }
  void compute(const GlobalAveragePool&, const Node& node, Tensor& dst) {
    Kernels<T>::global_average_pool(in(node), dst);
  }
  void compute(const Upsample& op, const Node& node, Tensor& dst) {
    Kernels<T>::upsample(in(node), op.factor, dst);
  }
  void compute(const Flatten&, const Node& node, Tensor& dst) { dst = in(node).reshape(shapes_[index_]); }
  void compute(const Dropout& op, const Node& node, Tensor& dst) {
    if (mode_.masks) return Kernels<T>::multiply(in(node), mask(op, index_), dst);
    const double kept = op.downscale_in_inference && !mode_.batch_statistics ? 1 - op.rate : 1;
    std::ranges::transform(in(node).template values<T>(), dst.template values<T>().begin(),
                           [&](T x) { return static_cast<T>(x * kept); });
  }
  void compute(const DropPath& op, const Node& node, Tensor& dst) {
    if (mode_.masks)
      Kernels<T>::multiply(in(node), mask(op, index_), dst);
    else
      dst = in(node);
  }
  void compute(const DetectDecode& op, const Node& node, Tensor& dst) {
    Kernels<T>::detect_decode(all_in(node), weight(op.bins), op, dst);
  }

  // running = (1 - momentum) * running + momentum * batch, with the unbiased variance; of one value a channel
  // with the biased one, which is 0.
  void update_statistics(const BatchNorm& op, const Tensor& mean, const Tensor& var, double count) {
    const auto blend = [&](const std::string& name, const Tensor& batch, double factor) {
      Tensor running = weight(name).clone();
      const auto values = running.values<T>();
      for (size_t c = 0; c < values.size(); ++c)
        values[c] = static_cast<T>((1 - op.momentum) * values[c] +
                                   op.momentum * factor * batch.template values<T>()[c]);
      statistics_[name] = running;
    };
    blend(op.running_mean, mean, 1);
    blend(op.running_var, var, count > 1 ? count / (count - 1) : 1);
    Tensor tracked(Shape{}, DType::kInt64);
    const auto before = weights_.find(op.num_batches_tracked);
    if (before != weights_.end() && before->second.dtype() == DType::kInt64) tracked = before->second.clone();
    ++tracked.values<int64_t>()[0];
    statistics_[op.num_batches_tracked] = tracked;
  }

  const Graph& graph_;
  const Weights& weights_;
  Tensor input_;
  ForwardMode mode_;
  std::vector<Shape> shapes_;
  std::vector<Tensor> values_;
  size_t index_ = 0;  // of the node at work
  Weights statistics_;
};

}  // namespace marrow::reference
