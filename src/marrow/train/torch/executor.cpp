#include "marrow/train/torch/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/graph/shapes.h"
#include "marrow/train/torch/anchors.h"
#include "marrow/train/torch/batch_norm.h"

namespace marrow::train {
namespace {

// What parameters, and all that mixed precision does not narrow, are held in.
torch::ScalarType full_type(torch::ScalarType compute_type) {
  return compute_type == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

bool all_finite(const torch::Tensor& tensor) {
  return torch::isfinite(tensor).all().item<bool>();
}

}  // namespace

// One pass over the graph.
class TorchExecutor::Run {
 public:
  struct Mode {
    bool training = false;
    bool moves_statistics = false;
    bool checks = false;  // stop at the first value that is not finite
    TrainingPlace place;
  };

  Run(const TorchExecutor& executor, const torch::Tensor& images, const Mode& mode)
      : executor_(executor),
        options_(executor.options_),
        graph_(executor.graph_),
        images_(images.to(options_.device)),
        mode_(mode),
        shapes_(infer_shapes(graph_, images.sizes().vec())),
        values_(graph_.nodes.size()) {}

  std::vector<torch::Tensor> run(std::span<const Value> targets) {
    needed_ = reachable(graph_, targets);
    std::vector<int> uses_left(graph_.nodes.size(), 0);
    for (const Value target : targets) ++uses_left.at(static_cast<size_t>(target.id));  // never freed
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      if (needed_[i])
        for (const Value in : graph_.nodes[i].inputs) ++uses_left[static_cast<size_t>(in.id)];

    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!needed_[i]) continue;
      const Node& node = graph_.nodes[i];
      index_ = i;
      if (!values_[i].defined())
        values_[i] =
            std::visit([&](const auto& operation) { return compute(operation, node); }, node.operation);
      if (mode_.checks && !all_finite(values_[i])) {
        first_non_finite_ = std::holds_alternative<Input>(node.operation)
                                ? "the input"
                                : fmt::format("{} ({})", operation_name(node.operation), node.name);
        return {};
      }
      for (const Value in : node.inputs)
        if (--uses_left[static_cast<size_t>(in.id)] == 0) values_[static_cast<size_t>(in.id)].reset();
    }
    std::vector<torch::Tensor> results;
    for (const Value target : targets) results.push_back(values_[static_cast<size_t>(target.id)]);
    return results;
  }

  const std::string& first_non_finite() const { return first_non_finite_; }

 private:
  const torch::Tensor& in(const Node& node, size_t i = 0) const {
    return values_[static_cast<size_t>(node.inputs[i].id)];
  }
  std::vector<torch::Tensor> all_in(const Node& node) const {
    std::vector<torch::Tensor> tensors;
    for (size_t i = 0; i < node.inputs.size(); ++i) tensors.push_back(in(node, i));
    return tensors;
  }
  // Undefined for an empty name.
  torch::Tensor weight(const std::string& name) const {
    return name.empty() ? torch::Tensor() : executor_.state_.find(name)->second;
  }
  // For what convolutions and linear layers read.
  torch::Tensor narrow(const torch::Tensor& tensor) const {
    return tensor.defined() ? tensor.to(options_.compute_type) : tensor;
  }
  torch::Tensor widen(const torch::Tensor& tensor) const {
    return tensor.to(full_type(options_.compute_type));
  }
  torch::MemoryFormat format() const {
    return options_.channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
  }

  torch::Tensor compute(const Input& op, const Node&) {
    if (images_.is_floating_point()) return widen(images_).contiguous(format());
    torch::Tensor pixels = widen(images_);
    if (op.channels == 3 && op.format.order == ChannelOrder::kBgr) pixels = pixels.flip(1);
    pixels = pixels * op.format.scale;
    if (op.channels == 3 && op.format != InputFormat{.order = op.format.order, .scale = op.format.scale}) {
      const auto per_channel = [&](const std::array<double, 3>& values) {
        return torch::tensor({values[0], values[1], values[2]}, pixels.options()).view({1, 3, 1, 1});
      };
      pixels = (pixels - per_channel(op.format.mean)) / per_channel(op.format.std);
    }
    return pixels.contiguous(format());
  }

  torch::Tensor compute(const Conv& op, const Node& node) {
    torch::Tensor x = narrow(in(node));
    Padding rows = resolve_padding(op.padding, x.size(2), op.kernel, op.stride, op.dilation);
    Padding columns = resolve_padding(op.padding, x.size(3), op.kernel, op.stride, op.dilation);
    if (rows.before != rows.after || columns.before != columns.after) {
      x = at::constant_pad_nd(x, {columns.before, columns.after, rows.before, rows.after});
      rows = columns = {};
    }
    return at::conv2d(x, narrow(weight(op.weight)), narrow(weight(op.bias)), op.stride,
                      {rows.before, columns.before}, op.dilation, op.groups);
  }
  torch::Tensor compute(const ConvTranspose& op, const Node& node) {
    return at::conv_transpose2d(narrow(in(node)), narrow(weight(op.weight)), narrow(weight(op.bias)),
                                op.stride, op.padding, op.output_padding);
  }
  torch::Tensor compute(const Linear& op, const Node& node) {
    return at::linear(narrow(in(node)), narrow(weight(op.weight)), narrow(weight(op.bias)));
  }

  torch::Tensor compute(const BatchNorm& op, const Node& node) {
    const torch::Tensor& x = in(node);
    const torch::Tensor scale = weight(op.weight);
    torch::Tensor mean = weight(op.running_mean), var = weight(op.running_var);
    const bool uses_batch = mode_.training && !is_frozen(op.weight, options_.frozen);
    if (uses_batch && !mode_.moves_statistics) mean = var = torch::Tensor();
    if (uses_batch && mode_.moves_statistics) {
      weight(op.num_batches_tracked).add_(1);
      if (x.numel() == x.size(1)) {
        // One value a channel has no unbiased variance, and LibTorch would make the running one a NaN.
        const torch::NoGradGuard no_grad;
        mean.lerp_(widen(x).flatten(), op.momentum);
        var.mul_(1 - op.momentum);
        mean = var = torch::Tensor();
      }
    }
    if (uses_batch && options_.channels_last && x.dim() == 4 && x.is_cpu() &&
        x.scalar_type() == torch::kFloat32 && x.numel() > x.size(1))
      return batch_norm_channels_last(x, scale, weight(op.bias), {mean, var, op.momentum}, op.eps);
    return at::batch_norm(x, scale, weight(op.bias), mean, var, uses_batch, op.momentum, op.eps, true);
  }

  torch::Tensor compute(const Activation& op, const Node& node) {
    const torch::Tensor& x = in(node);
    switch (op.kind) {
      case ActivationKind::kIdentity:
        return x;
      case ActivationKind::kRelu:
        return at::relu(x);
      case ActivationKind::kRelu6:
        return at::hardtanh(x, 0, 6);
      case ActivationKind::kLeakyRelu: {
        const double slope = op.slope_name.empty() ? op.slope : weight(op.slope_name).item<double>();
        return slope == 1 ? x : at::leaky_relu(x, slope);
      }
      case ActivationKind::kSilu:
        return at::silu(x);
      case ActivationKind::kHardSwish:
        return at::hardswish(x);
      case ActivationKind::kHardSigmoid:
        return at::hardsigmoid(x);
      case ActivationKind::kSigmoid:
        return at::sigmoid(x);
      case ActivationKind::kTanh:
        return at::tanh(x);
      case ActivationKind::kGelu:
        return at::gelu(x);
      case ActivationKind::kMish:
        return at::mish(x);
      case ActivationKind::kElu:
        return at::elu(x, op.slope);
    }
    return x;
  }

  torch::Tensor compute(const Add&, const Node& node) { return in(node) + in(node, 1); }
  torch::Tensor compute(const Multiply&, const Node& node) { return widen(in(node)) * widen(in(node, 1)); }
  torch::Tensor compute(const Concat&, const Node& node) { return torch::cat(all_in(node), 1); }

  // Slices that tile their input are taken together: the gradient of one split is one concatenation, where
  // each slice alone would fill a map with zeros.
  torch::Tensor compute(const Slice& op, const Node& node) {
    const torch::Tensor& x = in(node);
    if (op.groups > 1)
      return x.unflatten(1, {op.groups, x.size(1) / op.groups})
          .narrow(2, op.begin, op.end - op.begin)
          .flatten(1, 2);
    std::vector<std::pair<int, size_t>> slices;  // begin, node
    for (size_t i = index_; i < graph_.nodes.size(); ++i)
      if (const auto* other = std::get_if<Slice>(&graph_.nodes[i].operation);
          other != nullptr && other->groups == 1)
        if (needed_[i] && graph_.nodes[i].inputs[0] == node.inputs[0]) slices.emplace_back(other->begin, i);
    std::ranges::sort(slices);
    std::vector<int64_t> sizes;
    int64_t end = 0;
    for (const auto& [begin, i] : slices) {
      if (begin != end) break;
      end = std::get<Slice>(graph_.nodes[i].operation).end;
      sizes.push_back(end - begin);
    }
    if (sizes.size() < 2 || sizes.size() != slices.size() || end != x.size(1))
      return x.narrow(1, op.begin, op.end - op.begin);
    const auto parts = at::split_with_sizes(x, sizes, 1);
    for (size_t i = 0; i < slices.size(); ++i) values_[slices[i].second] = parts[i];
    return values_[index_];
  }

  torch::Tensor compute(const ChannelShuffle& op, const Node& node) {
    const torch::Tensor& x = in(node);
    const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
    if (options_.channels_last)
      return x.permute({0, 2, 3, 1})
          .reshape({n, h, w, op.groups, c / op.groups})
          .transpose(3, 4)
          .reshape({n, h, w, c})
          .permute({0, 3, 1, 2});
    return x.reshape({n, op.groups, c / op.groups, h, w}).transpose(1, 2).reshape({n, c, h, w});
  }
  torch::Tensor compute(const MaxPool& op, const Node& node) {
    return at::max_pool2d(in(node), op.kernel, op.stride, op.padding);
  }
  torch::Tensor compute(const AdaptiveMaxPool& op, const Node& node) {
    return std::get<0>(at::adaptive_max_pool2d(in(node), {op.size, op.size}));
  }
  torch::Tensor compute(const GlobalAveragePool&, const Node& node) {
    return widen(in(node)).mean({2, 3}, /*keepdim=*/true);
  }
  torch::Tensor compute(const Upsample& op, const Node& node) {
    const torch::Tensor& x = in(node);
    return at::upsample_nearest2d(x, {x.size(2) * op.factor, x.size(3) * op.factor});
  }
  torch::Tensor compute(const Flatten&, const Node& node) { return in(node).flatten(1); }

  torch::Tensor compute(const Dropout& op, const Node& node) {
    const torch::Tensor& x = in(node);
    if (!mode_.training) return op.downscale_in_inference ? x * (1 - op.rate) : x;
    return x * mask(op, x, x.sizes().vec());
  }
  torch::Tensor compute(const DropPath& op, const Node& node) {
    const torch::Tensor& x = in(node);
    if (!mode_.training) return x;
    std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
    shape[0] = x.size(0);
    return x * mask(op, x, shape);
  }
  template <class Drop>
  torch::Tensor mask(const Drop& op, const torch::Tensor& x, const std::vector<int64_t>& shape) const {
    torch::Tensor drawn = torch::empty(shape, torch::kFloat32);
    draw_mask(op, mode_.place, index_, shape[0],
              {drawn.data_ptr<float>(), static_cast<size_t>(drawn.numel())});
    return drawn.to(options_.device, x.scalar_type());
  }

  torch::Tensor compute(const Scale& op, const Node& node) {
    return widen(in(node)) * weight(op.weight).view({1, -1, 1, 1});
  }

  torch::Tensor compute(const Attention& op, const Node& node) {
    const torch::Tensor& x = in(node);
    const int64_t n = x.size(0), h = x.size(2), w = x.size(3);
    // (N, areas, heads, channels of a head, positions of a run)
    const torch::Tensor runs =
        x.reshape({n, op.heads, op.head_channels(), op.areas, h * w / op.areas}).permute({0, 3, 1, 2, 4});
    const auto parts = runs.split_with_sizes({op.key_channels, op.key_channels, op.value_channels}, 3);
    const double factor = 1 / std::sqrt(static_cast<double>(op.key_channels));
    const torch::Tensor shares = at::matmul(parts[0].transpose(3, 4) * factor, parts[1]).softmax(4);
    return at::matmul(parts[2], shares.transpose(3, 4))
        .permute({0, 2, 3, 1, 4})
        .reshape({n, op.heads * op.value_channels, h, w});
  }

  torch::Tensor compute(const DetectDecode& op, const Node& node) {
    const std::vector<torch::Tensor> all = all_in(node);
    const auto levels = static_cast<std::ptrdiff_t>(op.levels());
    const std::vector<torch::Tensor> maps(all.begin(), all.begin() + levels);
    const std::vector<torch::Tensor> extras(all.begin() + levels, all.end());
    const torch::Tensor raw = widen(join_levels(maps));  // (N, 4 R + C, A)
    const int64_t n = raw.size(0), anchors = raw.size(2), sides = 4 * op.reg_max;
    const Anchors grid = make_anchors(maps, op.strides);
    torch::Tensor distances = raw.narrow(1, 0, sides);
    if (op.reg_max > 1)
      distances = (distances.reshape({n, 4, op.reg_max, anchors}).softmax(2) *
                   weight(op.bins).view({1, 1, op.reg_max, 1}))
                      .sum(2);
    const torch::Tensor before = distances.narrow(1, 0, 2), after = distances.narrow(1, 2, 2);
    torch::Tensor offset = (after - before) / 2, extra;  // of the centre; (N, channels, A)
    const torch::Tensor size = before + after;
    if (op.extra != DetectExtra::kNone) extra = widen(join_levels(extras));
    if (op.extra == DetectExtra::kAngle) {
      extra = (extra.sigmoid() - 0.25) * std::numbers::pi;
      const torch::Tensor x = offset.narrow(1, 0, 1), y = offset.narrow(1, 1, 1);
      offset = torch::cat({x * extra.cos() - y * extra.sin(), x * extra.sin() + y * extra.cos()}, 1);
    } else if (op.extra == DetectExtra::kPoints || op.extra == DetectExtra::kVisiblePoints) {
      const int numbers = numbers_of_point(op.extra);
      const torch::Tensor points = extra.reshape({n, -1, numbers, anchors});
      const torch::Tensor places = (2 * points.narrow(2, 0, 2) + (grid.centres.t() - 0.5)) * grid.strides.t();
      extra = torch::cat({places, points.narrow(2, 2, numbers - 2).sigmoid()}, 2).reshape_as(extra);
    }
    const torch::Tensor centre = grid.centres.t() + offset;
    std::vector<torch::Tensor> rows = {torch::cat({centre, size}, 1) * grid.strides.t(),
                                       raw.narrow(1, sides, op.classes).sigmoid()};
    if (extra.defined()) rows.push_back(extra);
    return torch::cat(rows, 1);
  }

  const TorchExecutor& executor_;
  const TorchExecutorOptions& options_;
  const Graph& graph_;
  torch::Tensor images_;
  Mode mode_;
  std::vector<Shape> shapes_;
  std::vector<torch::Tensor> values_;
  std::vector<bool> needed_;
  size_t index_ = 0;  // of the node at work
  std::string first_non_finite_;
};

TorchExecutor::TorchExecutor(Graph graph, const Weights& weights, TorchExecutorOptions options)
    : graph_(std::move(graph)), options_(std::move(options)) {
  std::vector<std::string> names;
  for (const Parameter& parameter : graph_.parameters) {
    names.push_back(parameter.name);
    // A scalar is read on the host at every step.
    const torch::Device device =
        parameter.role == ParameterRole::kScalar ? torch::Device(torch::kCPU) : options_.device;
    const bool is_integer = parameter.role == ParameterRole::kCounter;
    torch::Tensor tensor = torch::zeros(
        parameter.shape,
        torch::dtype(is_integer ? torch::kInt64 : full_type(options_.compute_type)).device(device));
    if (options_.channels_last && tensor.dim() == 4)
      tensor = tensor.contiguous(torch::MemoryFormat::ChannelsLast);
    tensor.requires_grad_(parameter.trainable() && !frozen(parameter));
    state_.emplace(parameter.name, tensor);
  }
  for (const std::string& part : options_.frozen)
    if (std::ranges::none_of(names, [&](const std::string& name) { return name.find(part) != name.npos; }))
      throw Error(ErrorKind::kModel, fmt::format("freeze: no parameter's name contains '{}'", part));
  load(weights);
}

std::vector<torch::Tensor> TorchExecutor::train(const torch::Tensor& images, std::span<const Value> targets,
                                                const TrainingPlace& place) {
  const torch::AutoGradMode records(true);
  return Run(*this, images, {.training = true, .moves_statistics = true, .place = place}).run(targets);
}

std::vector<torch::Tensor> TorchExecutor::evaluate(const torch::Tensor& images,
                                                   std::span<const Value> targets) {
  const torch::NoGradGuard no_grad;
  return Run(*this, images, {}).run(targets);
}

std::vector<torch::Tensor> TorchExecutor::evaluate_with_gradient(const torch::Tensor& images,
                                                                 std::span<const Value> targets) {
  const torch::AutoGradMode records(true);
  return Run(*this, images, {}).run(targets);
}

std::string TorchExecutor::first_non_finite(const torch::Tensor& images, std::span<const Value> targets,
                                            const TrainingPlace& place) {
  const torch::NoGradGuard no_grad;
  for (const Parameter& parameter : graph_.parameters)
    if (!all_finite(state_.at(parameter.name))) return fmt::format("parameter '{}'", parameter.name);
  Run run(*this, images, {.training = true, .checks = true, .place = place});
  run.run(targets);
  return run.first_non_finite();
}

const torch::Tensor& TorchExecutor::parameter(std::string_view name) const {
  const auto found = state_.find(name);
  if (found != state_.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [each, tensor] : state_) known.push_back(each);
  const std::string nearest = nearest_name(name, known);
  throw Error(ErrorKind::kModel, fmt::format("the model has no parameter '{}'{}", name,
                                             nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
}

bool TorchExecutor::frozen(const Parameter& parameter) const {
  return parameter.trainable() && is_frozen(parameter.name, options_.frozen);
}

void TorchExecutor::zero_gradients() {
  for (auto& [name, tensor] : state_) tensor.mutable_grad().reset();
}

Weights TorchExecutor::weights() const {
  Weights copies;
  for (const auto& [name, tensor] : state_) copies.emplace(name, from_torch(tensor));
  return copies;
}

void TorchExecutor::load(const Weights& weights) {
  verify(graph_, weights);
  Weights complete = weights;
  initialize_missing(graph_, 0, complete);  // the optional ones
  const torch::NoGradGuard no_grad;
  for (const Parameter& parameter : graph_.parameters)
    state_.find(parameter.name)->second.copy_(to_torch(complete.at(parameter.name)));
}

void TorchExecutor::set_scalar(std::string_view name, double value) {
  const torch::NoGradGuard no_grad;
  torch::Tensor scalar = parameter(name);
  scalar.fill_(value);
}

}  // namespace marrow::train
