#include "marrow/nn/blocks/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/c3k2.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr int kHeadChannels = 64;
constexpr int kAreaHeadChannels = 32;
// Modules of the reference that are no operation here: the identities of "qkv", "pe", "proj" and of the last
// 1x1 unit.
constexpr int kSilentInAttention = 4;

// Between "qkv" and "proj": the sum of the attention and of the values' depthwise unit.
Value attend(GraphBuilder& g, Value x, std::string_view name, const Attention& attention, int kernel) {
  const auto scope = g.scope(name);
  const int values = attention.heads * attention.value_channels;
  const Value qkv =
      conv_unit(g, x, "qkv", {.out = attention.heads * attention.head_channels()}, kNoActivation);
  const Value mixed = g.attention(qkv, attention);
  const Value v = g.slice(qkv, 2 * attention.key_channels, attention.head_channels(), attention.heads);
  const Value place =
      conv_unit(g, v, "pe", {.out = values, .kernel = kernel, .groups = values}, kNoActivation);
  return conv_unit(g, g.add(mixed, place), "proj", {.out = values}, kNoActivation);
}

// 1x1 to `hidden` channels and back, "<name>.0" and ".1".
Value pointwise_pair(GraphBuilder& g, Value x, std::string_view name, int hidden,
                     const Activation& activation) {
  const auto scope = g.scope(name);
  const Value wide = conv_unit(g, x, "0", {.out = hidden}, activation);
  return conv_unit(g, wide, "1", {.out = g.channels(x)}, kNoActivation);
}

Value halves(GraphBuilder& g, Value x, const Activation& activation,
             const std::function<Value(Value)>& inside) {
  const int hidden = expanded(g.channels(x), 0.5);
  const Value both = conv_unit(g, x, "cv1", {.out = 2 * hidden}, activation);
  const Value around = g.slice(both, 0, hidden);
  const Value through = inside(g.slice(both, hidden, 2 * hidden));
  return conv_unit(g, g.concat({around, through}), "cv2", {.out = g.channels(x)}, activation);
}

}  // namespace

Value position_attention(GraphBuilder& g, Value x, std::string_view name, int heads) {
  const int channels = g.channels(x);
  if (heads < 1 || channels % heads != 0)
    throw Error(ErrorKind::kModel, fmt::format("{} channels do not divide into {} heads", channels, heads));
  const int values = channels / heads;
  if (values < 2) throw Error(ErrorKind::kModel, fmt::format("a head of {} channels has no keys", values));
  return attend(g, x, name,
                {.heads = heads, .key_channels = values / 2, .value_channels = values, .areas = 1}, 3);
}

Value attention_block(GraphBuilder& g, Value x, std::string_view name, const Activation& activation,
                      bool shortcut) {
  const auto scope = g.scope(name);
  const auto join = [&](Value branch) { return shortcut ? g.add(x, branch) : branch; };
  x = join(position_attention(g, x, "attn", std::max(g.channels(x) / kHeadChannels, 1)));
  return join(pointwise_pair(g, x, "ffn", 2 * g.channels(x), activation));
}

Value c2psa(GraphBuilder& g, Value x, std::string_view name, int repeats, const Activation& activation) {
  const auto scope = g.scope(name);
  return halves(g, x, activation, [&](Value v) {
    for (int i = 0; i < repeats; ++i) v = attention_block(g, v, "m." + std::to_string(i), activation);
    return v;
  });
}

Value psa(GraphBuilder& g, Value x, std::string_view name, const Activation& activation) {
  const auto scope = g.scope(name);
  return halves(g, x, activation, [&](Value v) { return attention_block(g, v, "", activation); });
}

Value area_attention(GraphBuilder& g, Value x, std::string_view name, int heads, int areas) {
  const int channels = g.channels(x);
  if (heads < 1 || channels % heads != 0)
    throw Error(ErrorKind::kModel, fmt::format("{} channels do not divide into {} heads", channels, heads));
  const int each = channels / heads;
  return attend(g, x, name, {.heads = heads, .key_channels = each, .value_channels = each, .areas = areas},
                7);
}

Value area_attention_block(GraphBuilder& g, Value x, std::string_view name, int areas, double mlp_ratio,
                           const Activation& activation) {
  const auto scope = g.scope(name);
  const int channels = g.channels(x);
  if (channels % kAreaHeadChannels != 0)
    throw Error(ErrorKind::kModel,
                fmt::format("area attention has heads of {} channels; {} channels do not divide",
                            kAreaHeadChannels, channels));
  x = g.add(x, area_attention(g, x, "attn", channels / kAreaHeadChannels, areas));
  return g.add(x, pointwise_pair(g, x, "mlp", expanded(channels, mlp_ratio), activation));
}

Value a2c2f(GraphBuilder& g, Value x, std::string_view name, const A2C2fOptions& options,
            const Activation& activation) {
  const auto scope = g.scope(name);
  const int hidden = expanded(options.out, options.expansion);
  std::vector<Value> parts = {conv_unit(g, x, "cv1", {.out = hidden}, activation)};
  for (int i = 0; i < options.repeats; ++i) {
    const std::string unit = "m." + std::to_string(i);
    if (options.attention) {
      const auto pair = g.scope(unit);
      const Value first =
          area_attention_block(g, parts.back(), "0", options.areas, options.mlp_ratio, activation);
      parts.push_back(area_attention_block(g, first, "1", options.areas, options.mlp_ratio, activation));
    } else {
      parts.push_back(c3k(
          g, parts.back(), unit,
          {.out = hidden, .repeats = 2, .shortcut = options.shortcut, .groups = options.groups}, activation));
    }
  }
  const Value result = conv_unit(g, g.concat(parts), "cv2", {.out = options.out}, activation);
  if (!options.attention || !options.residual) return result;
  constexpr double kInitialScale = 0.01;
  const Value scaled = g.scale(result, "gamma", kInitialScale);
  return g.channels(x) == options.out ? g.add(x, scaled) : scaled;
}

namespace {

// Blocks that keep the channels: the written width must be the input's.
void check_width(const ModuleCall& call) {
  if (const int in = call.graph.channels(call.input()); call.positive(0, 0) != in)
    call.refuse(0, fmt::format("the input's {}, which this block keeps", in));
}

const ModuleRegistration kC2Psa{
    {.name = "C2PSA",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .arguments = {"channels"},
     .build =
         [](ModuleCall& call) {
           check_width(call);
           return std::vector{c2psa(call.graph, call.input(), "", call.repeats, call.activation)};
         },
     .silent_modules = [](const ModuleCall& call) { return kSilentInAttention * call.repeats; }}};

const ModuleRegistration kPsa{{.name = "PSA",
                               .channels = Module::Channels::kScaled,
                               .arguments = {"channels"},
                               .build =
                                   [](ModuleCall& call) {
                                     check_width(call);
                                     return std::vector{psa(call.graph, call.input(), "", call.activation)};
                                   },
                               .silent_modules = [](const ModuleCall&) { return kSilentInAttention; }}};

A2C2fOptions a2c2f_options(const ModuleCall& call) {
  A2C2fOptions options;
  options.out = call.positive(0, 0);
  options.repeats = call.repeats;
  options.attention = call.boolean(1, true);
  options.areas = options.attention ? call.positive(2, 1, kMaxKernel) : 1;
  options.residual = call.boolean(3, false);
  options.mlp_ratio = call.number(4, 2);
  options.expansion = call.number(5, 0.5);
  options.groups = call.positive(6, 1);
  options.shortcut = call.boolean(7, true);
  return options;
}

const ModuleRegistration kA2C2f{
    {.name = "A2C2f",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .depthwise_class_branch = true,
     .arguments = {"channels", "attention", "areas", "residual", "mlp_ratio", "expansion", "groups",
                   "shortcut"},
     .build =
         [](ModuleCall& call) {
           return std::vector{a2c2f(call.graph, call.input(), "", a2c2f_options(call), call.activation)};
         },
     .prepare =
         [](ModuleCall& call) {
           if (call.scale != "l" && call.scale != "x") return;
           call.args.push_back(true);
           call.args.push_back(1.2);
         },
     .silent_modules =
         [](const ModuleCall& call) {
           return a2c2f_options(call).attention ? 2 * kSilentInAttention * call.repeats : 0;
         }}};

}  // namespace
}  // namespace marrow::nn
