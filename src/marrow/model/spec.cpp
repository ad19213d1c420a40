#include "marrow/model/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/yaml.h"
#include "marrow/model/spec_keys.h"
#include "marrow/nn/heads/detect.h"

namespace marrow::model {
namespace {

using nlohmann::json;

class SpecParser {
 public:
  explicit SpecParser(const std::string& file) { spec_.file = file; }

  ModelSpec parse(const YamlValue& root, std::string_view scale) {
    if (!root.is_map())
      fail(root, fmt::format("a model is a mapping with 'backbone' and 'head'; this is {}", describe(root)));
    sort_keys(root);
    read_numbers(root);
    read_activation(root);
    read_unit_activations(root);
    read_scales(root, scale);
    read_names(root);
    if (root.find("classifier") != nullptr) {
      read_classifier(root);
    } else {
      read_layers(root);
      refuse_anchor_head();
    }
    return std::move(spec_);
  }

 private:
  [[noreturn]] void fail_at(int line, const std::string& message) const {
    const Place place = {.file = spec_.file, .line = line};
    throw Error(ErrorKind::kFormat, fmt::format("{}: {}", to_string(place), message), place);
  }
  [[noreturn]] void fail(const YamlValue& at, const std::string& message) const { fail_at(at.line, message); }

  // One note for all keys that are passed over.
  void sort_keys(const YamlValue& root) {
    const YamlValue* scales = root.find("scales");
    scales_lost_ = scales != nullptr && is_empty(*scales);
    std::vector<std::string> passed_over;
    for (size_t i = 0; i < root.keys.size(); ++i) {
      const std::string& key = root.keys[i];
      const YamlValue& value = root.items[i];
      switch (meaning_of_key(key, value)) {
        case KeyMeaning::kNetwork:
          break;
        case KeyMeaning::kNamed:
          if (value.kind != YamlValue::Kind::kScalar)
            fail(value,
                 fmt::format("{} is {}, wanted a number or a word that lines name", key, describe(value)));
          named_[key] = to_json(value);
          break;
        case KeyMeaning::kNothing:
          // The letters of `scales` that lost their indentation.
          if (!(scales_lost_ && is_letter_of_scales(key, value))) passed_over.push_back(printable(key));
          break;
        case KeyMeaning::kUnknown:
          fail_at(root.key_lines[i], unknown_name_message("key", key, network_keys()));
      }
    }
    if (!passed_over.empty())
      spec_.warnings.push_back(fmt::format("{}: passed over, as {} nothing of the network: {}", spec_.file,
                                           passed_over.size() == 1 ? "it says" : "they say",
                                           join(passed_over, ", ")));
    if (scales_lost_)
      spec_.warnings.push_back(
          fmt::format("{}: 'scales' is empty, so the model has no scales; depth and width are "
                      "those of depth_multiple and width_multiple, or 1",
                      spec_.file));
  }

  static bool is_empty(const YamlValue& value) {
    return value.kind == YamlValue::Kind::kNull ||
           ((value.is_map() || value.is_list()) && value.items.empty());
  }
  static bool is_letter_of_scales(const std::string& key, const YamlValue& value) {
    return key.size() == 1 && value.is_list();
  }

  int whole(const YamlValue& value, std::string_view key, int smallest, int largest) const {
    const json number = to_json(value);
    const double found = number.is_number() ? number.get<double>() : NAN;
    if (!(found >= smallest && found <= largest) || found != std::floor(found))
      fail(value, fmt::format("{} is {}, wanted a whole number from {} to {}", key, describe(value), smallest,
                              largest));
    return static_cast<int>(found);
  }

  bool boolean(const YamlValue& value, std::string_view key) const {
    const json found = to_json(value);
    if (!found.is_boolean()) fail(value, fmt::format("{} is {}, wanted True or False", key, describe(value)));
    return found;
  }

  double real(const YamlValue& value, std::string_view key, double largest) const {
    const json number = to_json(value);
    const double found = number.is_number() ? number.get<double>() : NAN;
    if (!(found > 0 && found <= largest))
      fail(value,
           fmt::format("{} is {}, wanted a number above 0, at most {}", key, describe(value), largest));
    return found;
  }

  void read_numbers(const YamlValue& root) {
    if (const YamlValue* nc = root.find("nc")) spec_.classes = whole(*nc, "nc", 1, kMaxModelClasses);
    if (const YamlValue* branch = root.find("class_branch"))
      spec_.class_branch = whole(*branch, "class_branch", 1, kMaxModelChannels);
    if (const YamlValue* form = root.find("depthwise_class_branch"))
      spec_.depthwise_class_branch = boolean(*form, "depthwise_class_branch");
    if (const YamlValue* bins = root.find("reg_max"))
      spec_.reg_max = whole(*bins, "reg_max", 1, nn::kMostBins);
    if (const YamlValue* end2end = root.find("end2end");
        end2end != nullptr && end2end->kind != YamlValue::Kind::kNull)
      spec_.end2end = boolean(*end2end, "end2end");
    constexpr int kMaxImageChannels = 1024;
    for (const char* key : {"ch", "channels"})
      if (const YamlValue* channels = root.find(key))
        spec_.channels = whole(*channels, key, 1, kMaxImageChannels);
    if (const YamlValue* shape = root.find("kpt_shape")) {
      if (!shape->is_list() || shape->items.size() != 2)
        fail(*shape, fmt::format("kpt_shape is {}, wanted [points, values a point]", describe(*shape)));
      for (const YamlValue& item : shape->items)
        spec_.keypoint_shape.push_back(whole(item, "kpt_shape", 1, 1000));
    }
  }

  void read_activation(const YamlValue& root) {
    const char* key = "activation";
    const YamlValue* activation = root.find(key);
    if (activation == nullptr || activation->kind == YamlValue::Kind::kNull) {
      key = "act";
      activation = root.find(key);
      if (activation == nullptr || activation->kind == YamlValue::Kind::kNull) return;
      spec_.warnings.push_back(
          fmt::format("{}: 'act' is taken for the model's activation, as releases 8.0 mean it; "
                      "later ones read only 'activation'",
                      spec_.file));
    }
    if (activation->kind != YamlValue::Kind::kScalar)
      fail(*activation, fmt::format("{} is {}, wanted a name such as nn.ReLU()", key, describe(*activation)));
    try {
      spec_.activation = parse_activation(activation->text);
    } catch (const Error& error) {
      fail(*activation, error.what());
    }
    spec_.activation_text = activation->text;
  }

  void read_unit_activations(const YamlValue& root) {
    const YamlValue* units = root.find("unit_activations");
    if (units == nullptr) return;
    if (units->kind != YamlValue::Kind::kMap)
      fail(*units, fmt::format("unit_activations is {}, wanted a map such as {{model.9.cv1: nn.Identity()}}",
                               describe(*units)));
    for (size_t i = 0; i < units->keys.size(); ++i) {
      const YamlValue& activation = units->items[i];
      if (activation.kind != YamlValue::Kind::kScalar)
        fail(activation, fmt::format("the activation of {} is {}, wanted a name such as nn.ReLU()",
                                     printable(units->keys[i]), describe(activation)));
      try {
        parse_activation(activation.text);
      } catch (const Error& error) {
        fail(activation, error.what());
      }
      spec_.unit_activations[units->keys[i]] = activation.text;
    }
  }

  static constexpr double kMaxMultiple = 100;

  void read_scales(const YamlValue& root, std::string_view wanted) {
    if (const YamlValue* depth = root.find("depth_multiple"))
      spec_.factors.depth = real(*depth, "depth_multiple", kMaxMultiple);
    if (const YamlValue* width = root.find("width_multiple"))
      spec_.factors.width = real(*width, "width_multiple", kMaxMultiple);

    std::string scale(wanted);
    const YamlValue* own = root.find("scale");
    if (scale.empty() && own != nullptr && own->kind == YamlValue::Kind::kScalar) scale = own->text;

    const YamlValue* scales = root.find("scales");
    if (scales == nullptr || scales_lost_) return;
    if (!scales->is_map())
      fail(*scales, fmt::format("scales is {}, wanted a mapping of letters to [depth, width, max_channels]",
                                describe(*scales)));
    std::vector<std::string> letters;
    for (size_t i = 0; i < scales->items.size(); ++i) {
      letters.push_back(scales->keys[i]);
      spec_.scales.emplace_back(scales->keys[i], factors(scales->items[i], scales->keys[i]));
    }
    if (scale.empty()) {
      scale = letters.front();
      spec_.warnings.push_back(
          fmt::format("{}: no model scale given; taking scale '{}'", spec_.file, printable(scale)));
    }
    const auto chosen = std::ranges::find(letters, scale);
    if (chosen == letters.end()) fail(*scales, unknown_name_message("scale", scale, letters));
    spec_.scale = scale;
    spec_.factors = spec_.scales[static_cast<size_t>(chosen - letters.begin())].second;
  }

  ScaleFactors factors(const YamlValue& value, const std::string& letter) const {
    // A fourth number belongs to a module that Marrow does not have.
    if (!value.is_list() || value.items.size() < 2 || value.items.size() > 4)
      fail(value, fmt::format("scale '{}' is {}, wanted [depth, width, max_channels]", printable(letter),
                              describe(value)));
    ScaleFactors factors;
    factors.depth = real(value.items[0], "the depth of a scale", kMaxMultiple);
    factors.width = real(value.items[1], "the width of a scale", kMaxMultiple);
    if (value.items.size() >= 3)
      factors.max_channels = real(value.items[2], "max_channels of a scale", kMaxModelChannels);
    return factors;
  }

  void read_names(const YamlValue& root) {
    const YamlValue* names = root.find("names");
    if (names == nullptr || names->kind == YamlValue::Kind::kNull) return;
    if (!names->is_list() && !names->is_map())
      fail(*names, fmt::format("names is {}, wanted a list or a mapping of numbers", describe(*names)));
    for (size_t i = 0; i < names->items.size(); ++i) {
      if (names->is_map() && names->keys[i] != std::to_string(i))
        fail_at(names->key_lines[i], fmt::format("names: key '{}', wanted {}", printable(names->keys[i]), i));
      if (names->items[i].kind != YamlValue::Kind::kScalar)
        fail(names->items[i], fmt::format("name {} is {}, wanted a word", i, describe(names->items[i])));
      spec_.names.push_back(names->items[i].text);
    }
  }

  void read_classifier(const YamlValue& root) {
    const YamlValue& name = *root.find("classifier");
    if (name.kind != YamlValue::Kind::kScalar || name.text.empty())
      fail(name, fmt::format("classifier is {}, wanted the name of a backbone", describe(name)));
    for (const char* key : {"backbone", "head"})
      if (const YamlValue* other = root.find(key))
        fail(*other, fmt::format("a model has either 'classifier' or '{}'", key));
    spec_.classifier = name.text;
    if (const YamlValue* settings = root.find("settings")) {
      if (!settings->is_map())
        fail(*settings, fmt::format("settings is {}, wanted a mapping", describe(*settings)));
      spec_.settings = to_json(*settings);
    }
  }

  void read_layers(const YamlValue& root) {
    if (const YamlValue* settings = root.find("settings"))
      fail(*settings, "'settings' belong to a 'classifier'");
    for (const auto& [key, lines] : {std::pair{"backbone", &spec_.backbone}, {"head", &spec_.head}}) {
      const YamlValue* list = root.find(key);
      if (list == nullptr) fail(root, fmt::format("key '{}' is missing", key));
      if (!list->is_list() || list->items.empty())
        fail(*list,
             fmt::format("{} is {}, wanted a list of [from, repeats, module, args]", key, describe(*list)));
      for (const YamlValue& item : list->items) {
        if (spec_.backbone.size() + spec_.head.size() == kMaxModelLines)
          fail(item, fmt::format("more than {} layers", kMaxModelLines));
        lines->push_back(read_layer(item));
      }
    }
  }

  LayerSpec read_layer(const YamlValue& item) const {
    if (!item.is_list() || item.items.size() != 4)
      fail(item, fmt::format("a layer is {}, wanted [from, repeats, module, args]", describe(item)));
    LayerSpec layer;
    layer.line = item.line;
    const YamlValue& from = item.items[0];
    layer.from_list = from.is_list();
    layer.from.clear();
    if (layer.from_list && (from.items.empty() || from.items.size() > kMaxModelInputs))
      fail(from, fmt::format("'from' names {} layers, wanted 1 to {}", from.items.size(), kMaxModelInputs));
    const auto index = [&](const YamlValue& value) {
      return whole(value, "'from'", -kMaxModelLines, kMaxModelLines + 4);
    };
    if (layer.from_list)
      for (const YamlValue& one : from.items) layer.from.push_back(index(one));
    else
      layer.from.push_back(index(from));
    layer.repeats = whole(item.items[1], "repeats", 1, kMaxModelRepeats);
    const YamlValue& module = item.items[2];
    if (module.kind != YamlValue::Kind::kScalar || module.text.empty())
      fail(module, fmt::format("the module is {}, wanted a name", describe(module)));
    layer.module = module.text;
    if (const auto named = named_.find(layer.module); named != named_.end()) {
      if (!named->second.is_string())
        fail(module,
             fmt::format("{} is {}, wanted the name of a module", layer.module, named->second.dump()));
      layer.module = named->second;
    }
    const YamlValue& args = item.items[3];
    if (args.kind == YamlValue::Kind::kNull) return layer;
    if (!args.is_list()) fail(args, fmt::format("args are {}, wanted a list", describe(args)));
    layer.args = values_of(to_json(args));
    return layer;
  }

  // With the values of the file's own keys in the place of their names, and what is quoted though it is no
  // word.
  json values_of(json value) const {
    if (value.is_array())
      for (json& item : value) item = values_of(std::move(item));
    if (!value.is_string()) return value;
    const std::string& text = value.get_ref<const std::string&>();
    if (const auto named = named_.find(text); named != named_.end()) return named->second;
    if (text == "None") return nullptr;
    if (text == "True") return true;
    if (text == "False") return false;
    return value;
  }

  // Heads of other generations have other outputs, so that everything else of such a file is of no use
  // either.
  void refuse_anchor_head() const {
    const LayerSpec& last = spec_.head.back();
    static const std::vector<std::string> kHeads = {"Detect",     "Segment", "IDetect",
                                                    "IAuxDetect", "IBin",    "DetectX"};
    if (std::ranges::find(kHeads, last.module) == kHeads.end()) return;
    const bool anchors = last.args.size() > 1 && (last.args[1] == "anchors" || last.args[1].is_array()) &&
                         (last.module == "Detect" || last.args.back() == "anchors");
    const bool segment = last.module == "Segment" && last.args.size() > 1 && last.args[1] == "anchors";
    if (!anchors && !segment && (last.module == "Detect" || last.module == "Segment")) return;
    const Place place = {.file = spec_.file, .line = last.line};
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("{}: layer {} ({}) is the head of a {} model, with anchor boxes; Marrow reads YOLOv8's "
                    "heads, Detect [nc], which have none",
                    to_string(place), spec_.backbone.size() + spec_.head.size() - 1, last.module,
                    last.module == "Detect" || last.module == "Segment" ? "YOLOv5" : "YOLOv7 or YOLOX"),
        place);
  }

  ModelSpec spec_;
  bool scales_lost_ = false;           // `scales` is there and empty
  std::map<std::string, json> named_;  // values that lines name
};

std::string flow(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void write_lines(std::string& out, const char* key, const std::vector<LayerSpec>& lines) {
  out += fmt::format("{}:\n", key);
  for (const LayerSpec& layer : lines) {
    json from = layer.from;
    if (!layer.from_list) from = layer.from.at(0);
    out += fmt::format("  - [{}, {}, {}, {}]\n", flow(from), layer.repeats, flow(layer.module),
                       flow(layer.args));
  }
}

}  // namespace

ModelSpec parse_model_spec(std::string_view text, const std::string& file, std::string_view scale) {
  return SpecParser(file).parse(parse_yaml(text, file), scale);
}

ModelSpec load_model_spec(const std::filesystem::path& path) {
  const ScaledName name = split_scale(path.stem().string());
  std::filesystem::path file = path;
  if (!name.scale.empty()) {
    const std::filesystem::path shared = path.parent_path() / (name.stem + path.extension().string());
    std::error_code ignored;
    if (std::filesystem::is_regular_file(shared, ignored)) file = shared;
  }
  return parse_model_spec(read_file(file, kMaxYamlBytes), file.string(), name.scale);
}

std::string to_yaml(const ModelSpec& spec) {
  std::string out;
  if (spec.classes) out += fmt::format("nc: {}\n", *spec.classes);
  if (spec.channels != 3) out += fmt::format("channels: {}\n", spec.channels);
  if (!spec.keypoint_shape.empty()) out += fmt::format("kpt_shape: {}\n", flow(spec.keypoint_shape));
  if (!spec.activation_text.empty()) out += fmt::format("activation: {}\n", flow(spec.activation_text));
  if (!spec.unit_activations.empty())
    out += fmt::format("unit_activations: {}\n", flow(spec.unit_activations));
  if (spec.depthwise_class_branch)
    out += fmt::format("depthwise_class_branch: {}\n", *spec.depthwise_class_branch);
  if (spec.reg_max != ModelSpec().reg_max) out += fmt::format("reg_max: {}\n", spec.reg_max);
  if (spec.end2end) out += "end2end: true\n";
  if (spec.class_branch > 0) out += fmt::format("class_branch: {}\n", spec.class_branch);
  if (!spec.names.empty()) out += fmt::format("names: {}\n", flow(spec.names));
  if (spec.scales.empty() && spec.factors.depth != 1)
    out += fmt::format("depth_multiple: {}\n", spec.factors.depth);
  if (spec.scales.empty() && spec.factors.width != 1)
    out += fmt::format("width_multiple: {}\n", spec.factors.width);
  if (!spec.scales.empty()) {
    out += "scales:\n";
    for (const auto& [letter, factors] : spec.scales) {
      json list = {factors.depth, factors.width};
      if (std::isfinite(factors.max_channels)) list.push_back(factors.max_channels);
      out += fmt::format("  {}: {}\n", flow(letter), flow(list));
    }
    out += fmt::format("scale: {}\n", flow(spec.scale));
  }
  if (!spec.classifier.empty()) {
    out += fmt::format("classifier: {}\nsettings: {}\n", flow(spec.classifier), flow(spec.settings));
    return out;
  }
  write_lines(out, "backbone", spec.backbone);
  write_lines(out, "head", spec.head);
  return out;
}

ScaledName split_scale(std::string_view stem) {
  constexpr std::string_view kLetters = "nsmblx";
  constexpr std::string_view kForkLetters = "tpTBL";  // only before a hyphen, or at the end
  const auto digit = [&](size_t i) {
    return i < stem.size() && std::isdigit(static_cast<unsigned char>(stem[i])) != 0;
  };
  for (size_t start = stem.find("yolo"); start != std::string_view::npos;
       start = stem.find("yolo", start + 1)) {
    size_t at = start + 4;
    if (at < stem.size() && stem[at] == 'v') ++at;
    const size_t digits = at;
    while (digit(at)) ++at;
    if (at == digits || at == stem.size()) continue;
    const bool ends = at + 1 == stem.size() || stem[at + 1] == '-' || stem[at + 1] == '_';
    if (kLetters.find(stem[at]) == std::string_view::npos &&
        !(ends && kForkLetters.find(stem[at]) != std::string_view::npos))
      continue;
    return {std::string(stem.substr(0, at)) + std::string(stem.substr(at + 1)), std::string(1, stem[at])};
  }
  return {std::string(stem), ""};
}

}  // namespace marrow::model
