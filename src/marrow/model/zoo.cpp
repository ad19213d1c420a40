#include "marrow/model/zoo.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/checkpoint_path.h"
#include "marrow/model/configs.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {
namespace {

constexpr std::string_view kFolder = "models/";
constexpr std::string_view kSuffix = ".yaml";
constexpr int kPublishedClasses = 1000;

// "models/yolov8-p2.yaml" -> "yolov8-p2"; empty for files that are no models.
std::string_view stem_of(const EmbeddedText& config) {
  std::string_view name = config.name;
  if (!name.starts_with(kFolder) || !name.ends_with(kSuffix)) return {};
  name.remove_prefix(kFolder.size());
  name.remove_suffix(kSuffix.size());
  return name;
}

const EmbeddedText* find_config(std::string_view stem) {
  for (const EmbeddedText& config : embedded_configs())
    if (!stem.empty() && stem_of(config) == stem) return &config;
  return nullptr;
}

bool is_backbone(std::string_view name) {
  const std::vector<std::string> known = nn::backbone_names();
  return std::ranges::binary_search(known, name);
}

ModelSpec named_classifier(std::string_view name) {
  ModelSpec spec;
  spec.file = std::string(name);
  spec.classifier = std::string(name);
  spec.classes = kPublishedClasses;
  return spec;
}

// The YAML and, for a combination, the backbone that a name stands for.
ModelSpec named_spec(std::string_view name) {
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  if (is_backbone(name)) return named_classifier(name);
  const ScaledName scaled = split_scale(name);
  const auto parse = [&](const EmbeddedText& config) {
    return parse_model_spec(config.text, std::string(config.name), scaled.scale);
  };
  for (const std::string_view stem : {std::string_view(scaled.stem), name})
    if (const EmbeddedText* config = find_config(stem)) return parse(*config);
  // The longest YAML name that a hyphen and a backbone follow.
  const std::string& stem = scaled.stem;
  for (size_t hyphen = stem.rfind('-'); hyphen != std::string::npos && hyphen > 0;
       hyphen = stem.rfind('-', hyphen - 1))
    if (const std::string_view backbone = std::string_view(stem).substr(hyphen + 1); is_backbone(backbone))
      for (const std::string_view model : {std::string_view(stem), name})
        if (const EmbeddedText* config = find_config(model.substr(0, model.size() - backbone.size() - 1)))
          return replace_backbone(parse(*config), backbone);
  if (has_checkpoint_suffix(name)) throw Error(ErrorKind::kFile, printable(name) + ": no such file");
  const std::string near = likely_name(name);
  throw Error(ErrorKind::kModel,
              (near.empty() ? unknown_name_message("model", name, zoo_names())
                            : fmt::format("unknown model '{}'. Did you mean '{}'?", printable(name), near)) +
                  " 'marrow models' lists all");
}

// A file in this folder, or the one that its scale letter leaves.
bool is_path(std::string_view name) {
  const std::filesystem::path path(name);
  std::error_code ignored;
  const bool is_yaml = name.ends_with(kSuffix);
  const std::filesystem::path without_scale = split_scale(path.stem().string()).stem + std::string(kSuffix);
  return name.find('/') != std::string_view::npos || std::filesystem::is_regular_file(path, ignored) ||
         (is_yaml && std::filesystem::is_regular_file(without_scale, ignored));
}

ModelSpec base_spec(std::string_view name) {
  return is_path(name) ? load_model_spec(name) : named_spec(name);
}

}  // namespace

bool is_zoo_name(std::string_view name) {
  return !is_path(name);
}

ModelSpec find_model_spec(std::string_view name, std::string_view backbone) {
  ModelSpec spec = base_spec(name);
  return backbone.empty() ? spec : replace_backbone(spec, backbone);
}

Model make_model(std::string_view name, std::string_view backbone, const BuildOptions& options) {
  return build_model(find_model_spec(name, backbone), options);
}

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const EmbeddedText& config : embedded_configs()) {
    const std::string_view stem = stem_of(config);
    if (!stem.starts_with("yolo")) continue;
    if (!split_scale(stem).scale.empty()) {  // a file of one scale
      names.emplace_back(stem);
      continue;
    }
    const size_t letter_at =
        std::min(stem.find_first_not_of("0123456789", stem.find_first_of("0123456789")), stem.size());
    for (const char letter : std::string_view("nsmlx"))
      names.push_back(std::string(stem.substr(0, letter_at)) + letter + std::string(stem.substr(letter_at)));
  }
  for (std::string& backbone : nn::backbone_names()) names.push_back(std::move(backbone));
  return names;
}

std::string likely_name(std::string_view name) {
  const std::vector<std::string> backbones = nn::backbone_names();
  std::vector<std::string> names = zoo_names();
  // What is left of the name without the part that is a backbone's, which belongs behind it.
  std::istringstream parts{std::string(name)};
  std::string model, backbone, part;
  std::getline(parts, model, '-');
  while (std::getline(parts, part, '-'))
    if (backbone.empty() && !nearest_name(part, backbones).empty())
      backbone = part;
    else
      model += "-" + part;
  if (backbone.empty()) return nearest_name(name, names);
  if (const std::string known = nearest_name(model, names); !known.empty())
    for (const std::string& each : backbones) names.push_back(known + "-" + each);
  return nearest_name(model + "-" + backbone, names);
}

}  // namespace marrow::model
