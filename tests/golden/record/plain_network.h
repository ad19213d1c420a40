// A graph computed in double by the formulas of graph/operation.h, in training mode too. It shares no code
// with the executors, and T may be Dual: then it gives derivatives.
#pragma once

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "dual.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/weights.h"

namespace marrow::golden {

template <class T>
struct Map {
  int64_t n = 0, c = 0, h = 1, w = 1;
  std::vector<T> values;

  Map() = default;
  Map(int64_t n, int64_t c, int64_t h, int64_t w)
      : n(n), c(c), h(h), w(w), values(static_cast<size_t>(n * c * h * w)) {}
  explicit Map(const Tensor& tensor) {
    const Shape& shape = tensor.shape();
    n = shape.empty() ? 1 : shape[0];
    c = shape.size() > 1 ? shape[1] : 1;
    h = shape.size() > 2 ? shape[2] : 1;
    w = shape.size() > 3 ? shape[3] : 1;
    const Tensor numbers = tensor.to_float();
    for (const float value : numbers.values()) values.emplace_back(static_cast<double>(value));
  }
  T& at(int64_t i, int64_t k, int64_t y, int64_t x) {
    return values[static_cast<size_t>(((i * c + k) * h + y) * w + x)];
  }
  const T& at(int64_t i, int64_t k, int64_t y, int64_t x) const {
    return const_cast<Map*>(this)->at(i, k, y, x);
  }
};

template <class T>
using Maps = std::map<std::string, Map<T>>;

template <class T>
T sigmoid(const T& x) {
  using std::exp;
  return T(1) / (T(1) + exp(T(0) - x));
}

template <class T>
T clamp(const T& x, double low, double high) {
  return x < T(low) ? T(low) : x > T(high) ? T(high) : x;
}

// "Before" of one axis and the number of outputs.
struct Axis {
  int64_t before, out;
};
inline Axis axis_of(const Padding& padding, int64_t size, int64_t kernel, int64_t stride) {
  if (!padding.same) return {padding.before, (size + padding.before + padding.after - kernel) / stride + 1};
  const int64_t out = (size + stride - 1) / stride;
  return {std::max<int64_t>(0, (out - 1) * stride + kernel - size) / 2, out};
}

template <class T>
class PlainNetwork {
 public:
  PlainNetwork(const Graph& graph, Maps<T> parameters, bool training)
      : graph_(graph), parameters_(std::move(parameters)), training_(training) {}

  Map<T> run(const Map<T>& input, Value target) {
    std::vector<Map<T>> values;
    for (const Node& node : graph_.nodes) {
      std::vector<const Map<T>*> inputs;
      for (const Value value : node.inputs) inputs.push_back(&values.at(static_cast<size_t>(value.id)));
      values.push_back(std::holds_alternative<Input>(node.operation) ? input
                                                                     : compute(node.operation, inputs));
      if (values.size() == static_cast<size_t>(target.id) + 1) break;
    }
    return values.at(static_cast<size_t>(target.id));
  }
  // In training the running statistics move.
  const Maps<T>& parameters() const { return parameters_; }

 private:
  using Inputs = std::vector<const Map<T>*>;

  Map<T> compute(const Operation& operation, const Inputs& in) {
    if (const auto* op = std::get_if<Conv>(&operation)) return conv(*in[0], *op);
    if (const auto* op = std::get_if<BatchNorm>(&operation)) return batch_norm(*in[0], *op);
    if (const auto* op = std::get_if<Activation>(&operation)) {
      Map<T> out = *in[0];
      const double slope =
          op->slope_name.empty() ? op->slope : value_of(parameters_.at(op->slope_name).values[0]);
      for (T& x : out.values) x = activate(op->kind, slope, x);
      return out;
    }
    if (std::holds_alternative<Add>(operation)) {
      Map<T> out = *in[0];
      for (size_t i = 0; i < out.values.size(); ++i) out.values[i] += in[1]->values[i];
      return out;
    }
    if (std::holds_alternative<Multiply>(operation)) {
      Map<T> out = *in[0];
      const bool gate = in[1]->h == 1 && in[1]->w == 1;
      each(out, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        out.at(n, c, y, x) = out.at(n, c, y, x) * in[1]->at(n, c, gate ? 0 : y, gate ? 0 : x);
      });
      return out;
    }
    if (std::holds_alternative<Concat>(operation)) {
      Map<T> out(in[0]->n, 0, in[0]->h, in[0]->w);
      for (const Map<T>* part : in) out.c += part->c;
      out.values.clear();
      const auto plane = static_cast<std::ptrdiff_t>(out.h * out.w);
      for (int64_t n = 0; n < out.n; ++n)
        for (const Map<T>* part : in) {
          const auto first = part->values.begin() + n * part->c * plane;
          out.values.insert(out.values.end(), first, first + part->c * plane);
        }
      return out;
    }
    if (const auto* op = std::get_if<Slice>(&operation)) {
      Map<T> out(in[0]->n, op->end - op->begin, in[0]->h, in[0]->w);
      each(out, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        out.at(n, c, y, x) = in[0]->at(n, c + op->begin, y, x);
      });
      return out;
    }
    if (const auto* op = std::get_if<ChannelShuffle>(&operation)) {
      Map<T> out = *in[0];
      const int64_t columns = out.c / op->groups;
      each(out, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        out.at(n, c, y, x) = in[0]->at(n, c % op->groups * columns + c / op->groups, y, x);
      });
      return out;
    }
    if (const auto* op = std::get_if<MaxPool>(&operation)) return max_pool(*in[0], *op);
    if (std::holds_alternative<GlobalAveragePool>(operation)) {
      Map<T> out(in[0]->n, in[0]->c, 1, 1);
      each(*in[0],
           [&](int64_t n, int64_t c, int64_t y, int64_t x) { out.at(n, c, 0, 0) += in[0]->at(n, c, y, x); });
      for (T& sum : out.values) sum = sum / T(static_cast<double>(in[0]->h * in[0]->w));
      return out;
    }
    if (std::holds_alternative<DropPath>(operation) || std::holds_alternative<Dropout>(operation))
      return *in[0];
    throw std::logic_error("the plain network has no " + std::string(operation_name(operation)));
  }

  static void each(const Map<T>& map, const auto& visit) {
    for (int64_t n = 0; n < map.n; ++n)
      for (int64_t c = 0; c < map.c; ++c)
        for (int64_t y = 0; y < map.h; ++y)
          for (int64_t x = 0; x < map.w; ++x) visit(n, c, y, x);
  }

  static T activate(ActivationKind kind, double slope, const T& x) {
    switch (kind) {
      case ActivationKind::kRelu:
        return x > T(0) ? x : T(0);
      case ActivationKind::kRelu6:
        return clamp(x, 0, 6);
      case ActivationKind::kLeakyRelu:
        return x > T(0) ? x : T(slope) * x;
      case ActivationKind::kSilu:
        return x * sigmoid(x);
      case ActivationKind::kHardSwish:
        return x * clamp(x + T(3), 0, 6) / T(6);
      case ActivationKind::kHardSigmoid:
        return clamp(x / T(6) + T(0.5), 0, 1);
      case ActivationKind::kSigmoid:
        return sigmoid(x);
      default:
        throw std::logic_error("the plain network has no " + std::string(activation_name(kind)));
    }
  }

  Map<T> conv(const Map<T>& in, const Conv& op) const {
    const Map<T>& weight = parameters_.at(op.weight);
    const Axis rows = axis_of(op.padding, in.h, op.kernel, op.stride);
    const Axis columns = axis_of(op.padding, in.w, op.kernel, op.stride);
    if (op.dilation != 1) throw std::logic_error("the plain network has no dilation");
    Map<T> out(in.n, op.out_channels, rows.out, columns.out);
    const int64_t outs = op.out_channels / op.groups;
    each(out, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
      T sum = op.bias.empty() ? T(0) : parameters_.at(op.bias).values[static_cast<size_t>(c)];
      for (int64_t k = 0; k < weight.c; ++k)
        for (int64_t ky = 0; ky < op.kernel; ++ky)
          for (int64_t kx = 0; kx < op.kernel; ++kx) {
            const int64_t from_y = y * op.stride + ky - rows.before,
                          from_x = x * op.stride + kx - columns.before;
            if (from_y >= 0 && from_y < in.h && from_x >= 0 && from_x < in.w)
              sum += in.at(n, c / outs * weight.c + k, from_y, from_x) * weight.at(c, k, ky, kx);
          }
      out.at(n, c, y, x) = sum;
    });
    return out;
  }

  // Training normalises by the batch's mean and biased variance; the running variance moves to the unbiased
  // one. Ioffe and Szegedy 2015, algorithm 1, with PyTorch's sense of momentum.
  Map<T> batch_norm(const Map<T>& in, const BatchNorm& op) {
    using std::sqrt;
    const auto parameter = [&](const std::string& name, int64_t c) -> T& {
      return parameters_.at(name).values[static_cast<size_t>(c)];
    };
    Map<T> out = in;
    const auto count = static_cast<double>(in.n * in.h * in.w);
    for (int64_t c = 0; c < in.c; ++c) {
      T mean = parameter(op.running_mean, c), variance = parameter(op.running_var, c);
      const auto each_of_channel = [&](const auto& visit) {
        for (int64_t n = 0; n < in.n; ++n)
          for (int64_t i = 0; i < in.h * in.w; ++i)
            visit(static_cast<size_t>((n * in.c + c) * in.h * in.w + i));
      };
      if (training_) {
        T sum = 0, squares = 0;
        each_of_channel([&](size_t i) { sum += in.values[i]; });
        mean = sum / T(count);
        each_of_channel([&](size_t i) { squares += (in.values[i] - mean) * (in.values[i] - mean); });
        variance = squares / T(count);
        const auto move = [&](T& running, const T& to) {
          running = running * T(1 - op.momentum) + to * T(op.momentum);
        };
        move(parameter(op.running_mean, c), mean);
        move(parameter(op.running_var, c), squares / T(count - 1));
      }
      const T scale = parameter(op.weight, c) / sqrt(variance + T(op.eps));
      each_of_channel(
          [&](size_t i) { out.values[i] = (in.values[i] - mean) * scale + parameter(op.bias, c); });
    }
    return out;
  }

  Map<T> max_pool(const Map<T>& in, const MaxPool& op) const {
    const Padding padding = Padding::symmetric(op.padding);
    const Axis rows = axis_of(padding, in.h, op.kernel, op.stride);
    const Axis columns = axis_of(padding, in.w, op.kernel, op.stride);
    Map<T> out(in.n, in.c, rows.out, columns.out);
    each(out, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
      T best = -1e300;
      for (int64_t from_y = y * op.stride - op.padding; from_y < y * op.stride - op.padding + op.kernel;
           ++from_y)
        for (int64_t from_x = x * op.stride - op.padding; from_x < x * op.stride - op.padding + op.kernel;
             ++from_x)
          if (from_y >= 0 && from_y < in.h && from_x >= 0 && from_x < in.w &&
              in.at(n, c, from_y, from_x) > best)
            best = in.at(n, c, from_y, from_x);
      out.at(n, c, y, x) = best;
    });
    return out;
  }

  const Graph& graph_;
  Maps<T> parameters_;
  bool training_;
};

}  // namespace marrow::golden
