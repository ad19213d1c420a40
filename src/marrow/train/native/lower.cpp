// From a graph's nodes to the steps of a training program.
//
// A batch norm belongs to the map before it, an activation to those who read it; slices, concatenations and
// shuffles are lists of channels. What is left are steps.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "marrow/graph/training_mode.h"
#include "marrow/train/native/program.h"
#include "marrow/train/native/steps/convolution.h"
#include "marrow/train/native/steps/images.h"
#include "marrow/train/native/steps/input.h"
#include "marrow/train/native/steps/planes.h"

namespace marrow::train::native {
namespace {

// (N, C) is a map of one pixel.
Map map_of(const Shape& shape) {
  Map map;
  map.images = shape.at(0);
  map.channels = static_cast<int>(shape.at(1));
  if (shape.size() == 4) {
    map.height = shape[2];
    map.width = shape[3];
  }
  return map;
}

}  // namespace

class Lowering {
 public:
  Lowering(const Graph& graph, const ProgramSettings& settings, FlatParameters& parameters, Program& program)
      : graph_(graph),
        settings_(settings),
        parameters_(parameters),
        program_(program),
        shapes_(infer_shapes(graph, program.images_)),
        seen_(graph.nodes.size()),
        uses_(graph.nodes.size(), 0) {}

  void run() {
    program_.norms_.emplace_back(lanes());
    program_.inputs_.resize(settings_.given.size());
    std::vector<Value> values;
    for (const OutputRange& output : settings_.outputs) values.push_back(output.value);
    const std::vector<bool> needed = reachable(graph_, values, settings_.given);
    find_apart(values);
    for (const Value value : values) uses_[index(value)] += 2;  // stays as it is
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      if (needed[i] && given(i) < 0)
        for (const Value in : graph_.nodes[i].inputs) ++uses_[index(in)];
    for (index_ = 0; index_ < graph_.nodes.size(); ++index_) {
      if (!needed[index_]) continue;
      const Node& node = graph_.nodes[index_];
      if (const int which = given(index_); which >= 0)
        seen_[index_] = lower_given(static_cast<size_t>(which));
      else
        std::visit([&](const auto& op) { seen_[index_] = lower(op, node); }, node.operation);
      if (settings_.stores_all && !std::holds_alternative<Input>(node.operation) && !is_normed_next())
        seen_[index_] = stored(seen_[index_]);
      program_.checks_.push_back(
          {std::holds_alternative<Input>(node.operation) ? "the input" : step_name(node),
           Reader(seen_[index_], program_.maps_, lanes()), program_.steps_.size(),
           raw_map(seen_[index_]) >= 0});
    }
    for (const OutputRange& output : settings_.outputs) {
      Seen part = seen_[index(output.value)];
      part.channels = {part.channels.begin() + output.begin, part.channels.begin() + output.end};
      const int map = raw_map(part);
      program_.outputs_.push_back(map >= 0 && !shared(map) ? map : raw_map(stored(part)));
      taken_.push_back(program_.outputs_.back());
    }
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  int lanes() const { return program_.kernels_.lanes; }
  std::vector<Map>& maps() { return program_.maps_; }
  Map& map(int m) { return program_.maps_[static_cast<size_t>(m)]; }
  // What the node at work sees of one of its inputs.
  const Seen& in(const Node& node, size_t i = 0) {
    const size_t input = index(node.inputs[i]);
    if (!apart_[index_] || apart_[input]) return seen_[input];
    const auto known = detached_.find(input);
    return known != detached_.end() ? known->second : detached_[input] = detached(seen_[input]);
  }
  // Marks what the values of settings.apart need and no others do.
  void find_apart(const std::vector<Value>& values) {
    apart_.assign(graph_.nodes.size(), false);
    if (settings_.apart.empty()) return;
    std::vector<Value> others;
    for (const Value value : values)
      if (std::ranges::find(settings_.apart, value) == settings_.apart.end()) others.push_back(value);
    const std::vector<bool> own = reachable(graph_, settings_.apart, settings_.given),
                            shared = reachable(graph_, others, settings_.given);
    for (size_t i = 0; i < own.size(); ++i) apart_[i] = own[i] && !shared[i];
  }
  // A copy through which no gradient travels back.
  Seen detached(const Seen& seen) {
    const Seen copy = stored(seen);
    map(copy.readings.front().term.map).has_gradient = false;
    return copy;
  }
  static std::string step_name(const Node& node) {
    return fmt::format("{} ({})", operation_name(node.operation), node.name);
  }

  // Which of the given values a node's is, or -1.
  int given(size_t node) const {
    const auto found = std::ranges::find(settings_.given, Value{static_cast<int>(node)});
    return found == settings_.given.end() ? -1 : static_cast<int>(found - settings_.given.begin());
  }

  // One map serves one output.
  bool shared(int m) const { return std::ranges::find(taken_, m) != taken_.end(); }

  // Whether the next node is the batch norm of this one, which is to join its map.
  bool is_normed_next() const { return is_read_by_one<BatchNorm>(); }

  template <class Op>
  bool is_read_by_one() const {
    if (uses_[index_] != 1) return false;
    for (size_t i = index_ + 1; i < graph_.nodes.size(); ++i)
      for (const Value in : graph_.nodes[i].inputs)
        if (index(in) == index_) return std::holds_alternative<Op>(graph_.nodes[i].operation);
    return false;
  }

  ParameterPlace place(const std::string& name) { return place(name, program_.steps_.size()); }
  // `step`: the first in the program that adds to its gradient.
  ParameterPlace place(const std::string& name, size_t step) {
    if (name.empty()) return {};
    ParameterPlace place{parameters_.value(name).data(), nullptr};
    if (parameters_.entries()[parameters_.index_of(name)].trained) {
      place.gradient = parameters_.gradient(name).data();
      program_.trained_.push_back({name, step});
    }
    return place;
  }

  // A new map as a value.
  Seen seen_map(int m) {
    Seen seen;
    seen.readings = {{.term = {.map = m}}};
    for (int c = 0; c < map(m).channels; ++c) seen.channels.push_back({0, c});
    seen.images = map(m).images;
    seen.height = map(m).height;
    seen.width = map(m).width;
    return seen;
  }
  int add_map(const Shape& shape) {
    maps().push_back(map_of(shape));
    return static_cast<int>(maps().size()) - 1;
  }
  Seen add_step(StepPtr step, bool trains = false) {
    Map& out = map(step->output);
    out.has_gradient = trains;
    for (const Reader& reader : step->inputs) out.has_gradient |= reader.wants_gradient(maps());
    const int output = step->output;
    step->name = step_name(graph_.nodes[std::min(index_, graph_.nodes.size() - 1)]);
    program_.steps_.push_back(std::move(step));
    return seen_map(output);
  }

  // The map whose numbers a value is, or -1.
  int raw_map(const Seen& seen) {
    if (seen.readings.empty() || seen.channels.empty()) return -1;
    const Reading& reading = seen.readings[static_cast<size_t>(seen.channels[0].reading)];
    const Map& map = this->map(reading.term.map);
    if (reading.is_product() || reading.term.kind != 0 || map.norm != 0 ||
        seen.channels.size() != static_cast<size_t>(map.channels) || map.pixels() != seen.pixels())
      return -1;
    for (size_t c = 0; c < seen.channels.size(); ++c)
      if (seen.channels[c].reading != seen.channels[0].reading ||
          seen.channels[c].channel != static_cast<int>(c))
        return -1;
    return reading.term.map;
  }

  Reader reader(const Seen& seen) { return Reader(seen, maps(), lanes()); }
  // In order and whole, or a copy that is.
  Reader aligned(const Seen& seen) {
    Reader reader = this->reader(seen);
    return reader.aligned() ? reader : this->reader(stored(seen));
  }

  Seen stored(const Seen& seen) {
    const Reader source = reader(seen);
    const int m = add_map({seen.images, source.channels(), seen.height, seen.width});
    if (source.aligned()) return add_step(make_copy({{source}, m, maps(), lanes()}));
    return add_step(make_gather(source, m, maps(), lanes()));
  }

  Seen lower(const Input& op, const Node&) {
    input_ = add_map(program_.images_);
    program_.inputs_ = {input_};
    return add_step(make_input(op, input_), settings_.input_gradient);
  }

  // No batch norm joins its map, which no step of a layer settles.
  Seen lower_given(size_t which) {
    const int m = add_map(shapes_[index_]);
    program_.inputs_.at(which) = m;
    return alias(add_step(make_given(which, m)));
  }

  Seen convolution(const Conv& op, const Seen& seen) {
    Reader input = reader(seen);
    if (is_depthwise(op, input.channels()) && !input.aligned()) input = reader(stored(seen));
    const int m = add_map(shapes_[index_]);
    const ConvolutionSetting setting{
        .op = op,
        .rows = resolve_padding(op.padding, seen.height, op.kernel, op.stride, op.dilation),
        .columns = resolve_padding(op.padding, seen.width, op.kernel, op.stride, op.dilation),
        .weight = place(op.weight),
        .bias = place(op.bias),
        .input = input,
        .output = m,
        .packed = &program_.workspace_.packed[index_],
        .bfloat16 = settings_.bfloat16};
    return add_step(make_convolution(setting, maps(), lanes()),
                    setting.weight.gradient != nullptr || setting.bias.gradient != nullptr);
  }
  Seen lower(const Conv& op, const Node& node) { return convolution(op, in(node)); }
  Seen lower(const Linear& op, const Node& node) {
    return convolution({.out_channels = op.out_features, .weight = op.weight, .bias = op.bias}, in(node));
  }
  Seen lower(const ConvTranspose& op, const Node& node) {
    const int m = add_map(shapes_[index_]);
    const ParameterPlace weight = place(op.weight), bias = place(op.bias);
    return add_step(make_conv_transpose(reader(in(node)), m, maps(), lanes(), op, weight, bias),
                    weight.gradient != nullptr || bias.gradient != nullptr);
  }

  Seen lower(const BatchNorm& op, const Node& node) {
    int m = raw_map(in(node));
    if (m < 0 || m == input_ || uses_[index(node.inputs[0])] != 1 || is_aliased(m))
      m = raw_map(stored(in(node)));
    // The step that computes the map settles what becomes of it.
    const auto maker =
        std::ranges::find(program_.steps_, m, [](const StepPtr& step) { return step->output; });
    const auto step = static_cast<size_t>(maker - program_.steps_.begin());
    NormPlaces places{
        .gamma = place(op.weight, step),
        .beta = place(op.bias, step),
        .running_mean = parameters_.value(op.running_mean).data(),
        .running_var = parameters_.value(op.running_var).data(),
        .counter = op.num_batches_tracked.empty() ? nullptr : &parameters_.counter(op.num_batches_tracked),
        .fixed = is_frozen(op.weight, settings_.frozen),
        .workers = settings_.workers};
    program_.norms_.emplace_back(op, places, map(m).channels, lanes());
    map(m).norm = static_cast<int>(program_.norms_.size()) - 1;
    map(m).has_gradient |= program_.norms_.back().trains();
    return seen_map(m);
  }

  Seen lower(const Activation& op, const Node& node) {
    Seen seen = alias(in(node));
    if (op.kind == ActivationKind::kIdentity) return seen;
    if (std::ranges::any_of(seen.readings, [](const Reading& reading) {
          return reading.is_product() || reading.term.kind != 0;
        }))
      seen = stored(seen);
    for (Reading& reading : seen.readings) {
      reading.term.kind = static_cast<int>(op.kind);
      reading.term.parameter = static_cast<float>(op.slope);
      if (!op.slope_name.empty()) reading.term.named_parameter = parameters_.value(op.slope_name).data();
    }
    return seen;
  }

  bool is_aliased(int m) const {
    return static_cast<size_t>(m) < aliased_.size() && aliased_[static_cast<size_t>(m)];
  }
  // The same value under another name: its maps are read twice.
  Seen alias(const Seen& seen) {
    for (const Reading& reading : seen.readings)
      for (const Term* term : {&reading.term, &reading.factor}) {
        if (term->map < 0) continue;
        if (aliased_.size() <= static_cast<size_t>(term->map)) aliased_.resize(maps().size(), false);
        aliased_[static_cast<size_t>(term->map)] = true;
      }
    return seen;
  }

  Seen lower(const Concat&, const Node& node) {
    Seen joined = alias(in(node));
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Seen part = alias(in(node, i));
      const auto first = static_cast<int>(joined.readings.size());
      joined.readings.insert(joined.readings.end(), part.readings.begin(), part.readings.end());
      for (const Seen::Channel channel : part.channels)
        joined.channels.push_back({first + channel.reading, channel.channel});
    }
    return joined;
  }
  Seen lower(const Slice& op, const Node& node) {
    const Seen whole = alias(in(node));
    Seen part = whole;
    part.channels.clear();
    const auto each = whole.channels.size() / static_cast<size_t>(op.groups);
    for (size_t group = 0; group < static_cast<size_t>(op.groups); ++group)
      for (auto c = static_cast<size_t>(op.begin); c < static_cast<size_t>(op.end); ++c)
        part.channels.push_back(whole.channels[group * each + c]);
    return part;
  }
  Seen lower(const ChannelShuffle& op, const Node& node) {
    Seen shuffled = alias(in(node));
    const std::vector<Seen::Channel> before = shuffled.channels;
    const size_t groups = static_cast<size_t>(op.groups), each = before.size() / groups;
    for (size_t i = 0; i < groups; ++i)
      for (size_t j = 0; j < each; ++j) shuffled.channels[j * groups + i] = before[i * each + j];
    return shuffled;
  }
  Seen lower(const Flatten&, const Node& node) {
    if (in(node).pixels() == 1) return alias(in(node));
    const int m = add_map(shapes_[index_]);
    return add_step(make_gather(reader(in(node)), m, maps(), lanes()));
  }

  // A step of planes over aligned inputs.
  template <class Make>
  Seen planes(const Node& node, const Make& make) {
    PlaneSetting setting;
    for (size_t i = 0; i < node.inputs.size(); ++i) setting.readers.push_back(aligned(in(node, i)));
    setting.map = add_map(shapes_[index_]);
    setting.maps = maps();
    setting.lanes = lanes();
    return add_step(make(setting));
  }
  Seen lower(const Add&, const Node& node) { return planes(node, make_add); }
  // A product of two whole maps that one convolution reads is made by it; a gate has one pixel.
  Seen lower(const Multiply&, const Node& node) {
    const Term* first = whole_map(in(node));
    const Term* second = whole_map(in(node, 1));
    if (first == nullptr || second == nullptr || !is_read_by_one<Conv>()) return planes(node, make_product);
    Seen product = alias(in(node));
    alias(in(node, 1));
    product.readings = {{.term = *first, .factor = *second}};
    return product;
  }

  // The only term of a value that is all channels of a map, in order; or nullptr.
  const Term* whole_map(const Seen& seen) {
    if (seen.readings.size() != 1 || seen.readings[0].is_product()) return nullptr;
    const Term& term = seen.readings[0].term;
    if (static_cast<size_t>(map(term.map).channels) != seen.channels.size()) return nullptr;
    for (size_t c = 0; c < seen.channels.size(); ++c)
      if (seen.channels[c].channel != static_cast<int>(c)) return nullptr;
    return &term;
  }
  Seen lower(const MaxPool& op, const Node& node) {
    return planes(node, [&](const PlaneSetting& setting) { return make_max_pool(setting, op); });
  }
  Seen lower(const AdaptiveMaxPool&, const Node& node) { return planes(node, make_adaptive_max_pool); }
  Seen lower(const GlobalAveragePool&, const Node& node) { return planes(node, make_global_average); }
  Seen lower(const Upsample& op, const Node& node) {
    return planes(node, [&](const PlaneSetting& setting) { return make_upsample(setting, op); });
  }
  Seen lower(const Scale& op, const Node& node) {
    const ParameterPlace weight = place(op.weight);
    Seen seen = planes(node, [&](const PlaneSetting& setting) { return make_scale(setting, weight); });
    map(seen.readings[0].term.map).has_gradient |= weight.gradient != nullptr;
    return seen;
  }
  Seen lower(const DropPath& op, const Node& node) {
    if (op.rate == 0) return alias(in(node));
    return planes(node, [&](const PlaneSetting& setting) { return make_drop_path(setting, op, index_); });
  }

  Seen lower(const Dropout& op, const Node& node) {
    if (op.rate == 0) return alias(in(node));
    const int m = add_map(shapes_[index_]);
    return add_step(make_dropout(reader(in(node)), m, maps(), lanes(), op, index_));
  }
  Seen lower(const Attention& op, const Node& node) {
    const int m = add_map(shapes_[index_]);
    return add_step(make_attention(reader(in(node)), m, maps(), lanes(), op));
  }
  Seen lower(const DetectDecode&, const Node&) {
    throw Error(ErrorKind::kModel, "training reads a head's raw maps, not its decoded boxes");
  }

  const Graph& graph_;
  const ProgramSettings& settings_;
  FlatParameters& parameters_;
  Program& program_;
  std::vector<Shape> shapes_;
  std::vector<Seen> seen_;
  std::vector<int> uses_;
  std::vector<bool> aliased_;        // by map
  std::vector<bool> apart_;          // by node
  std::map<size_t, Seen> detached_;  // by node that is seen
  std::vector<int> taken_;           // maps that are outputs
  int input_ = -1;
  size_t index_ = 0;
};

Program::Program(const Graph& graph, const Shape& images, const ProgramSettings& settings,
                 FlatParameters& parameters, const Kernels& kernels, Workspace& workspace,
                 cpu::ThreadPool& pool)
    : images_(images), kernels_(kernels), workspace_(workspace), pool_(pool) {
  Lowering(graph, settings, parameters, *this).run();
  plan_gradients();
  plan_memory();
}

}  // namespace marrow::train::native
