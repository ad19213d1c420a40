#include "marrow/graph/reference/training.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/graph/reference/forward.h"
#include "marrow/graph/reference/gradients.h"

namespace marrow::reference {
namespace {

// One walk back over a graph that has run forward.
template <class T>
class Backward {
 public:
  Backward(const Graph& graph, const Forward<T>& forward, const std::vector<std::string>& frozen)
      : graph_(graph), forward_(forward), frozen_(frozen), gradients_(graph.nodes.size()) {}

  TrainingGradients run(std::span<const Value> targets, std::span<const Tensor> of_targets) {
    if (of_targets.size() != targets.size())
      throw Error(ErrorKind::kShape,
                  fmt::format("{} gradients of {} targets", of_targets.size(), targets.size()));
    for (size_t i = 0; i < targets.size(); ++i) {
      if (!of_targets[i].defined()) continue;
      const Shape& wanted = forward_.value(targets[i]).shape();
      if (of_targets[i].shape() != wanted)
        throw Error(ErrorKind::kShape, fmt::format("target {} is {}, its gradient {}", i, to_string(wanted),
                                                   to_string(of_targets[i].shape())));
      give(targets[i], converted<T>(of_targets[i]));
    }
    for (index_ = graph_.nodes.size(); index_-- > 0;) {
      // Each goes once it has been read.
      const Tensor dy = std::exchange(gradients_[index_], Tensor());
      if (!dy.defined()) continue;
      const Node& node = graph_.nodes[index_];
      std::visit([&](const auto& operation) { pull(operation, node, dy); }, node.operation);
    }
    return std::move(result_);
  }

 private:
  static Tensor zeros_like(const Tensor& tensor) { return Tensor(tensor.shape(), dtype_of<T>()); }

  static void add_to(Tensor& sum, const Tensor& term) {
    if (!sum.defined()) {
      sum = term;
      return;
    }
    Tensor both = zeros_like(sum);  // the terms may be the memory of other gradients
    Kernels<T>::add(sum, term, both);
    sum = both;
  }
  // Of several readers' gradients each is added.
  void give(Value value, const Tensor& gradient) {
    add_to(gradients_[static_cast<size_t>(value.id)], gradient);
  }
  void give(const std::string& parameter, const Tensor& gradient) {
    const Parameter* known = graph_.find_parameter(parameter);
    if (known != nullptr && known->trainable() && !is_frozen(parameter, frozen_))
      add_to(result_.parameters[parameter], gradient);
  }

  const Tensor& in(const Node& node, size_t i = 0) const { return forward_.value(node.inputs[i]); }

  // For operations whose gradient is one function of one input: calls compute(dx).
  template <class Compute>
  void pull_one(const Node& node, const Compute& compute) {
    Tensor dx = zeros_like(in(node));
    compute(dx);
    give(node.inputs[0], dx);
  }
  // For those with a weight and a bias that may have no name: calls compute(x, weight, dx, dweight, dbias).
  template <class Compute>
  void pull_layer(const Node& node, const std::string& weight, const std::string& bias,
                  const Compute& compute) {
    const Tensor w = forward_.weight(weight);
    Tensor dx = zeros_like(in(node)), dw = zeros_like(w), db;
    if (!bias.empty()) db = zeros_like(forward_.weight(bias));
    compute(in(node), w, dx, dw, db);
    give(node.inputs[0], dx);
    give(weight, dw);
    if (!bias.empty()) give(bias, db);
  }

  void pull(const Input&, const Node&, const Tensor& dy) { add_to(result_.input, dy); }
  void pull(const Conv& op, const Node& node, const Tensor& dy) {
    pull_layer(node, op.weight, op.bias, [&](const Tensor& x, const Tensor& w, auto&... gradients) {
      Gradients<T>::conv(x, w, op, dy, gradients...);
    });
  }
  void pull(const ConvTranspose& op, const Node& node, const Tensor& dy) {
    pull_layer(node, op.weight, op.bias, [&](const Tensor& x, const Tensor& w, auto&... gradients) {
      Gradients<T>::conv_transpose(x, w, op, dy, gradients...);
    });
  }
  void pull(const Linear& op, const Node& node, const Tensor& dy) {
    pull_layer(node, op.weight, op.bias, [&](const Tensor& x, const Tensor& w, auto&... gradients) {
      Gradients<T>::linear(x, w, dy, gradients...);
    });
  }
  void pull(const BatchNorm& op, const Node& node, const Tensor& dy) {
    const auto [mean, var] = forward_.statistics_of(op, in(node));
    pull_layer(node, op.weight, op.bias,
               [&, mean = mean, var = var](const Tensor& x, const Tensor& w, auto&... gradients) {
                 Gradients<T>::batch_norm(x, w, mean, var, forward_.uses_batch(op), op.eps, dy, gradients...);
               });
  }
  void pull(const Activation& op, const Node& node, const Tensor& dy) {
    pull_one(node,
             [&](Tensor& dx) { Gradients<T>::activation(in(node), op.kind, forward_.slope(op), dy, dx); });
  }
  void pull(const Add&, const Node& node, const Tensor& dy) {
    give(node.inputs[0], dy);
    give(node.inputs[1], dy);
  }
  void pull(const Multiply&, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& da) { Kernels<T>::multiply(dy, in(node, 1), da); });
    Tensor db = zeros_like(in(node, 1));
    Gradients<T>::multiply(in(node), dy, db);
    give(node.inputs[1], db);
  }
  void pull(const Concat&, const Node& node, const Tensor& dy) {
    int begin = 0;
    for (const Value input : node.inputs) {
      Tensor part = zeros_like(forward_.value(input));
      const int end = begin + static_cast<int>(part.dim(1));
      Kernels<T>::slice(dy, Slice{.begin = begin, .end = end}, part);
      give(input, part);
      begin = end;
    }
  }
  void pull(const Slice& op, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Gradients<T>::slice(op, dy, dx); });
  }
  void pull(const ChannelShuffle& op, const Node& node, const Tensor& dy) {
    // The shuffle of as many groups as a group has channels undoes it.
    pull_one(node, [&](Tensor& dx) {
      Kernels<T>::channel_shuffle(dy, static_cast<int>(dy.dim(1)) / op.groups, dx);
    });
  }
  void pull(const MaxPool& op, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Gradients<T>::max_pool(in(node), op, dy, dx); });
  }
  void pull(const AdaptiveMaxPool& op, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Gradients<T>::adaptive_max_pool(in(node), op, dy, dx); });
  }
  void pull(const GlobalAveragePool&, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Gradients<T>::global_average_pool(dy, dx); });
  }
  void pull(const Upsample& op, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Gradients<T>::upsample(op.factor, dy, dx); });
  }
  void pull(const Flatten&, const Node& node, const Tensor& dy) {
    give(node.inputs[0], dy.reshape(in(node).shape()));
  }
  void pull(const Dropout& op, const Node& node, const Tensor& dy) { pull_masked(op, node, dy); }
  void pull(const DropPath& op, const Node& node, const Tensor& dy) { pull_masked(op, node, dy); }
  template <class Drop>
  void pull_masked(const Drop& op, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Kernels<T>::multiply(dy, forward_.mask(op, index_), dx); });
  }
  void pull(const Scale& op, const Node& node, const Tensor& dy) {
    const Tensor weight = forward_.weight(op.weight);
    pull_one(node, [&](Tensor& dx) { Kernels<T>::scale(dy, weight, dx); });
    Tensor dweight = zeros_like(weight);
    Gradients<T>::scale(in(node), dy, dweight);
    give(op.weight, dweight);
  }
  void pull(const Attention& op, const Node& node, const Tensor& dy) {
    pull_one(node, [&](Tensor& dx) { Gradients<T>::attention(in(node), op, dy, dx); });
  }
  void pull(const DetectDecode& op, const Node& node, const Tensor&) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{} ({}): the reference has no gradient of it; a loss reads the raw maps",
                            operation_name(op), node.name),
                {.node = node.name});
  }

  const Graph& graph_;
  const Forward<T>& forward_;
  const std::vector<std::string>& frozen_;
  std::vector<Tensor> gradients_;  // of the nodes' values
  size_t index_ = 0;               // of the node at work
  TrainingGradients result_;
};

}  // namespace

template <class T>
TrainingStep run_training_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                                    std::span<const Value> targets, const TrainingOptions& options) {
  const auto forward = std::make_shared<Forward<T>>(
      graph, weights, input,
      ForwardMode{
          .batch_statistics = true, .masks = options.place, .frozen = options.frozen, .keeps_values = true});
  TrainingStep step;
  step.values = forward->run(targets);
  step.statistics = forward->take_statistics();
  step.backward =
      [&graph, forward, frozen = options.frozen, shape = input.shape(),
       wanted = std::vector<Value>(targets.begin(), targets.end())](std::span<const Tensor> gradients) {
        TrainingGradients found = Backward<T>(graph, *forward, frozen).run(wanted, gradients);
        if (!found.input.defined()) found.input = Tensor(shape, dtype_of<T>());
        return found;
      };
  return step;
}

template TrainingStep run_training_reference<float>(const Graph&, const Weights&, const Tensor&,
                                                    std::span<const Value>, const TrainingOptions&);
template TrainingStep run_training_reference<double>(const Graph&, const Weights&, const Tensor&,
                                                     std::span<const Value>, const TrainingOptions&);

}  // namespace marrow::reference
