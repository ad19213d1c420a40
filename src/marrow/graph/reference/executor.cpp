#include "marrow/graph/reference/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/graph/reference/kernels.h"
#include "marrow/graph/shapes.h"

namespace marrow::reference {
namespace {

class Executor {
 public:
  Executor(const Graph& graph, const Weights& weights, const Tensor& input, bool use_batch_statistics)
      : graph_(graph),
        weights_(weights),
        input_(input.to_float()),
        use_batch_statistics_(use_batch_statistics),
        shapes_(infer_shapes(graph, input.shape())),
        values_(graph.nodes.size()) {}

  std::vector<Tensor> run(std::span<const Value> targets) {
    const std::vector<bool> needed = reachable(graph_, targets);
    std::vector<int> uses_left(graph_.nodes.size(), 0);
    for (const Value target : targets) ++uses_left.at(static_cast<size_t>(target.id));  // never freed
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      if (needed[i])
        for (const Value in : graph_.nodes[i].inputs) ++uses_left[static_cast<size_t>(in.id)];

    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!needed[i]) continue;
      const Node& node = graph_.nodes[i];
      Tensor dst(is_view(node) ? Shape{0} : shapes_[i]);
      std::visit([&](const auto& operation) { compute(operation, node, dst); }, node.operation);
      values_[i] = std::move(dst);
      for (const Value in : node.inputs)
        if (--uses_left[static_cast<size_t>(in.id)] == 0) values_[static_cast<size_t>(in.id)] = Tensor();
    }
    std::vector<Tensor> results;
    for (const Value target : targets) results.push_back(values_[static_cast<size_t>(target.id)]);
    return results;
  }

  Weights take_statistics() { return std::move(statistics_); }

 private:
  // Nodes whose output is their input's memory.
  static bool is_view(const Node& node) {
    return std::holds_alternative<Input>(node.operation) || std::holds_alternative<Flatten>(node.operation) ||
           std::holds_alternative<DropPath>(node.operation);
  }

  const Tensor& in(const Node& node, size_t i = 0) const {
    return values_[static_cast<size_t>(node.inputs[i].id)];
  }

  std::vector<const Tensor*> all_in(const Node& node) const {
    std::vector<const Tensor*> tensors;
    for (size_t i = 0; i < node.inputs.size(); ++i) tensors.push_back(&in(node, i));
    return tensors;
  }

  // Undefined for an empty name.
  Tensor weight(const std::string& name) const {
    if (name.empty()) return {};
    const auto found = weights_.find(name);
    if (found == weights_.end()) throw Error(ErrorKind::kModel, "tensor '" + name + "' is missing");
    const Parameter* parameter = graph_.find_parameter(name);
    if (parameter == nullptr || parameter->shape != found->second.shape())
      throw Error(ErrorKind::kModel,
                  fmt::format("tensor '{}' is {}; the model wants {}", name, to_string(found->second.shape()),
                              parameter == nullptr ? "none" : to_string(parameter->shape)));
    return found->second.to_float();
  }

  void compute(const Input&, const Node&, Tensor& dst) { dst = input_; }
  void compute(const Conv& op, const Node& node, Tensor& dst) {
    reference::conv(in(node), weight(op.weight), weight(op.bias), op, dst);
  }
  void compute(const ConvTranspose& op, const Node& node, Tensor& dst) {
    reference::conv_transpose(in(node), weight(op.weight), weight(op.bias), op, dst);
  }
  void compute(const Linear& op, const Node& node, Tensor& dst) {
    reference::linear(in(node), weight(op.weight), weight(op.bias), dst);
  }
  void compute(const BatchNorm& op, const Node& node, Tensor& dst) {
    Tensor mean = weight(op.running_mean), var = weight(op.running_var);
    if (use_batch_statistics_) {
      mean = Tensor(mean.shape());
      var = Tensor(var.shape());
      reference::batch_statistics(in(node), mean, var);
      update_statistics(op, mean, var,
                        static_cast<double>(in(node).size()) / static_cast<double>(mean.size()));
    }
    reference::batch_norm(in(node), weight(op.weight), weight(op.bias), mean, var, op.eps, dst);
  }
  void compute(const Activation& op, const Node& node, Tensor& dst) {
    double slope = op.slope;
    if (weights_.contains(op.slope_name)) slope = weight(op.slope_name).values()[0];
    std::ranges::transform(in(node).values(), dst.values().begin(),
                           [&](float x) { return reference::activate(op.kind, slope, x); });
  }
  void compute(const Add&, const Node& node, Tensor& dst) {
    std::ranges::transform(in(node).values(), in(node, 1).values(), dst.values().begin(), std::plus<>());
  }
  void compute(const Multiply&, const Node& node, Tensor& dst) {
    reference::multiply(in(node), in(node, 1), dst);
  }
  void compute(const Concat&, const Node& node, Tensor& dst) { reference::concat(all_in(node), dst); }
  void compute(const Slice& op, const Node& node, Tensor& dst) { reference::slice(in(node), op, dst); }
  void compute(const Scale& op, const Node& node, Tensor& dst) {
    reference::scale(in(node), weight(op.weight), dst);
  }
  void compute(const Attention& op, const Node& node, Tensor& dst) {
    reference::attention(in(node), op, dst);
  }
  void compute(const ChannelShuffle& op, const Node& node, Tensor& dst) {
    reference::channel_shuffle(in(node), op.groups, dst);
  }
  void compute(const MaxPool& op, const Node& node, Tensor& dst) { reference::max_pool(in(node), op, dst); }
  void compute(const AdaptiveMaxPool&, const Node& node, Tensor& dst) {
    reference::adaptive_max_pool(in(node), dst);
  }
  void compute(const GlobalAveragePool&, const Node& node, Tensor& dst) {
    reference::global_average_pool(in(node), dst);
  }
  void compute(const Upsample& op, const Node& node, Tensor& dst) {
    reference::upsample(in(node), op.factor, dst);
  }
  void compute(const Flatten&, const Node& node, Tensor& dst) {
    dst = in(node).reshape(shapes_[static_cast<size_t>(&node - graph_.nodes.data())]);
  }
  void compute(const Dropout& op, const Node& node, Tensor& dst) {
    const double kept = op.downscale_in_inference && !use_batch_statistics_ ? 1 - op.rate : 1;
    std::ranges::transform(in(node).values(), dst.values().begin(),
                           [&](float x) { return static_cast<float>(x * kept); });
  }
  void compute(const DropPath&, const Node& node, Tensor& dst) { dst = in(node); }
  void compute(const DetectDecode& op, const Node& node, Tensor& dst) {
    reference::detect_decode(all_in(node), weight(op.bins), op, dst);
  }

  // running = (1 - momentum) * running + momentum * batch, with the unbiased variance.
  void update_statistics(const BatchNorm& op, const Tensor& mean, const Tensor& var, double count) {
    const auto blend = [&](const std::string& name, const Tensor& batch, double factor) {
      Tensor running = weight(name).clone();
      for (size_t c = 0; c < running.values().size(); ++c)
        running.values()[c] = static_cast<float>((1 - op.momentum) * running.values()[c] +
                                                 op.momentum * factor * batch.values()[c]);
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
  bool use_batch_statistics_;
  std::vector<Shape> shapes_;
  std::vector<Tensor> values_;
  Weights statistics_;
};

}  // namespace

std::vector<Tensor> run_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                                  std::span<const Value> targets) {
  return Executor(graph, weights, input, false).run(targets);
}

Tensor run_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                     std::string_view target) {
  const Value value = graph.find(target);
  return run_reference(graph, weights, input, std::span(&value, 1)).front();
}

Weights measure_batch_statistics(const Graph& graph, const Weights& weights, const Tensor& input) {
  Graph forgetful = graph;
  for (Node& node : forgetful.nodes)
    if (auto* norm = std::get_if<BatchNorm>(&node.operation)) norm->momentum = 1;
  std::vector<Value> targets;
  for (const NamedValue& output : graph.outputs) targets.push_back(output.value);
  Weights measured = weights;
  for (auto& [name, tensor] :
       run_reference_with_batch_statistics(forgetful, weights, input, targets).statistics)
    measured[name] = tensor;
  for (const Node& node : graph.nodes)
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) {
      const auto variances = measured.at(norm->running_var).values();
      const double mean =
          std::accumulate(variances.begin(), variances.end(), 0.0) / static_cast<double>(variances.size());
      for (float& variance : variances) variance = static_cast<float>((variance + mean) / 2);
    }
  return measured;
}

BatchStatisticsResult run_reference_with_batch_statistics(const Graph& graph, const Weights& weights,
                                                          const Tensor& input,
                                                          std::span<const Value> targets) {
  Executor executor(graph, weights, input, true);
  BatchStatisticsResult result;
  result.values = executor.run(targets);
  result.statistics = executor.take_statistics();
  return result;
}

}  // namespace marrow::reference
