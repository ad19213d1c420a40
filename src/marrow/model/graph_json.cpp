#include "marrow/model/graph_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/graph/builder.h"
#include "marrow/model/parameter_count.h"
#include "marrow/model/spec.h"

namespace marrow::model {
namespace {

using nlohmann::json;

constexpr size_t kMaxNodes = 10'000;
constexpr size_t kMaxOutputs = 1'000;     // outputs, taps
constexpr size_t kMaxNameLength = 1'000;  // bytes
constexpr int kMaxExtent = 4'096;         // kernels, paddings and the like, pixels
constexpr int kMaxInnerChannels = 4 * kMaxModelChannels;

// Products of two scales, and numbers of maps, stay far from the ends of float32.
constexpr double kSmallestScale = 1e-15, kLargestScale = 1e15;

constexpr const char* kSame = "same";
constexpr const char* kCorners = "corners";

// ---- writing

[[noreturn]] void unsupported(const Node& node, const std::string& why) {
  throw Error(ErrorKind::kUnsupported, fmt::format("[{}] {}: {}; such a graph cannot be stored",
                                                   operation_name(node.operation), node.name, why));
}

json padding_json(const Padding& padding) {
  return padding.same ? json(kSame) : json({padding.before, padding.after});
}

json fixed_json(const Node& node, const Init& init) {
  if (init == Init::corners()) return kCorners;
  if (init.kind != Init::Kind::kConstant) unsupported(node, "its fixed weights have no stored form");
  return init.value;
}

// What a node has beyond its name and inputs. An activation's kind is its operation's name.
json fields_of(const Graph& graph, const Node& node) {
  return std::visit(Overloaded{
                        [&](const Conv& op) -> json {
                          json fields = {{"out", op.out_channels},  {"kernel", op.kernel},
                                         {"stride", op.stride},     {"dilation", op.dilation},
                                         {"groups", op.groups},     {"padding", padding_json(op.padding)},
                                         {"bias", !op.bias.empty()}};
                          const Parameter* weight = graph.find_parameter(op.weight);
                          if (weight != nullptr && weight->role == ParameterRole::kFixed)
                            fields["fixed"] = fixed_json(node, weight->init);
                          return fields;
                        },
                        [](const ConvTranspose& op) -> json {
                          json fields = {{"out", op.out_channels},
                                         {"kernel", op.kernel},
                                         {"stride", op.stride},
                                         {"padding", op.padding}};
                          if (op.output_padding > 0) fields["output_padding"] = op.output_padding;
                          if (op.bias.empty()) fields["bias"] = false;
                          return fields;
                        },
                        [](const BatchNorm& op) -> json {
                          return {{"eps", op.eps}, {"momentum", op.momentum}};
                        },
                        [](const Activation& op) -> json {
                          return {{"slope", op.slope}};
                        },
                        [](const Slice& op) -> json {
                          return {{"begin", op.begin}, {"end", op.end}, {"groups", op.groups}};
                        },
                        [&](const Scale& op) -> json {
                          return {{"weight", op.weight.substr(node.name.empty() ? 0 : node.name.size() + 1)}};
                        },
                        [](const Attention& op) -> json {
                          return {{"heads", op.heads},
                                  {"key_channels", op.key_channels},
                                  {"value_channels", op.value_channels},
                                  {"areas", op.areas}};
                        },
                        [](const ChannelShuffle& op) -> json {
                          return {{"groups", op.groups}};
                        },
                        [](const MaxPool& op) -> json {
                          return {{"kernel", op.kernel}, {"stride", op.stride}, {"padding", op.padding}};
                        },
                        [](const AdaptiveMaxPool& op) -> json {
                          return {{"size", op.size}};
                        },
                        [](const Upsample& op) -> json {
                          return {{"factor", op.factor}};
                        },
                        [](const Linear& op) -> json {
                          return {{"out", op.out_features}, {"bias", !op.bias.empty()}};
                        },
                        [](const Dropout& op) -> json {
                          return {{"rate", op.rate}, {"downscale_in_inference", op.downscale_in_inference}};
                        },
                        [](const DropPath& op) -> json {
                          return {{"rate", op.rate}};
                        },
                        [&](const DetectDecode& op) -> json {
                          json fields = {{"classes", op.classes}, {"reg_max", op.reg_max}};
                          if (!op.bins.empty()) fields["bins"] = op.bins.substr(node.name.size() + 1);
                          if (op.extra != DetectExtra::kNone) fields["extra"] = extra_name(op.extra);
                          return fields;
                        },
                        [](const auto&) -> json { return json::object(); },
                    },
                    node.operation);
}

// Parameters are found again by the name of their node.
void check_names(const Node& node, std::set<std::string>& seen) {
  for (const std::string& name : parameter_names(node.operation)) {
    if (!seen.insert(name).second) unsupported(node, "its parameter '" + name + "' is shared");
    const bool below = name.starts_with(node.name + '.');
    if (!below || (!std::holds_alternative<DetectDecode>(node.operation) &&
                   name.find('.', node.name.size() + 1) != std::string::npos))
      unsupported(node, "its parameter '" + name + "' is not named after it");
  }
}

json names_json(const std::vector<NamedValue>& list) {
  json names = json::array();
  for (const NamedValue& named : list) names.push_back({named.name, named.value.id});
  return names;
}

// ---- reading

class GraphReader {
 public:
  GraphReader(const json& stored, const InputFormat& format) : stored_(stored) {
    values_.push_back(g_.input(integer(stored, "channels", 1, kMaxModelChannels), format));
  }

  Graph run() {
    const json& nodes = stored_.at("nodes");
    if (nodes.size() > kMaxNodes)
      fail(fmt::format("{} nodes, at most {} are possible", nodes.size(), kMaxNodes));
    for (const json& node : nodes) {
      node_ = &node;
      try {
        values_.push_back(read_node());
        check_limits();
        read_bytes();
      } catch (const Error& error) {
        throw Error(error.kind(), fmt::format("node {}: {}", values_.size(), error.what()));
      }
    }
    for (const auto& [name, value] : read_names("outputs")) g_.output(name, value);
    for (const auto& [name, value] : read_names("taps")) g_.tap(name, value);
    if (g_.graph().outputs.empty()) fail("it has no output");
    Graph graph = std::move(g_).build();
    for (const auto& [value, scale] : byte_scales_)
      graph.nodes[static_cast<size_t>(value.id)].byte_scale = scale;
    for (const Value layer : int8_layers_) graph.nodes[static_cast<size_t>(layer.id)].int8 = true;
    return graph;
  }

 private:
  [[noreturn]] static void fail(const std::string& message) { throw Error(ErrorKind::kFormat, message); }

  static int integer(const json& object, const char* key, int smallest, int largest) {
    const json& value = object.at(key);
    // A double holds every integer of interest, and anything else that a file may say.
    const double number = value;
    if (!value.is_number_integer() || number < smallest || number > largest)
      fail(fmt::format("{} is {}, wanted a whole number from {} to {}", key, printable(value.dump(), 40),
                       smallest, largest));
    return static_cast<int>(number);
  }
  int field(const char* key, int smallest, int largest) const {
    return integer(*node_, key, smallest, largest);
  }
  int extent(const char* key) const { return field(key, 1, kMaxExtent); }

  double number(const char* key, double smallest, double largest) const {
    const double value = node_->at(key);
    if (!(value >= smallest && value <= largest))
      fail(fmt::format("{} is {}, wanted a number from {} to {}", key, value, smallest, largest));
    return value;
  }

  static std::string text(const json& value) {
    std::string text = value;
    if (text.size() > kMaxNameLength) fail(fmt::format("a name of {} bytes", text.size()));
    return text;
  }

  Value value(const json& index) const {
    const json wrapped = {{"in", index}};
    return values_[static_cast<size_t>(integer(wrapped, "in", 0, static_cast<int>(values_.size()) - 1))];
  }

  std::vector<Value> inputs() const {
    const json& indices = node_->at("in");
    if (indices.empty() || indices.size() > kMaxModelInputs)
      fail(fmt::format("{} inputs, wanted 1 to {}", indices.size(), kMaxModelInputs));
    std::vector<Value> values;
    for (const json& index : indices) values.push_back(value(index));
    return values;
  }
  std::vector<Value> inputs(size_t count) const {
    std::vector<Value> values = inputs();
    if (values.size() != count) fail(fmt::format("{} inputs, wanted {}", values.size(), count));
    return values;
  }
  Value x() const { return inputs(1)[0]; }

  Padding padding() const {
    const json& stored = node_->at("padding");
    if (stored == kSame) return Padding::tensorflow_same();
    const json sides = {{"before", stored.at(0)}, {"after", stored.at(1)}};
    return {integer(sides, "before", 0, kMaxExtent), integer(sides, "after", 0, kMaxExtent), false};
  }

  std::optional<Init> fixed_weight() const {
    const auto fixed = node_->find("fixed");
    if (fixed == node_->end()) return {};
    return *fixed == kCorners ? Init::corners()
                              : Init::constant(number("fixed", -kLargestScale, kLargestScale));
  }

  Value detect_decode() {
    const std::string bins = node_->contains("bins") ? text(node_->at("bins")) : "";
    const std::string name = node_->contains("extra") ? text(node_->at("extra")) : "none";
    std::vector<std::string> known;
    for (int i = 0; i < kDetectExtras; ++i) known.emplace_back(extra_name(static_cast<DetectExtra>(i)));
    const auto place = std::ranges::find(known, name);
    if (place == known.end()) fail(unknown_name_message("extra", name, known));
    const auto extra = static_cast<DetectExtra>(place - known.begin());
    const std::vector<Value> maps = inputs();
    const size_t levels = extra == DetectExtra::kNone ? maps.size() : maps.size() / 2;
    return g_.detect_decode(std::span(maps).first(levels), bins, field("classes", 1, kMaxModelClasses),
                            field("reg_max", 1, kMaxExtent), extra, std::span(maps).subspan(levels));
  }

  Value read_node() {
    const std::string name = text(node_->at("name"));
    const std::string op = text(node_->at("op"));
    // Layers append their own name to the path; the rest stand in the scope that made them.
    if (op == "conv")
      return g_.conv(x(), name,
                     {.out = field("out", 1, kMaxInnerChannels),
                      .kernel = extent("kernel"),
                      .stride = extent("stride"),
                      .dilation = extent("dilation"),
                      .groups = field("groups", 1, kMaxInnerChannels),
                      .padding = padding(),
                      .bias = node_->at("bias"),
                      .fixed = node_->contains("fixed"),
                      .weight_init = fixed_weight()});
    if (op == "conv_transpose")
      return g_.conv_transpose(
          x(), name,
          {.out = field("out", 1, kMaxInnerChannels),
           .kernel = extent("kernel"),
           .stride = extent("stride"),
           .padding = field("padding", 0, kMaxExtent),
           .output_padding = node_->contains("output_padding") ? field("output_padding", 0, kMaxExtent) : 0,
           .bias = node_->value("bias", true)});
    if (op == "batch_norm")
      return g_.batch_norm(x(), name, {.eps = number("eps", 0, 1), .momentum = number("momentum", 0, 1)});
    if (op == "linear")
      return g_.linear(x(), name, field("out", 1, kMaxInnerChannels), {}, {}, node_->at("bias"));
    const auto scope = g_.scope(name);
    if (op == "detect_decode") return detect_decode();
    if (op == "add") return g_.add(inputs(2)[0], inputs(2)[1]);
    if (op == "multiply") return g_.multiply(inputs(2)[0], inputs(2)[1]);
    if (op == "concat") return g_.concat(inputs());
    if (op == "slice")
      return g_.slice(x(), field("begin", 0, kMaxInnerChannels), field("end", 1, kMaxInnerChannels),
                      node_->contains("groups") ? field("groups", 1, kMaxInnerChannels) : 1);
    if (op == "scale") return g_.scale(x(), text(node_->at("weight")), 1);
    if (op == "attention")
      return g_.attention(x(), {.heads = field("heads", 1, kMaxInnerChannels),
                                .key_channels = field("key_channels", 1, kMaxInnerChannels),
                                .value_channels = field("value_channels", 1, kMaxInnerChannels),
                                .areas = field("areas", 1, kMaxExtent)});
    if (op == "channel_shuffle") return g_.channel_shuffle(x(), field("groups", 1, kMaxInnerChannels));
    if (op == "max_pool")
      return g_.max_pool(x(), extent("kernel"), extent("stride"), field("padding", 0, kMaxExtent));
    if (op == "adaptive_max_pool") return g_.adaptive_max_pool(x(), extent("size"));
    if (op == "global_average_pool") return g_.global_average_pool(x());
    if (op == "upsample") return g_.upsample(x(), extent("factor"));
    if (op == "flatten") return g_.flatten(x());
    if (op == "dropout") return g_.dropout(x(), number("rate", 0, 1), node_->at("downscale_in_inference"));
    if (op == "drop_path") return g_.drop_path(x(), number("rate", 0, 1));
    constexpr double kLargestSlope = 1e6;
    for (int kind = 0; kind < kActivationKinds; ++kind)
      if (const auto activation = static_cast<ActivationKind>(kind); op == activation_name(activation))
        return g_.activation(x(), {activation, number("slope", -kLargestSlope, kLargestSlope), {}});
    fail("unknown operation '" + printable(op, 40) + "'");
  }

  // What quantisation adds to a node.
  void read_bytes() {
    if (const auto bytes = node_->find("bytes"); bytes != node_->end()) {
      const double scale = bytes->at(0);
      if (!(scale >= kSmallestScale && scale <= kLargestScale))
        fail(fmt::format("bytes: a scale of {}, wanted {} to {}", scale, kSmallestScale, kLargestScale));
      const json zero_point = {{"bytes", bytes->at(1)}};
      byte_scales_.emplace_back(values_.back(),
                                ByteScale{static_cast<float>(scale), integer(zero_point, "bytes", 0, 255)});
    }
    if (const auto int8 = node_->find("int8"); int8 != node_->end() && int8->get<bool>()) {
      if (!std::holds_alternative<Conv>(g_.graph().node(values_.back()).operation))
        fail("int8: only a convolution can be");
      int8_layers_.push_back(values_.back());
    }
  }

  // As model/build.cpp bounds what a YAML can ask for.
  void check_limits() {
    const Value last = values_.back();
    if (g_.channels(last) > kMaxInnerChannels)
      fail(fmt::format("{} channels, at most {} are possible", g_.channels(last), kMaxInnerChannels));
    if (const double stride = g_.stride(last); stride != 0 && (stride > kMaxModelStride || stride < 1.0 / 16))
      fail(fmt::format("stride {}; a map's stride lies between 1/16 and {}", stride, kMaxModelStride));
    if (const auto excess = parameters_.excess(g_.graph().parameters)) fail(*excess + " here");
  }

  std::vector<std::pair<std::string, Value>> read_names(const char* key) const {
    const json& stored = stored_.at(key);
    if (stored.size() > kMaxOutputs)
      fail(fmt::format("{} {}, at most {} are possible", stored.size(), key, kMaxOutputs));
    std::vector<std::pair<std::string, Value>> names;
    for (const json& pair : stored) names.emplace_back(text(pair.at(0)), value(pair.at(1)));
    return names;
  }

  const json& stored_;
  const json* node_ = nullptr;
  GraphBuilder g_;
  std::vector<Value> values_;
  std::vector<std::pair<Value, ByteScale>> byte_scales_;
  std::vector<Value> int8_layers_;
  ParameterCount parameters_;
};

}  // namespace

json graph_to_json(const Graph& graph) {
  json nodes = json::array();
  std::set<std::string> seen;
  for (size_t i = 1; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (const auto* activation = std::get_if<Activation>(&node.operation);
        activation && !activation->slope_name.empty())
      unsupported(node, "its slope '" + activation->slope_name + "' has a name");
    check_names(node, seen);
    json stored = fields_of(graph, node);
    stored["op"] = operation_name(node.operation);
    stored["name"] = node.name;
    if (node.byte_scale) stored["bytes"] = {node.byte_scale->scale, node.byte_scale->zero_point};
    if (node.int8) stored["int8"] = true;
    for (const Value input : node.inputs) stored["in"].push_back(input.id);
    nodes.push_back(std::move(stored));
  }
  return {{"channels", std::get<Input>(graph.nodes.at(0).operation).channels},
          {"nodes", std::move(nodes)},
          {"outputs", names_json(graph.outputs)},
          {"taps", names_json(graph.taps)}};
}

Graph graph_from_json(const json& stored, const InputFormat& format) {
  return GraphReader(stored, format).run();
}

}  // namespace marrow::model
