#include "marrow/engine/compile/make_step.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "marrow/engine/steps/attention.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/detect_decode.h"
#include "marrow/engine/steps/elementwise.h"
#include "marrow/engine/steps/expand_depthwise.h"
#include "marrow/engine/steps/layout.h"
#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/pooling.h"
#include "marrow/graph/shapes.h"

namespace marrow::engine {
namespace {

// The first axis of `tensor` in the order of `rows`; zeros for -1.
Tensor pick_rows(const Tensor& tensor, std::span<const int> rows) {
  if (!tensor.defined()) return {};
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

class Maker {
 public:
  Maker(const LoweredOp& op, const StepContext& context)
      : context_(context),
        kernels_(context.kernels),
        inputs_(context.places.views(op.inputs)),
        src_(inputs_[0]),
        dst_(context.places.view(op.output)) {}

  MadeStep operator()(const lowered::Convolution& layer) const {
    const Conv& conv = layer.conv;
    const Tensor weight = parameter(conv.weight), bias = parameter(conv.bias);
    ConvDescription description = describe(conv, src_, weight, bias);
    description.groups = conv.groups;
    description.epilogue = epilogue(layer.epilogue);
    description.scattered = layer.channels;
    if (!layer.channels.empty()) description.sources = inputs_;
    return {context_.tuner.make_convolution(description), macs_of_outputs(weight)};
  }
  MadeStep operator()(const lowered::DepthwisePart& part) const {
    const Tensor weight = pick_rows(parameter(part.conv.weight), part.rows);
    const Tensor bias = pick_rows(parameter(part.conv.bias), part.rows);
    View src = src_;
    src.channels = dst_.channels;
    src.buffer.offset += part.first_block * src.block_floats(kernels_.lanes);
    ConvDescription description = describe(part.conv, src, weight, bias);
    description.groups = dst_.channels;
    description.epilogue.before = part.activation;
    return {context_.tuner.make_convolution(description), macs_of_outputs(weight)};
  }
  MadeStep operator()(const lowered::ExpandDepthwise& pair) const {
    const Conv& conv = pair.expand.conv;
    const Tensor weight = parameter(conv.weight), bias = parameter(conv.bias);
    ConvDescription expand = describe(conv, src_, weight, bias);
    View& wide = expand.dst;
    wide = src_;
    wide.channels = conv.out_channels;
    wide.image_stride = wide.image_floats(kernels_.lanes);
    expand.epilogue.before = pair.expand.epilogue.before;
    expand.scattered = pair.expand.channels;
    if (!expand.scattered.empty()) expand.sources = inputs_;

    const Tensor taps = parameter(pair.depthwise.weight), shift = parameter(pair.depthwise.bias);
    ConvDescription depthwise = describe(pair.depthwise, wide, taps, shift);
    depthwise.groups = conv.out_channels;
    depthwise.epilogue = epilogue(pair.epilogue);
    const double expanded = static_cast<double>(wide.images * wide.channels * wide.pixels());
    return {make_expand_depthwise(expand, depthwise), expanded * macs_a_row(weight) + macs_of_outputs(taps)};
  }
  MadeStep operator()(const ConvTranspose& conv) const {
    const Tensor weight = parameter(conv.weight), bias = parameter(conv.bias);
    ConvDescription description = describe(weight, bias, src_);
    description.kernel = conv.kernel;
    description.stride = conv.stride;
    description.pad_y = description.pad_x = Padding::symmetric(conv.padding);
    const double inputs = static_cast<double>(src_.images * src_.channels * src_.pixels());
    return {make_conv_transpose(description), inputs * macs_a_row(weight)};
  }
  MadeStep operator()(const lowered::LinearLayer& layer) const {
    const Tensor weight = parameter(layer.linear.weight);
    return {make_linear(src_, dst_, weight, parameter(layer.linear.bias), epilogue(layer.epilogue), kernels_),
            macs_of_outputs(weight)};
  }
  MadeStep operator()(const lowered::Elementwise& map) const {
    return make_elementwise(src_, dst_, epilogue(map.epilogue), kernels_);
  }
  MadeStep operator()(const lowered::Gate& gate) const {
    return make_gate(src_, inputs_[1], dst_, gate.after, kernels_);
  }
  MadeStep operator()(const lowered::Affine& affine) const {
    const BatchNorm& norm = affine.norm;
    Tensor scale({dst_.channels});
    Tensor shift({dst_.channels});
    const Tensor gamma = parameter(norm.weight);
    const Tensor beta = parameter(norm.bias);
    const Tensor mean = parameter(norm.running_mean);
    const Tensor variance = parameter(norm.running_var);
    for (size_t c = 0; c < static_cast<size_t>(dst_.channels); ++c) {
      const double s = gamma.values()[c] / std::sqrt(double{variance.values()[c]} + norm.eps);
      scale.values()[c] = static_cast<float>(s);
      shift.values()[c] = static_cast<float>(beta.values()[c] - s * mean.values()[c]);
    }
    return make_affine(src_, dst_, scale, shift, affine.after, kernels_);
  }
  MadeStep operator()(const lowered::Pack&) const { return make_pack(src_, dst_, kernels_); }
  MadeStep operator()(const lowered::Gather& gather) const {
    return make_gather_channels(inputs_, gather.channels, dst_, gather.first_channel, kernels_);
  }
  MadeStep operator()(const lowered::Convert&) const { return make_convert(src_, dst_, kernels_); }
  MadeStep operator()(const lowered::Output&) const { return make_unpack(src_, dst_, kernels_); }
  MadeStep operator()(const Flatten&) const { return make_unpack(src_, dst_, kernels_); }
  MadeStep operator()(const MaxPool& pool) const {
    return make_max_pool(src_, dst_, pool.kernel, pool.stride, pool.padding, kernels_);
  }
  MadeStep operator()(const AdaptiveMaxPool&) const { return make_adaptive_max_pool(src_, dst_, kernels_); }
  MadeStep operator()(const GlobalAveragePool&) const {
    return make_global_average_pool(src_, dst_, kernels_);
  }
  MadeStep operator()(const Upsample& upsample) const {
    return make_upsample(src_, dst_, upsample.factor, kernels_);
  }
  MadeStep operator()(const Scale& scale) const {
    return make_affine(src_, dst_, parameter(scale.weight), Tensor({dst_.channels}), {}, kernels_);
  }
  MadeStep operator()(const Attention& attention) const {
    const double pairs =
        static_cast<double>(src_.pixels()) * static_cast<double>(src_.pixels() / attention.areas);
    return {make_attention(attention, src_, dst_, kernels_),
            static_cast<double>(dst_.images * attention.heads) * pairs *
                (attention.key_channels + attention.value_channels)};
  }
  MadeStep operator()(const DetectDecode& decode) const {
    return make_detect_decode(decode, inputs_, dst_, parameter(decode.bins), context_.least_score, kernels_);
  }
  // Lowering turned these into places.
  MadeStep operator()(const Slice&) const { return never(); }
  MadeStep operator()(const Concat&) const { return never(); }
  MadeStep operator()(const ChannelShuffle&) const { return never(); }

 private:
  static StepPtr never() {
    assert(false);
    return nullptr;
  }

  Tensor parameter(const std::string& name) const {
    return name.empty() ? Tensor() : context_.weights.find(name)->second.to_float();
  }

  Epilogue epilogue(const LoweredEpilogue& e) const {
    return {e.before, e.join, e.join == Epilogue::Join::kNone ? View() : context_.places.view(e.other),
            e.after};
  }

  ConvDescription describe(const Tensor& weight, const Tensor& bias, const View& src) const {
    ConvDescription description;
    description.src = src;
    description.dst = dst_;
    description.weight = weight.values();
    if (bias.defined()) description.bias = bias.values();
    description.kernels = &kernels_;
    description.pool = &context_.pool;
    return description;
  }
  ConvDescription describe(const Conv& conv, const View& src, const Tensor& weight,
                           const Tensor& bias) const {
    ConvDescription description = describe(weight, bias, src);
    description.kernel = conv.kernel;
    description.stride = conv.stride;
    description.dilation = conv.dilation;
    description.pad_y = resolve_padding(conv.padding, src.height, conv.kernel, conv.stride, conv.dilation);
    description.pad_x = resolve_padding(conv.padding, src.width, conv.kernel, conv.stride, conv.dilation);
    return description;
  }

  static double macs_a_row(const Tensor& weight) {
    return static_cast<double>(element_count(weight.shape())) / static_cast<double>(weight.shape()[0]);
  }
  double macs_of_outputs(const Tensor& weight) const {
    return static_cast<double>(dst_.images * dst_.channels * dst_.pixels()) * macs_a_row(weight);
  }

  const StepContext& context_;
  const Kernels& kernels_;
  const std::vector<View> inputs_;
  const View& src_;
  const View dst_;
};

}  // namespace

MadeStep make_step(const LoweredOp& op, const StepContext& context) {
  return std::visit(Maker(op, context), op.operation);
}

}  // namespace marrow::engine
