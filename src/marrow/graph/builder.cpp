#include "marrow/graph/builder.h"

#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"

namespace marrow {

GraphBuilder::Scope GraphBuilder::scope(std::string_view name) {
  const size_t length = path_.size();
  path_ = full_name(name);
  return Scope(*this, length);
}

std::string GraphBuilder::full_name(std::string_view name) const {
  if (name.empty()) return path_;
  if (path_.empty()) return std::string(name);
  return path_ + '.' + std::string(name);
}

void GraphBuilder::fail(std::string_view operation, const std::string& message) const {
  throw Error(ErrorKind::kShape,
              fmt::format("[{}]{}{}: {}", operation, path_.empty() ? "" : " ", path_, message),
              {.node = path_});
}

Value GraphBuilder::add_node(Operation operation, std::vector<Value> inputs, int channels, double stride) {
  const Value value{static_cast<int>(graph_.nodes.size())};
  graph_.nodes.push_back({std::move(operation), std::move(inputs), path_, channels, stride});
  return value;
}

std::string GraphBuilder::add_parameter(std::string_view module, std::string_view leaf, Shape shape,
                                        ParameterRole role, Init init) {
  std::string name = full_name(module);
  if (!name.empty()) name += '.';
  name += leaf;
  if (!declared_.insert(name).second) fail("parameter", "'" + name + "' is declared twice");
  graph_.parameters.push_back({name, std::move(shape), role, init});
  return name;
}

Value GraphBuilder::input(int channels, const InputFormat& format) {
  return add_node(Input{channels, format}, {}, channels, 1);
}

Value GraphBuilder::conv(Value x, std::string_view name, const ConvOptions& o) {
  const int in = channels(x);
  if (o.out <= 0 || o.kernel <= 0 || o.stride <= 0 || o.dilation <= 0 || o.groups <= 0)
    fail("conv",
         fmt::format("out channels {}, kernel {}, stride {}, dilation {} and groups {} must be positive",
                     o.out, o.kernel, o.stride, o.dilation, o.groups));
  if (in % o.groups != 0 || o.out % o.groups != 0)
    fail("conv",
         fmt::format("{} input and {} output channels do not divide into {} groups", in, o.out, o.groups));

  Conv conv{.out_channels = o.out,
            .kernel = o.kernel,
            .stride = o.stride,
            .dilation = o.dilation,
            .groups = o.groups};
  conv.padding = o.padding.value_or(Padding::symmetric((o.dilation * (o.kernel - 1) + 1) / 2));
  const int64_t fan_in = int64_t{in} / o.groups * o.kernel * o.kernel;
  const Init by_fan_in = Init::uniform(1.0 / std::sqrt(static_cast<double>(fan_in)));
  conv.weight = add_parameter(name, "weight", {o.out, in / o.groups, o.kernel, o.kernel},
                              o.fixed ? ParameterRole::kFixed : ParameterRole::kWeight,
                              o.weight_init.value_or(by_fan_in));
  if (o.bias)
    conv.bias = add_parameter(name, "bias", {o.out}, ParameterRole::kBias, o.bias_init.value_or(by_fan_in));
  auto named = scope(name);
  return add_node(std::move(conv), {x}, o.out, stride(x) * o.stride);
}

Value GraphBuilder::conv_transpose(Value x, std::string_view name, const ConvTransposeOptions& o) {
  const int in = channels(x);
  if (o.out <= 0 || o.kernel <= 0 || o.stride <= 0)
    fail("conv_transpose", "out channels, kernel and stride must be positive");
  if (o.output_padding < 0 || o.output_padding >= o.stride)
    fail("conv_transpose",
         fmt::format("an output padding of {} at stride {}; it must be smaller", o.output_padding, o.stride));
  ConvTranspose conv{o.out, o.kernel, o.stride, o.padding, o.output_padding, {}, {}};
  // PyTorch takes dimension 1 of the weight as the fan-in, here the output channels.
  const Init init = Init::uniform(1.0 / std::sqrt(static_cast<double>(o.out) * o.kernel * o.kernel));
  conv.weight = add_parameter(name, "weight", {in, o.out, o.kernel, o.kernel}, ParameterRole::kWeight, init);
  if (o.bias) conv.bias = add_parameter(name, "bias", {o.out}, ParameterRole::kBias, init);
  auto named = scope(name);
  return add_node(std::move(conv), {x}, o.out, stride(x) / o.stride);
}

Value GraphBuilder::batch_norm(Value x, std::string_view name, const BatchNormOptions& o) {
  const Shape shape = {channels(x)};
  BatchNorm norm{.eps = o.eps, .momentum = o.momentum};
  norm.weight = add_parameter(name, "weight", shape, ParameterRole::kNormWeight, Init::constant(1));
  norm.bias =
      add_parameter(name, "bias", shape, ParameterRole::kNormBias, o.bias_init.value_or(Init::constant(0)));
  norm.running_mean =
      add_parameter(name, "running_mean", shape, ParameterRole::kRunningMean, Init::constant(0));
  norm.running_var = add_parameter(name, "running_var", shape, ParameterRole::kRunningVar, Init::constant(1));
  norm.num_batches_tracked =
      add_parameter(name, "num_batches_tracked", {}, ParameterRole::kCounter, Init::constant(0));
  auto named = scope(name);
  return add_node(std::move(norm), {x}, channels(x), stride(x));
}

Value GraphBuilder::linear(Value x, std::string_view name, int out_features, std::optional<Init> weight_init,
                           std::optional<Init> bias_init, bool bias) {
  if (out_features <= 0) fail("linear", "out features must be positive");
  const int in = channels(x);
  const Init by_fan_in = Init::uniform(1.0 / std::sqrt(static_cast<double>(in)));
  Linear linear{.out_features = out_features, .weight = {}, .bias = {}};
  linear.weight = add_parameter(name, "weight", {out_features, in}, ParameterRole::kWeight,
                                weight_init.value_or(by_fan_in));
  if (bias)
    linear.bias =
        add_parameter(name, "bias", {out_features}, ParameterRole::kBias, bias_init.value_or(by_fan_in));
  auto named = scope(name);
  return add_node(std::move(linear), {x}, out_features, stride(x));
}

Value GraphBuilder::activation(Value x, const Activation& activation) {
  if (activation.kind == ActivationKind::kIdentity) return x;
  return add_node(activation, {x}, channels(x), stride(x));
}

Activation GraphBuilder::unit_activation(const Activation& usual) {
  const auto found = replaced_.find(path_);
  if (found == replaced_.end() || found->second == usual) return usual;
  differing_.insert(*found);
  return found->second;
}

std::string GraphBuilder::scalar(std::string_view name, double initial) {
  const std::string full = full_name(name);
  if (graph_.find_parameter(full) == nullptr)
    graph_.parameters.push_back({full, Shape{}, ParameterRole::kScalar, Init::constant(initial)});
  return full;
}

std::string GraphBuilder::constant(std::string_view name, Shape shape, Init init) {
  const std::string full = full_name(name);
  if (!declared_.insert(full).second) fail("constant", "'" + full + "' is declared twice");
  graph_.parameters.push_back({full, std::move(shape), ParameterRole::kConstant, init});
  return full;
}

Value GraphBuilder::leaky_relu(Value x, const std::string& slope_parameter) {
  const Parameter* slope = graph_.find_parameter(slope_parameter);
  if (slope == nullptr || slope->role != ParameterRole::kScalar)
    fail("leaky_relu", "'" + slope_parameter + "' is not a declared scalar");
  return add_node(Activation{ActivationKind::kLeakyRelu, slope->init.value, slope_parameter}, {x},
                  channels(x), stride(x));
}

namespace {

bool strides_differ(double a, double b) {
  return a > 0 && b > 0 && a != b;
}

}  // namespace

Value GraphBuilder::add(Value a, Value b) {
  if (channels(a) != channels(b))
    fail("add", fmt::format("the sides have {} and {} channels", channels(a), channels(b)));
  if (strides_differ(stride(a), stride(b)))
    fail("add", fmt::format("the sides have strides {} and {}", stride(a), stride(b)));
  return add_node(Add{}, {a, b}, channels(a), stride(a));
}

Value GraphBuilder::multiply(Value a, Value b) {
  if (channels(a) != channels(b))
    fail("multiply", fmt::format("the sides have {} and {} channels", channels(a), channels(b)));
  return add_node(Multiply{}, {a, b}, channels(a), stride(a));
}

Value GraphBuilder::concat(std::span<const Value> values) {
  if (values.empty()) fail("concat", "there is nothing to concatenate");
  int total = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    total += channels(values[i]);
    if (strides_differ(stride(values[0]), stride(values[i])))
      fail("concat",
           fmt::format("inputs 0 ({}) and {} ({}) have strides {} and {}, so their maps differ in size",
                       graph_.node(values[0]).name, i, graph_.node(values[i]).name, stride(values[0]),
                       stride(values[i])));
  }
  return add_node(Concat{}, {values.begin(), values.end()}, total, stride(values[0]));
}

Value GraphBuilder::slice(Value x, int begin, int end, int groups) {
  if (groups <= 0 || channels(x) % groups != 0)
    fail("slice", fmt::format("{} channels do not divide into {} groups", channels(x), groups));
  if (begin < 0 || begin >= end || end > channels(x) / groups)
    fail("slice", fmt::format("channels {} to {} of {}", begin, end, channels(x) / groups));
  return add_node(Slice{begin, end, groups}, {x}, groups * (end - begin), stride(x));
}

Value GraphBuilder::scale(Value x, std::string_view name, double initial) {
  std::string weight = full_name(name);
  if (!declared_.insert(weight).second) fail("scale", "'" + weight + "' is declared twice");
  graph_.parameters.push_back({weight, {channels(x)}, ParameterRole::kWeight, Init::constant(initial)});
  return add_node(Scale{std::move(weight)}, {x}, channels(x), stride(x));
}

Value GraphBuilder::attention(Value x, const Attention& o) {
  if (o.heads <= 0 || o.key_channels <= 0 || o.value_channels <= 0 || o.areas <= 0)
    fail("attention",
         fmt::format("heads {}, key channels {}, value channels {} and areas {} must be positive", o.heads,
                     o.key_channels, o.value_channels, o.areas));
  if (int64_t{o.heads} * (2 * int64_t{o.key_channels} + o.value_channels) != channels(x))
    fail("attention", fmt::format("{} channels, wanted {} heads of twice {} and {}", channels(x), o.heads,
                                  o.key_channels, o.value_channels));
  return add_node(o, {x}, o.heads * o.value_channels, stride(x));
}

Value GraphBuilder::channel_shuffle(Value x, int groups) {
  if (groups <= 0 || channels(x) % groups != 0)
    fail("channel_shuffle", fmt::format("{} channels do not divide into {} groups", channels(x), groups));
  return add_node(ChannelShuffle{groups}, {x}, channels(x), stride(x));
}

Value GraphBuilder::max_pool(Value x, int kernel, int stride_factor, int padding) {
  if (kernel <= 0 || stride_factor <= 0 || padding < 0 || 2 * padding > kernel)
    fail("max_pool", fmt::format("kernel {}, stride {}, padding {} (padding may be half the kernel at most)",
                                 kernel, stride_factor, padding));
  return add_node(MaxPool{kernel, stride_factor, padding}, {x}, channels(x), stride(x) * stride_factor);
}

Value GraphBuilder::adaptive_max_pool(Value x, int size) {
  if (size <= 0) fail("adaptive_max_pool", fmt::format("size {} must be positive", size));
  return add_node(AdaptiveMaxPool{size}, {x}, channels(x), 0);
}

Value GraphBuilder::global_average_pool(Value x) {
  return add_node(GlobalAveragePool{}, {x}, channels(x), 0);
}

Value GraphBuilder::average_pool(Value x, int kernel, int stride, int padding) {
  const int in = channels(x);
  return conv(x, "average",
              {.out = in,
               .kernel = kernel,
               .stride = stride,
               .groups = in,
               .padding = Padding::symmetric(padding),
               .fixed = true,
               .weight_init = Init::constant(1.0 / (static_cast<double>(kernel) * kernel))});
}

Value GraphBuilder::zero_pad(Value x, int before, int after) {
  const int in = channels(x);
  return conv(x, "pad",
              {.out = in,
               .groups = in,
               .padding = Padding{.before = before, .after = after},
               .fixed = true,
               .weight_init = Init::constant(1)});
}

Value GraphBuilder::space_to_depth(Value x) {
  const int in = channels(x);
  const Value corners = conv(x, "corners",
                             {.out = 4 * in,
                              .kernel = 2,
                              .stride = 2,
                              .groups = in,
                              .padding = Padding::symmetric(0),
                              .fixed = true,
                              .weight_init = Init::corners()});
  return channel_shuffle(corners, in);
}

Value GraphBuilder::upsample(Value x, int factor) {
  if (factor <= 0) fail("upsample", fmt::format("factor {} must be positive", factor));
  return add_node(Upsample{factor}, {x}, channels(x), stride(x) / factor);
}

Value GraphBuilder::flatten(Value x) {
  return add_node(Flatten{}, {x}, channels(x), 0);
}

Value GraphBuilder::dropout(Value x, double rate, bool downscale_in_inference) {
  if (rate < 0 || rate >= 1) fail("dropout", fmt::format("rate {} is not in [0, 1)", rate));
  if (rate == 0) return x;
  return add_node(Dropout{rate, downscale_in_inference}, {x}, channels(x), stride(x));
}

Value GraphBuilder::drop_path(Value x, double rate) {
  if (rate < 0 || rate >= 1) fail("drop_path", fmt::format("rate {} is not in [0, 1)", rate));
  if (rate == 0) return x;
  return add_node(DropPath{rate}, {x}, channels(x), stride(x));
}

Value GraphBuilder::detect_decode(std::span<const Value> maps, std::string_view bins_name, int classes,
                                  int reg_max, DetectExtra extra, std::span<const Value> extras) {
  DetectDecode decode{.classes = classes, .reg_max = reg_max, .strides = {}, .bins = {}, .extra = extra};
  for (const Value map : maps) {
    if (channels(map) != classes + 4 * reg_max)
      fail("detect_decode", fmt::format("a raw map has {} channels, wanted 4 * {} + {} classes",
                                        channels(map), reg_max, classes));
    const double s = stride(map);
    if (s < 1 || s != std::floor(s))
      fail("detect_decode", fmt::format("a raw map has stride {}; a whole number of pixels is needed (0 "
                                        "means that the map's size does not follow the image's)",
                                        s));
    decode.strides.push_back(static_cast<int>(s));
  }
  if (reg_max > 1) {
    decode.bins = full_name(bins_name);
    if (!declared_.contains(decode.bins)) constant(bins_name, {1, reg_max, 1, 1}, Init::arange());
  }
  std::vector<Value> inputs(maps.begin(), maps.end());
  inputs.insert(inputs.end(), extras.begin(), extras.end());
  if (extra != DetectExtra::kNone) decode.extra_channels = extras.empty() ? 0 : channels(extras[0]);
  if (extras.size() != (extra == DetectExtra::kNone ? 0 : maps.size()))
    fail("detect_decode",
         fmt::format("{} maps of {} for {} levels", extras.size(), extra_name(extra), maps.size()));
  for (size_t level = 0; level < extras.size(); ++level)
    if (channels(extras[level]) != decode.extra_channels ||
        decode.extra_channels % numbers_of_point(extra) != 0 ||
        (extra == DetectExtra::kAngle && decode.extra_channels != 1) ||
        stride(extras[level]) != stride(maps[level]))
      fail("detect_decode",
           fmt::format("a map of {} has {} channels and stride {}; its level has stride {}, the first map {} "
                       "channels, and a point takes {}",
                       extra_name(extra), channels(extras[level]), stride(extras[level]), stride(maps[level]),
                       decode.extra_channels, extra == DetectExtra::kAngle ? 1 : numbers_of_point(extra)));
  const int rows = decode.rows();
  return add_node(std::move(decode), std::move(inputs), rows, 0);
}

void GraphBuilder::output(std::string_view name, Value value) {
  graph_.outputs.push_back({std::string(name), value});
}
void GraphBuilder::tap(std::string_view name, Value value) {
  graph_.taps.push_back({std::string(name), value});
}

Graph GraphBuilder::build() && {
  verify(graph_);
  return std::move(graph_);
}

}  // namespace marrow
