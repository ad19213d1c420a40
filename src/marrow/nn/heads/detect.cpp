#include "marrow/nn/heads/detect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr const char* kBinsName = "dfl.conv.weight";

// Two 3x3 units and a 1x1 convolution with bias: "<name>.0", ".1", ".2".
Value branch(GraphBuilder& g, Value x, const std::string& name, int hidden, int out,
             std::optional<Init> bias_init, const Activation& activation) {
  const auto scope = g.scope(name);
  x = conv_unit(g, x, "0", {.out = hidden, .kernel = 3}, activation);
  x = conv_unit(g, x, "1", {.out = hidden, .kernel = 3}, activation);
  return g.conv(x, "2", {.out = out, .bias = true, .bias_init = bias_init});
}

// Depthwise 3x3 and 1x1 units "<name>.0.0", ".0.1", ".1.0", ".1.1" and a 1x1 convolution with bias, ".2".
Value depthwise_branch(GraphBuilder& g, Value x, const std::string& name, int hidden, int out,
                       std::optional<Init> bias_init, const Activation& activation) {
  const auto scope = g.scope(name);
  for (const char* pair : {"0", "1"}) {
    const auto inside = g.scope(pair);
    x = depthwise_unit(g, x, "0", {.out = g.channels(x), .kernel = 3}, activation);
    x = conv_unit(g, x, "1", {.out = hidden}, activation);
  }
  return g.conv(x, "2", {.out = out, .bias = true, .bias_init = bias_init});
}

std::string numbered(std::string_view name, size_t level) {
  return fmt::format("{}{}", name, level);
}

void tap_maps(GraphBuilder& g, std::string_view name, std::span<const Value> maps) {
  for (size_t k = 0; k < maps.size(); ++k) g.tap(numbered(name, k), maps[k]);
}

}  // namespace

std::vector<Value> detect_branches(GraphBuilder& g, std::span<const Value> levels, std::string_view prefix,
                                   const DetectOptions& options) {
  const auto& [classes, activation, settings] = options;
  if (levels.empty()) throw Error(ErrorKind::kModel, "a detection head needs at least one level");
  const int first = g.channels(levels[0]);
  const int box_channels = 4 * settings.reg_max;
  const int box_hidden = std::max({16, first / 4, box_channels});
  const int class_hidden =
      settings.class_branch > 0 ? settings.class_branch : std::max(first, std::min(classes, 100));
  std::vector<Value> boxes, scores, raw;
  for (size_t k = 0; k < levels.size(); ++k)
    boxes.push_back(branch(g, levels[k], fmt::format("{}cv2.{}", prefix, k), box_hidden, box_channels,
                           Init::constant(1), activation));
  for (size_t k = 0; k < levels.size(); ++k) {
    const double stride = g.stride(levels[k]);
    if (!(stride > 0))
      throw Error(ErrorKind::kModel,
                  fmt::format("level {} has no fixed stride: its map's size does not follow the image's", k));
    const double cells = 640 / stride;
    const Init bias = Init::constant(std::log(5.0 / classes / (cells * cells)));
    const auto class_branch = settings.depthwise_class_branch ? depthwise_branch : branch;
    scores.push_back(class_branch(g, levels[k], fmt::format("{}cv3.{}", prefix, k), class_hidden, classes,
                                  bias, activation));
  }
  for (size_t k = 0; k < levels.size(); ++k) raw.push_back(g.concat({boxes[k], scores[k]}));
  return raw;
}

std::vector<Value> detect_head(GraphBuilder& g, std::span<const Value> levels, const DetectOptions& options) {
  std::vector<Value> raw = detect_branches(g, levels, "", options);
  decode_head(g, raw, options);
  if (options.settings.end2end) {
    const std::vector<Value> single = detect_branches(g, levels, "one2one_", options);
    tap_maps(g, "one2one_feat", single);
    g.output(kOneToOneOutput, g.detect_decode(single, kBinsName, options.classes, options.settings.reg_max));
  }
  return raw;
}

void decode_head(GraphBuilder& g, std::span<const Value> raw, const DetectOptions& options, DetectExtra extra,
                 std::span<const Value> extras) {
  tap_maps(g, "feat", raw);
  g.output(kDecodedOutput,
           g.detect_decode(raw, kBinsName, options.classes, options.settings.reg_max, extra, extras));
}

std::vector<Value> third_branches(GraphBuilder& g, std::span<const Value> levels, int channels,
                                  std::string_view tap, const Activation& activation) {
  const int hidden = std::max(g.channels(levels[0]) / 4, channels);
  std::vector<Value> maps;
  for (size_t k = 0; k < levels.size(); ++k)
    maps.push_back(branch(g, levels[k], numbered("cv4.", k), hidden, channels, {}, activation));
  tap_maps(g, tap, maps);
  return maps;
}

namespace {

// The decode has no bins where there is one.
int silent_in_detect(const ModuleCall& call) {
  return call.head.reg_max == 1 ? 1 : 0;
}

const ModuleRegistration kDetect{
    {.name = "Detect",
     .channels = Module::Channels::kHead,
     .task = "detect",
     .arguments = {"classes", "reg_max", "end2end"},
     .build =
         [](ModuleCall& call) {
           return detect_head(call.graph, call.inputs,
                              {call.positive(0, call.classes), call.activation, call.head});
         },
     .prepare =
         [](ModuleCall& call) {
           // The line's own arguments win over the model's keys, which are shown where they
           // are not the usual ones.
           call.head.reg_max = call.positive(1, call.head.reg_max, kMostBins);
           call.head.end2end = call.boolean(2, call.head.end2end);
           const HeadSettings usual;
           call.args = nlohmann::json::array({call.positive(0, call.classes)});
           if (call.head.reg_max == usual.reg_max && !call.head.end2end) return;
           call.args.push_back(call.head.reg_max);
           call.args.push_back(call.head.end2end ? nlohmann::json(true) : nlohmann::json());
         },
     .silent_modules = silent_in_detect}};

// Always end to end, with YOLO11's class branch.
const ModuleRegistration kDetectV10{{.name = "v10Detect",
                                     .channels = Module::Channels::kHead,
                                     .task = "detect",
                                     .arguments = {"classes"},
                                     .build = [](ModuleCall& call) {
                                       HeadSettings settings = call.head;
                                       settings.depthwise_class_branch = settings.end2end = true;
                                       return detect_head(
                                           call.graph, call.inputs,
                                           {call.positive(0, call.classes), call.activation, settings});
                                     }}};

}  // namespace
}  // namespace marrow::nn
