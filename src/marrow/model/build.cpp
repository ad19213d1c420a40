#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/graph/shapes.h"
#include "marrow/model/backbone_line.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/model.h"
#include "marrow/model/parameter_count.h"
#include "marrow/model/python_text.h"
#include "marrow/model/spec.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/refused_modules.h"

namespace marrow::model {
namespace {

using nlohmann::json;

// The places that a backbone in one line fills: its map at stride 2, or nothing, then its four maps.
constexpr int kBackboneSlots = 5;
constexpr const char* kIndexModule = "Index";

// Up to the next multiple of 8.
int round_up_to_8(double channels) {
  return static_cast<int>(std::ceil(channels / 8) * 8);
}

class ModelBuilder {
 public:
  ModelBuilder(const ModelSpec& spec, const BuildOptions& options, int classes)
      : spec_(spec), options_(options), classes_(classes) {}

  Model build() {
    lines_.insert(lines_.end(), spec_.backbone.begin(), spec_.backbone.end());
    lines_.insert(lines_.end(), spec_.head.begin(), spec_.head.end());
    // A file that picks maps by Index lines numbers its lines one by one; a backbone then is one place.
    ordinary_numbers_ =
        std::ranges::any_of(lines_, [](const LayerSpec& l) { return l.module == kIndexModule; });
    std::map<std::string, Activation> activations;
    for (const auto& [path, text] : spec_.unit_activations) activations[path] = parse_activation(text);
    g_.replace_activations(std::move(activations));
    image_ = g_.input(spec_.channels, options_.input.value_or(InputFormat{}));
    for (const LayerSpec& line : lines_) add_line(line);
    if (model_.task.empty())
      fail_model(fmt::format("{}: the last layer is {}, wanted a head: {}", spec_.file,
                             model_.layers.back().module, join(head_names(), ", ")));
    model_.save.assign(save_.begin(), save_.end());
    for (const auto& [path, activation] : g_.replaced_activations())
      model_.unit_activations[path] = spec_.unit_activations.at(path);
    model_.graph = std::move(g_).build();
    if (model_.task != "classify")
      for (const NamedValue& tap : model_.graph.taps)
        if (tap.name.starts_with("feat")) model_.strides.push_back(model_.graph.node(tap.value).stride);
    // The reference implementation sets batch norms in every model but a classifier, which keeps torch's own.
    if (model_.task == "classify")
      for (BatchNorm* norm : norms_in(model_.graph)) {
        norm->eps = BatchNormOptions{}.eps;
        norm->momentum = BatchNormOptions{}.momentum;
      }
    check_shapes();
    return std::move(model_);
  }

 private:
  static std::vector<std::string> head_names() {
    std::vector<std::string> names;
    for (const std::string& name : nn::module_names())
      if (!nn::find_module(name)->task.empty()) names.push_back(name);
    return names;
  }

  // The error, said to be one of this layer.
  Error error_of(const Layer& layer, const Error& error) const {
    const Place place = {.file = spec_.file, .line = layer.line, .node = error.place().node};
    return Error(error.kind(),
                 fmt::format("{}: layer {} ({}): {}", to_string(place), layer.logical,
                             printable(layer.module, 60), error.what()),
                 place);
  }

  // The layer whose scope made the node; nullptr for the input.
  const Layer* layer_of_node(std::string_view name) const {
    for (const Layer& layer : model_.layers) {
      const std::string scope = fmt::format("model.{}", layer.index);
      if (name.starts_with(scope) && (name.size() == scope.size() || name[scope.size()] == '.'))
        return &layer;
    }
    return nullptr;
  }

  void add_line(const LayerSpec& line) {
    Layer layer;
    layer.index = static_cast<int>(model_.layers.size());
    layer.logical = static_cast<int>(slots_.size());
    layer.from = line.from;
    layer.from_list = line.from_list;
    layer.module = line.module.starts_with("nn.") ? line.module.substr(3) : line.module;
    layer.line = line.line;
    layer.repeats = line.repeats > 1
                        ? std::max(static_cast<int>(std::nearbyint(line.repeats * spec_.factors.depth)), 1)
                        : line.repeats;
    layer.first_node = static_cast<int>(g_.graph().nodes.size());
    try {
      if (!model_.task.empty()) fail_model("it follows the head, which must be the last layer");
      units_ += layer.repeats;
      if (layer.repeats > kMaxModelRepeats || units_ > kMaxModelUnits)
        fail_model(fmt::format("too many repeats: a line has at most {}, a model {}", kMaxModelRepeats,
                               kMaxModelUnits));
      const auto model_scope = g_.scope("model");
      const auto layer_scope = g_.scope(std::to_string(layer.index));
      if (line.module == kIndexModule)
        add_index(line, layer);
      else if (names_backbone(line.module))
        add_backbone_line(line, layer);
      else
        add_module(line, layer);
      check(layer);
    } catch (const Error& error) {
      throw error_of(layer, error);
    }
    layer.end_node = static_cast<int>(g_.graph().nodes.size());
    model_.layers.push_back(std::move(layer));
  }

  // Which place of the numbering an entry of `from` means; -1 when it is the image.
  int resolve(int from) const {
    const int current = static_cast<int>(slots_.size());
    if (from >= current)
      fail_model(fmt::format("'from' names layer {}, which comes {}; layers read earlier ones", from,
                             from == current ? "to itself" : "later"));
    if (from >= 0) return from;
    const int target = current + from;
    if (target < 0 && !(from == -1 && current == 0))
      fail_model(fmt::format("'from' {} reaches before the first layer", from));
    return target;
  }

  Value value_at(int slot) const {
    if (slot < 0) return image_;
    const std::optional<Value>& value = slots_[static_cast<size_t>(slot)];
    if (!value)
      fail_model(
          fmt::format("'from' names layer {}, the empty first place of the backbone; its maps are layers {} "
                      "to {} (strides 4, 8, 16 and 32)",
                      slot, slot + 1, slot + kBackboneSlots - 1));
    return *value;
  }

  std::vector<Value> inputs(const LayerSpec& line) {
    std::vector<Value> values;
    for (const int from : line.from) {
      const int slot = resolve(from);
      values.push_back(value_at(slot));
      if (from != -1) save_.insert(slot);
    }
    return values;
  }

  int scaled(const json& value, size_t index) const {
    if (!value.is_number_integer() || value < 1 || value > kMaxModelChannels)
      fail_model(fmt::format("argument {} (channels) is {}, wanted a whole number from 1 to {}", index,
                             python_text(value).substr(0, 60), kMaxModelChannels));
    return round_up_to_8(std::min(value.get<double>(), spec_.factors.max_channels) * spec_.factors.width);
  }

  json resolved_args(const json& written) const {
    json args = json::array();
    for (const json& arg : written) {
      if (arg == "nc")
        args.push_back(classes_);
      else if (arg == "kpt_shape" && !spec_.keypoint_shape.empty())
        args.push_back(spec_.keypoint_shape);
      else
        args.push_back(arg);
    }
    return args;
  }

  void add_module(const LayerSpec& line, Layer& layer) {
    const nn::Module* module = nn::find_module(line.module);
    if (module == nullptr) {
      if (const std::string_view what = nn::refused_module(line.module); !what.empty())
        throw Error(ErrorKind::kUnsupported,
                    fmt::format("{} is {}; Marrow does not build it", line.module, what));
      std::vector<std::string> known = nn::module_names();
      known.emplace_back(kIndexModule);
      for (const std::vector<std::string>& names : {nn::backbone_names(), fork_backbone_names()})
        known.insert(known.end(), names.begin(), names.end());
      fail_model(unknown_name_message("module", line.module, known));
    }
    nn::ModuleCall call{.graph = g_,
                        .inputs = inputs(line),
                        .args = resolved_args(line.args),
                        .argument_names = module->arguments,
                        .repeats = module->takes_repeats ? layer.repeats : 1,
                        .classes = classes_,
                        .activation = spec_.activation,
                        .scale = spec_.scale,
                        .head = {.class_branch = spec_.class_branch,
                                 .depthwise_class_branch = spec_.depthwise_class_branch.value_or(depthwise_),
                                 .reg_max = spec_.reg_max,
                                 .end2end = spec_.end2end}};
    note_reading(*module, call, layer.line);
    if (call.args.size() > module->arguments.size())
      fail_model(fmt::format("{} arguments, at most {} are known: {}", call.args.size(),
                             module->arguments.size(), join(module->arguments, ", ")));
    if (module->channels == nn::Module::Channels::kScaled) {
      if (call.args.empty()) call.refuse(0, "the number of channels");
      // The reference implementation does not scale a width that happens to equal nc; so heads keep theirs.
      if (call.args[0] != classes_) call.args[0] = scaled(call.args[0], 0);
    }
    if (const int extra = module->scaled_argument; extra >= 0 && !call.absent(static_cast<size_t>(extra)))
      call.args[static_cast<size_t>(extra)] = scaled(call.args[static_cast<size_t>(extra)], 2);
    if (module->prepare) module->prepare(call);
    depthwise_ |= module->depthwise_class_branch;
    layer.args = python_text(constructor_args(*module, call));
    layer.outputs = module->takes_repeats || layer.repeats == 1 ? module->build(call)
                                                                : chain(*module, call, layer.repeats);
    if (layer.outputs.empty()) fail_model("the module has no output");
    if (module->silent_modules)
      layer.silent_modules = module->silent_modules(call) * (module->takes_repeats ? 1 : layer.repeats);
    model_.task = module->task;
    slots_.emplace_back(layer.outputs.front());
  }

  // Once a name.
  void note_reading(const nn::Module& module, const nn::ModuleCall& call, int line) {
    if (!module.reading) return;
    const std::pair<std::string, std::string> reading = {module.name, module.reading(call)};
    if (std::ranges::find(model_.readings, reading) != model_.readings.end()) return;
    const bool named =
        std::ranges::any_of(model_.readings, [&](const auto& r) { return r.first == module.name; });
    model_.readings.push_back(reading);
    if (module.formerly.empty() || named || !options_.warn_of_other_readings) return;
    const Place place = {.file = spec_.file, .line = line};
    model_.warnings.push_back(
        fmt::format("{}: {} is read as {}. In a file for Marrow 0.1 it is what is now {}", to_string(place),
                    module.name, reading.second, module.formerly));
  }

  json constructor_args(const nn::Module& module, const nn::ModuleCall& call) const {
    json args = call.args;
    if (module.channels == nn::Module::Channels::kScaled) {
      args.insert(args.begin(), g_.channels(call.inputs.at(0)));
      if (module.takes_repeats) args.insert(args.begin() + 2, call.repeats);
    } else if (module.channels == nn::Module::Channels::kHead) {
      json channels = json::array();
      for (const Value input : call.inputs) channels.push_back(g_.channels(input));
      args.push_back(std::move(channels));
    }
    return args;
  }

  // Copies built alike, one after another.
  std::vector<Value> chain(const nn::Module& module, nn::ModuleCall& call, int repeats) {
    std::vector<Value> outputs;
    for (int i = 0; i < repeats; ++i) {
      const auto scope = g_.scope(std::to_string(i));
      const int channels = g_.channels(call.input());
      outputs = module.build(call);
      if (outputs.size() != 1) fail_model("this module cannot be repeated");
      if (g_.channels(outputs[0]) != channels)
        fail_model(
            fmt::format("{} repeats need as many output channels as input channels, not {} and {}: the "
                        "copies are built alike",
                        repeats, g_.channels(outputs[0]), channels));
      call.inputs = outputs;
    }
    return outputs;
  }

  void add_backbone_line(const LayerSpec& line, Layer& layer) {
    if (layer.index != 0) fail_model("a whole backbone must be the first layer");
    if (line.repeats != 1)
      fail_model(fmt::format("repeats are {}; a whole backbone is built once", line.repeats));
    if (line.from != std::vector{-1}) fail_model("a whole backbone reads the image: 'from' must be -1");
    const BackboneLine backbone = read_backbone_line(line);
    const nn::Features features = nn::add_backbone(g_, image_, backbone.choice);
    if (!backbone.reading.empty()) model_.readings.emplace_back(line.module, backbone.reading);
    layer.args = python_text(line.args);
    layer.backbone = true;
    layer.outputs = {features.c2, features.c3, features.c4, features.c5};
    if (ordinary_numbers_) {
      slots_.emplace_back(features.c5);
      return;
    }
    slots_.push_back(backbone.first_map ? features.c1 : std::nullopt);
    for (const Value map : layer.outputs) slots_.emplace_back(map);
    layer.first_map = slots_.front();
  }

  // [channels, i]: map i of a layer that yields a list.
  void add_index(const LayerSpec& line, Layer& layer) {
    if (line.from.size() != 1) fail_model("Index reads one layer");
    const int source = resolve(line.from[0]);
    if (source < 0) fail_model("Index reads a layer that yields several maps, not the image");
    if (line.from[0] != -1) save_.insert(source);
    const std::vector<Value>& maps = model_.layers[static_cast<size_t>(source)].outputs;
    const nn::ModuleCall call{.graph = g_,
                              .inputs = {},
                              .args = line.args,
                              .argument_names = {"channels", "index"},
                              .activation = {}};
    const int which = call.integer(1);
    if (which < 0 || which >= static_cast<int>(maps.size()))
      call.refuse(1, fmt::format("0 to {}: layer {} yields {} maps", maps.size() - 1, source, maps.size()));
    const Value map = maps[static_cast<size_t>(which)];
    if (call.integer(0) != g_.channels(map))
      call.refuse(0, fmt::format("{}, the channels of map {}", g_.channels(map), which));
    layer.args = python_text(line.args);
    layer.outputs = {map};
    slots_.emplace_back(map);
  }

  // Bounds what a hostile file can make of repeated doubling.
  void check(const Layer& layer) {
    for (const Value value : layer.outputs) {
      if (g_.channels(value) > kMaxModelChannels)
        fail_model(fmt::format("{} output channels, at most {} are possible", g_.channels(value),
                               kMaxModelChannels));
      const double stride = g_.stride(value);
      if (stride != 0 && (stride > kMaxModelStride || stride < 1.0 / 16))
        fail_model(
            fmt::format("stride {}; a map's stride lies between 1/16 and {}", stride, kMaxModelStride));
      if (stride > model_.largest_stride) model_.largest_stride = static_cast<int>(std::ceil(stride));
    }
    if (const auto excess = parameters_.excess(g_.graph().parameters)) fail_model(*excess + " here");
  }

  // Sizes meet, and strides are what the arithmetic of kernels says.
  void check_shapes() {
    constexpr int kProbe = 256;
    const int stride = model_.largest_stride;
    const int64_t size = int64_t{(kProbe + stride - 1) / stride} * stride;
    std::vector<Shape> shapes;
    try {
      shapes = infer_shapes(model_.graph, {1, spec_.channels, size, size});
    } catch (const Error& error) {
      if (const Layer* layer = layer_of_node(error.place().node)) throw error_of(*layer, error);
      throw Error(error.kind(), fmt::format("{}: {}", spec_.file, error.what()), {.file = spec_.file});
    }
    for (const NamedValue& tap : model_.graph.taps) {
      if (!tap.name.starts_with("feat") || model_.task == "classify") continue;
      const double level_stride = model_.graph.node(tap.value).stride;
      const int64_t height = shapes[static_cast<size_t>(tap.value.id)].at(2);
      if (static_cast<double>(height) * level_stride != static_cast<double>(size))
        throw error_of(
            model_.layers.back(),
            Error(ErrorKind::kShape,
                  fmt::format("level '{}' has {} rows for {} pixels, but its layers' strides multiply to "
                              "{}; a convolution before it is not padded",
                              tap.name, height, size, level_stride),
                  {.node = model_.graph.node(tap.value).name}));
    }
  }

  const ModelSpec& spec_;
  const BuildOptions& options_;
  const int classes_;
  std::vector<LayerSpec> lines_;
  bool ordinary_numbers_ = false;
  GraphBuilder g_;
  Value image_;
  Model model_;
  std::vector<std::optional<Value>> slots_;  // by logical number
  std::set<int> save_;
  int units_ = 0;
  bool depthwise_ = false;  // the class branch of a head in YOLO11's form
  ParameterCount parameters_;
};

int class_count(const ModelSpec& spec, const BuildOptions& options) {
  if (!options.names.empty()) return static_cast<int>(options.names.size());
  if (options.classes) return *options.classes;
  if (spec.classes) return *spec.classes;
  if (!spec.names.empty()) return static_cast<int>(spec.names.size());
  fail_model(fmt::format("{}: key 'nc' (the number of classes) is missing", spec.file));
}

std::vector<std::string> class_names(const ModelSpec& spec, const BuildOptions& options, int classes) {
  const auto fits = [&](const std::vector<std::string>& names) {
    return static_cast<int>(names.size()) == classes;
  };
  if (fits(options.names)) return options.names;
  if (fits(spec.names)) return spec.names;
  std::vector<std::string> names;
  for (int i = 0; i < classes; ++i) names.push_back(fmt::format("class_{}", i));
  return names;
}

Model build_named_classifier(const ModelSpec& spec, const BuildOptions& options, int classes) {
  Model model;
  model.task = "classify";
  try {
    model.graph =
        nn::build_classifier(nn::choose_backbone(spec.classifier, spec.settings), classes, spec.channels);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: classifier: {}", spec.file, error.what()));
  }
  if (const auto excess = ParameterCount().excess(model.graph.parameters))
    fail_model(fmt::format("{}: {}", spec.file, *excess));
  if (options.input) std::get<Input>(model.graph.nodes.at(0).operation).format = *options.input;
  return model;
}

}  // namespace

Model build_model(const ModelSpec& spec, const BuildOptions& options) {
  if (options.channels && *options.channels != spec.channels) {
    ModelSpec other = spec;
    other.channels = *options.channels;
    return build_model(other, options);
  }
  if (!options.keypoint_shape.empty() && !spec.keypoint_shape.empty() &&
      options.keypoint_shape != spec.keypoint_shape) {
    ModelSpec other = spec;
    other.keypoint_shape = options.keypoint_shape;
    return build_model(other, options);
  }
  const int classes = class_count(spec, options);
  if (classes < 1 || classes > kMaxModelClasses)
    fail_model(fmt::format("{} classes, wanted 1 to {}", classes, kMaxModelClasses));
  Model model = spec.classifier.empty() ? ModelBuilder(spec, options, classes).build()
                                        : build_named_classifier(spec, options, classes);
  model.names = class_names(spec, options, classes);
  model.scale = spec.scale;
  model.warnings.insert(model.warnings.begin(), spec.warnings.begin(), spec.warnings.end());
  ModelSpec described = spec;
  described.classes = classes;
  described.unit_activations = model.unit_activations;
  described.names = options.names.empty() && spec.names.empty() ? std::vector<std::string>{} : model.names;
  model.yaml = to_yaml(described);
  return model;
}

size_t backbone_layers(const Model& model) {
  // SPPF behind a backbone in one line is no part of a published one's file.
  if (model.layers.front().backbone) return 1;
  return parse_model_spec(model.yaml, "the model").backbone.size();
}

Model rebuild_model(const Model& model, const BuildOptions& options, int class_branch) {
  BuildOptions kept = options;
  if (!kept.input && !model.graph.nodes.empty())
    kept.input = std::get<Input>(model.graph.nodes.front().operation).format;
  kept.warn_of_other_readings = false;
  ModelSpec spec = parse_model_spec(model.yaml, "model");
  if (class_branch > 0) spec.class_branch = class_branch;
  return build_model(spec, kept);
}

}  // namespace marrow::model
