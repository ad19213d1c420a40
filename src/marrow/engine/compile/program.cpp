#include "marrow/engine/compile/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/engine/compile/elements.h"
#include "marrow/engine/compile/lowering.h"
#include "marrow/engine/compile/memory_plan.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/detect_decode.h"
#include "marrow/engine/steps/elementwise.h"
#include "marrow/engine/steps/layout.h"
#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/pooling.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/shapes.h"

namespace marrow::engine {
namespace {

constexpr int64_t kAlignmentFloats = 16;  // 64 bytes

int64_t aligned(int64_t floats) {
  return (floats + kAlignmentFloats - 1) / kAlignmentFloats * kAlignmentFloats;
}

// The first axis of `tensor` in the order of `rows`; zeros for -1.
Tensor pick_rows(const Tensor& tensor, std::span<const int> rows) {
  Shape shape = tensor.shape();
  const int64_t floats = element_count(shape) / shape[0];
  shape[0] = static_cast<int64_t>(rows.size());
  Tensor picked(shape);
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] >= 0)
      std::ranges::copy(
          tensor.values().subspan(static_cast<size_t>(rows[i] * floats), static_cast<size_t>(floats)),
          picked.values().begin() + static_cast<std::ptrdiff_t>(i) * floats);
  return picked;
}

class Compiler {
 public:
  Compiler(const passes::GraphWithWeights& model, const Shape& input, const EngineOptions& options,
           Tuner& tuner, cpu::ThreadPool& pool)
      : graph_(model.graph),
        weights_(model.weights),
        kernels_(kernels_of(cpu::choose_simd_level(options.simd))),
        least_score_(options.least_score),
        tuner_(tuner),
        pool_(pool),
        lowered_(lower(graph_, weights_, infer_shapes(graph_, input), kernels_.lanes)) {
    choose_elements(graph_, options.precision, lowered_);
    program_.kernels = &kernels_;
    program_.input = input;
  }

  Program run() {
    check_sizes();
    for (const NamedValue& output : graph_.outputs)
      program_.outputs.push_back({output.name, shape(output.value)});
    give_outputs_their_tensors();
    plan_arena();
    for (const LoweredOp& op : lowered_.ops) {
      const View dst = op.kind == LoweredOp::Kind::kOutput ? output_view(op) : view(op.output);
      ProgramStep step{make(op, dst), shape_of(op), macs(op)};
      if (step.step == nullptr) continue;
      step.step->name = name(op);
      step.reads = views(op.inputs);
      if (op.other.id >= 0) step.reads.push_back(view(op.other));
      step.writes = dst;
      program_.shared_floats = std::max(program_.shared_floats, aligned(step.step->shared_floats()));
      program_.scratch_floats = std::max(program_.scratch_floats, aligned(step.step->scratch_floats()));
      program_.steps.push_back(std::move(step));
    }
    return std::move(program_);
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  const Lowered::Storage& storage(Value value) const { return lowered_.storage[index(value)]; }
  const Shape& shape(Value value) const { return lowered_.shapes[index(value)]; }
  const Shape& shape_of(const LoweredOp& op) const {
    return shape(op.kind == LoweredOp::Kind::kOutput ? op.inputs[0] : op.output);
  }
  std::string name(const LoweredOp& op) const {
    if (op.kind == LoweredOp::Kind::kPack) return "input";
    if (op.kind == LoweredOp::Kind::kConvert)
      return storage(op.output).meaning.id < 0 ? "" : graph_.node(storage(op.output).meaning).name;
    if (op.kind == LoweredOp::Kind::kOutput) return graph_.outputs[static_cast<size_t>(op.output_index)].name;
    return graph_.node(op.node).name;
  }

  double macs(const LoweredOp& op) const {
    if (op.kind != LoweredOp::Kind::kNode) return 0;
    const auto out = static_cast<double>(element_count(shape(op.output)));
    const auto weights_of = [&](const std::string& weight) {
      return static_cast<double>(element_count(graph_.find_parameter(weight)->shape));
    };
    const Operation& operation = graph_.node(op.node).operation;
    if (const auto* conv = std::get_if<Conv>(&operation))
      return out * weights_of(conv->weight) / conv->out_channels;
    if (const auto* linear = std::get_if<Linear>(&operation))
      return out * weights_of(linear->weight) / linear->out_features;
    if (const auto* conv = std::get_if<ConvTranspose>(&operation))
      return static_cast<double>(element_count(shape(op.inputs[0]))) * weights_of(conv->weight) /
             static_cast<double>(shape(op.inputs[0])[1]);
    return 0;
  }

  // Kernels count pixels in int.
  void check_sizes() const {
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      if (element_count(lowered_.shapes[i]) > std::numeric_limits<int>::max() / 4)
        throw Error(ErrorKind::kShape,
                    fmt::format("[{}] {}: the output {} is larger than the engine handles (2 GiB)",
                                operation_name(graph_.nodes[i].operation), graph_.nodes[i].name,
                                marrow::to_string(lowered_.shapes[i])));
  }

  static bool is_planar(const Shape& shape) { return shape.size() != 4; }

  // A planar value that is asked for is computed in its output tensor.
  void give_outputs_their_tensors() {
    tensor_of_.assign(lowered_.placements.size(), -1);
    std::erase_if(lowered_.ops, [&](const LoweredOp& op) {
      if (op.kind != LoweredOp::Kind::kOutput || !is_planar(shape(op.inputs[0]))) return false;
      int& tensor = tensor_of_[index(op.inputs[0])];
      if (tensor >= 0) return false;
      tensor = op.output_index;
      return true;
    });
  }

  View unplaced_view(Value value) const {
    const Shape& s = shape(value);
    View view;
    view.element = storage(value).element;
    view.scale = storage(value).scale;
    view.images = s[0];
    view.channels = static_cast<int>(s[1]);
    if (is_planar(s)) {
      view.layout = Layout::kPlanar;
      view.width = s.size() == 3 ? s[2] : 1;
    } else {
      view.height = s[2];
      view.width = s[3];
    }
    view.image_stride = view.image_floats(kernels_.lanes);
    return view;
  }

  void plan_arena() {
    std::vector<Lifetime> lifetimes(lowered_.placements.size(),
                                    Lifetime{0, std::numeric_limits<int>::max(), -1});
    for (size_t t = 0; t < lowered_.ops.size(); ++t) {
      const auto touch = [&](Value value) {
        if (value.id < 0) return;
        Lifetime& life = lifetimes[index(lowered_.placements[index(value)].root)];
        life.first = std::min(life.first, static_cast<int>(t));
        life.last = std::max(life.last, static_cast<int>(t));
      };
      const LoweredOp& op = lowered_.ops[t];
      std::ranges::for_each(op.inputs, touch);
      touch(op.other);
      touch(op.output);
    }
    for (size_t i = 0; i < lifetimes.size(); ++i) {
      const Value value{static_cast<int>(i)};
      if (lifetimes[i].last < 0 || tensor_of_[i] >= 0 || is_input(value)) continue;
      const View view = unplaced_view(value);
      const int64_t bytes = view.images * view.image_stride * element_bytes(view.element);
      lifetimes[i].size = aligned((bytes + 3) / 4);
    }
    MemoryPlan plan = plan_memory(lifetimes, kAlignmentFloats);
    offsets_ = std::move(plan.offsets);
    program_.arena_floats = plan.size;
  }

  bool is_input(Value value) const {
    return index(value) < graph_.nodes.size() && std::holds_alternative<Input>(graph_.node(value).operation);
  }

  View view(Value value) const {
    View view = unplaced_view(value);
    if (is_input(value)) {
      view.layout = Layout::kPlanar;
      view.image_stride = view.image_floats(kernels_.lanes);
      view.buffer.where = Buffer::Where::kInput;
      return view;
    }
    const Placement& placement = lowered_.placements[index(value)];
    if (const int tensor = tensor_of_[index(placement.root)]; tensor >= 0) {
      view.buffer = {Buffer::Where::kOutput, tensor, 0};
      return view;
    }
    view.buffer.offset = offsets_[index(placement.root)] * dword_channels(view.element) +
                         placement.block * view.block_floats(kernels_.lanes);
    view.image_stride = unplaced_view(placement.root).image_stride;
    return view;
  }

  View output_view(const LoweredOp& op) const {
    View view = unplaced_view(op.inputs[0]);
    view.layout = Layout::kPlanar;
    view.image_stride = view.image_floats(kernels_.lanes);
    view.buffer = {Buffer::Where::kOutput, op.output_index, 0};
    return view;
  }

  std::vector<View> views(std::span<const Value> values) const {
    std::vector<View> result;
    for (const Value value : values) result.push_back(view(value));
    return result;
  }

  Tensor parameter(const std::string& name) const {
    return name.empty() ? Tensor() : weights_.find(name)->second.to_float();
  }

  Epilogue epilogue(const LoweredOp& op) const {
    return {op.before, op.join, op.other.id < 0 ? View() : view(op.other), op.after};
  }

  StepPtr make(const LoweredOp& op, const View& dst) const {
    const View src = view(op.inputs[0]);
    if (op.kind == LoweredOp::Kind::kPack) return make_pack(src, dst, kernels_);
    if (op.kind == LoweredOp::Kind::kConvert) return make_convert(src, dst, kernels_);
    if (op.kind == LoweredOp::Kind::kOutput) return make_unpack(src, dst, kernels_);
    if (op.kind == LoweredOp::Kind::kGather)
      return make_gather_channels(views(op.inputs), op.channels, dst, op.first_channel, kernels_);
    return std::visit([&](const auto& operation) { return make(operation, op, src, dst); },
                      graph_.node(op.node).operation);
  }

  StepPtr make(const Conv& conv, const LoweredOp& op, View src, const View& dst) const {
    Tensor weight = parameter(conv.weight);
    Tensor bias = parameter(conv.bias);
    if (!op.rows.empty()) {  // a part of a depthwise convolution
      weight = pick_rows(weight, op.rows);
      if (bias.defined()) bias = pick_rows(bias, op.rows);
      src.channels = dst.channels;
      src.buffer.offset += op.first_block * src.block_floats(kernels_.lanes);
    }
    ConvDescription description{conv.kernel, conv.stride, conv.dilation,
                                op.rows.empty() ? conv.groups : dst.channels};
    description.pad_y = resolve_padding(conv.padding, src.height, conv.kernel, conv.stride, conv.dilation);
    description.pad_x = resolve_padding(conv.padding, src.width, conv.kernel, conv.stride, conv.dilation);
    description.src = src;
    description.dst = dst;
    description.weight = weight.values();
    if (bias.defined()) description.bias = bias.values();
    description.epilogue = epilogue(op);
    description.scattered = op.channels;
    if (!op.channels.empty()) description.sources = views(op.inputs);
    description.kernels = &kernels_;
    description.pool = &pool_;
    return tuner_.make_convolution(description);
  }
  StepPtr make(const ConvTranspose& conv, const LoweredOp&, const View& src, const View& dst) const {
    const Tensor weight = parameter(conv.weight);
    const Tensor bias = parameter(conv.bias);
    ConvDescription description{conv.kernel, conv.stride};
    description.pad_y = description.pad_x = Padding::symmetric(conv.padding);
    description.src = src;
    description.dst = dst;
    description.weight = weight.values();
    if (bias.defined()) description.bias = bias.values();
    description.kernels = &kernels_;
    description.pool = &pool_;
    return make_conv_transpose(description);
  }
  StepPtr make(const BatchNorm& norm, const LoweredOp& op, const View& src, const View& dst) const {
    Tensor scale({dst.channels});
    Tensor shift({dst.channels});
    const Tensor gamma = parameter(norm.weight);
    const Tensor beta = parameter(norm.bias);
    const Tensor mean = parameter(norm.running_mean);
    const Tensor variance = parameter(norm.running_var);
    for (size_t c = 0; c < static_cast<size_t>(dst.channels); ++c) {
      const double s = gamma.values()[c] / std::sqrt(double{variance.values()[c]} + norm.eps);
      scale.values()[c] = static_cast<float>(s);
      shift.values()[c] = static_cast<float>(beta.values()[c] - s * mean.values()[c]);
    }
    return make_affine(src, dst, scale, shift, op.after, kernels_);
  }
  StepPtr make(const Activation&, const LoweredOp& op, const View& src, const View& dst) const {
    return make_elementwise(src, dst, epilogue(op), kernels_);
  }
  StepPtr make(const Dropout&, const LoweredOp& op, const View& src, const View& dst) const {
    return make_elementwise(src, dst, epilogue(op), kernels_);
  }
  StepPtr make(const DropPath&, const LoweredOp& op, const View& src, const View& dst) const {
    return make_elementwise(src, dst, epilogue(op), kernels_);
  }
  StepPtr make(const Add&, const LoweredOp& op, const View& src, const View& dst) const {
    return make_elementwise(src, dst, epilogue(op), kernels_);
  }
  StepPtr make(const Multiply&, const LoweredOp& op, const View& src, const View& dst) const {
    if (op.inputs.size() == 2) return make_gate(src, view(op.inputs[1]), dst, op.after, kernels_);
    return make_elementwise(src, dst, epilogue(op), kernels_);
  }
  StepPtr make(const MaxPool& pool, const LoweredOp&, const View& src, const View& dst) const {
    return make_max_pool(src, dst, pool.kernel, pool.stride, pool.padding, kernels_);
  }
  StepPtr make(const AdaptiveMaxPool&, const LoweredOp&, const View& src, const View& dst) const {
    return make_adaptive_max_pool(src, dst, kernels_);
  }
  StepPtr make(const GlobalAveragePool&, const LoweredOp&, const View& src, const View& dst) const {
    return make_global_average_pool(src, dst, kernels_);
  }
  StepPtr make(const Upsample& upsample, const LoweredOp&, const View& src, const View& dst) const {
    return make_upsample(src, dst, upsample.factor, kernels_);
  }
  StepPtr make(const Flatten&, const LoweredOp&, const View& src, const View& dst) const {
    return make_unpack(src, dst, kernels_);
  }
  StepPtr make(const Linear& linear, const LoweredOp& op, const View& src, const View& dst) const {
    return make_linear(src, dst, parameter(linear.weight), parameter(linear.bias), epilogue(op), kernels_);
  }
  StepPtr make(const DetectDecode& decode, const LoweredOp& op, const View&, const View& dst) const {
    return make_detect_decode(decode, views(op.inputs), dst, parameter(decode.bins), least_score_, kernels_);
  }
  // Inputs have no step, and lowering makes these views or gathers.
  StepPtr make(const Input&, const LoweredOp&, const View&, const View&) const { return nullptr; }
  StepPtr make(const Slice&, const LoweredOp&, const View&, const View&) const { return nullptr; }
  StepPtr make(const Concat&, const LoweredOp&, const View&, const View&) const { return nullptr; }
  StepPtr make(const ChannelShuffle&, const LoweredOp&, const View&, const View&) const { return nullptr; }

  const Graph& graph_;
  const Weights& weights_;
  const Kernels& kernels_;
  float least_score_;
  Tuner& tuner_;
  cpu::ThreadPool& pool_;
  Lowered lowered_;
  std::vector<int> tensor_of_;  // by value: the output tensor it is computed in, or -1
  std::vector<int64_t> offsets_;
  Program program_;
};

}  // namespace

Program compile(const Graph& graph, const Weights& weights, const Shape& input,
                std::span<const std::string> outputs, const EngineOptions& options, Tuner& tuner,
                cpu::ThreadPool& pool) {
  verify(graph, weights);
  passes::GraphWithWeights model = passes::select_outputs({graph, weights}, outputs);
  if (options.deploy) model = passes::deploy(model);
  return Compiler(model, input, options, tuner, pool).run();
}

}  // namespace marrow::engine
