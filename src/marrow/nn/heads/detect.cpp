#include "marrow/nn/heads/detect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr int kBoxChannels = 4 * kRegMax;
constexpr const char* kBinsName = "dfl.conv.weight";

// Two 3x3 units and a 1x1 convolution with bias: "<name>.0", ".1", ".2".
Value branch(GraphBuilder& g, Value x, const std::string& name, int hidden, int out,
             std::optional<Init> bias_init, const Activation& activation) {
  const auto scope = g.scope(name);
  x = conv_unit(g, x, "0", {.out = hidden, .kernel = 3}, activation);
  x = conv_unit(g, x, "1", {.out = hidden, .kernel = 3}, activation);
  return g.conv(x, "2", {.out = out, .bias = true, .bias_init = bias_init});
}

std::string numbered(std::string_view name, size_t level) {
  return fmt::format("{}{}", name, level);
}

}  // namespace

std::vector<Value> detect_branches(GraphBuilder& g, std::span<const Value> levels,
                                   const DetectOptions& options) {
  const auto& [classes, activation, class_branch] = options;
  if (levels.empty()) throw Error(ErrorKind::kModel, "a detection head needs at least one level");
  const int first = g.channels(levels[0]);
  const int box_hidden = std::max({16, first / 4, kBoxChannels});
  const int class_hidden = class_branch > 0 ? class_branch : std::max(first, std::min(classes, 100));
  std::vector<Value> boxes, scores, raw;
  for (size_t k = 0; k < levels.size(); ++k)
    boxes.push_back(
        branch(g, levels[k], numbered("cv2.", k), box_hidden, kBoxChannels, Init::constant(1), activation));
  for (size_t k = 0; k < levels.size(); ++k) {
    const double stride = g.stride(levels[k]);
    if (!(stride > 0))
      throw Error(ErrorKind::kModel,
                  fmt::format("level {} has no fixed stride: its map's size does not follow the image's", k));
    const double cells = 640 / stride;
    const Init bias = Init::constant(std::log(5.0 / classes / (cells * cells)));
    scores.push_back(branch(g, levels[k], numbered("cv3.", k), class_hidden, classes, bias, activation));
  }
  for (size_t k = 0; k < levels.size(); ++k) {
    raw.push_back(g.concat({boxes[k], scores[k]}));
    g.tap(numbered("feat", k), raw[k]);
  }
  return raw;
}

std::vector<Value> detect_head(GraphBuilder& g, std::span<const Value> levels, const DetectOptions& options) {
  std::vector<Value> raw = detect_branches(g, levels, options);
  g.output("output0", g.detect_decode(raw, kBinsName, options.classes, kRegMax));
  return raw;
}

std::vector<Value> detect_head_undecoded(GraphBuilder& g, std::span<const Value> levels,
                                         const DetectOptions& options) {
  std::vector<Value> raw = detect_branches(g, levels, options);
  g.constant(kBinsName, {1, kRegMax, 1, 1}, Init::arange());
  for (size_t k = 0; k < raw.size(); ++k) g.output(numbered("feat", k), raw[k]);
  return raw;
}

std::vector<Value> third_branches(GraphBuilder& g, std::span<const Value> levels, int channels,
                                  std::string_view output, const Activation& activation) {
  const int hidden = std::max(g.channels(levels[0]) / 4, channels);
  std::vector<Value> maps;
  for (size_t k = 0; k < levels.size(); ++k) {
    maps.push_back(branch(g, levels[k], numbered("cv4.", k), hidden, channels, {}, activation));
    g.output(numbered(output, k), maps[k]);
  }
  return maps;
}

namespace {

const ModuleRegistration kDetect{{.name = "Detect",
                                  .channels = Module::Channels::kHead,
                                  .task = "detect",
                                  .arguments = {"classes"},
                                  .build = [](ModuleCall& call) {
                                    return detect_head(
                                        call.graph, call.inputs,
                                        {call.positive(0, call.classes), call.activation, call.class_branch});
                                  }}};

}  // namespace
}  // namespace marrow::nn
