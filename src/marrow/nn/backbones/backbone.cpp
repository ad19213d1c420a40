#include "marrow/nn/backbones/backbone.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::nn {
namespace {

using Registry = std::map<std::string, BackboneFamily, std::less<>>;

Registry& registry() {
  static Registry families;
  return families;
}

[[noreturn]] void fail(const std::string& message) {
  throw Error(ErrorKind::kModel, message);
}

struct Named {
  const BackboneFamily* family = nullptr;
  const BackboneVariant* variant = nullptr;
};

Named find_named(std::string_view name) {
  for (const auto& [family_name, family] : registry()) {
    if (family_name == name) return {&family, nullptr};
    for (const BackboneVariant& variant : family.variants)
      if (variant.name == name) return {&family, &variant};
  }
  return {};
}

Named named(std::string_view name) {
  const Named found = find_named(name);
  if (found.family == nullptr)
    fail(unknown_name_message("backbone", name, backbone_names()) + " 'marrow models' lists all");
  return found;
}

std::string source_name(const BackboneFamily& family, std::string_view found) {
  if (const BackboneSource* source = family.find_source(found)) return source->name;
  std::vector<std::string> known;
  for (const BackboneSource& source : family.sources) known.push_back(source.name);
  fail(unknown_name_message("source of '" + family.name + "'", found, known));
}

// A default of null stands for "not given"; the family's own check knows the type.
bool same_type(const BackboneConfig& value, const BackboneConfig& standard) {
  return standard.is_null() || value.type() == standard.type() || (value.is_number() && standard.is_number());
}

void apply(const BackboneFamily& family, const BackboneConfig& overrides, BackboneConfig& config) {
  if (overrides.is_null()) return;
  if (!overrides.is_object())
    fail(fmt::format("{}: the settings are a {}, wanted a mapping", family.name, overrides.type_name()));
  for (const auto& [key, value] : overrides.items()) {
    const auto standard = family.defaults.find(key);
    if (standard == family.defaults.end()) {
      std::vector<std::string> known;
      for (const auto& setting : family.defaults.items()) known.push_back(setting.key());
      fail(unknown_name_message("setting of '" + family.name + "'", key, known));
    }
    if (!same_type(value, *standard))
      fail(fmt::format("{}: {} is a {}, wanted a {}", family.name, key, value.type_name(),
                       standard->type_name()));
    config[key] = key == "source" ? BackboneConfig(source_name(family, value.get<std::string>())) : value;
  }
}

BackboneChoice choose(const Named& named, const BackboneConfig& overrides) {
  BackboneChoice choice{named.family, named.family->name, named.family->defaults};
  if (named.variant != nullptr) {
    choice.name = named.variant->name;
    apply(*named.family, named.variant->config, choice.config);
  }
  apply(*named.family, overrides, choice.config);
  return choice;
}

void mark(GraphBuilder& g, const Features& features) {
  g.tap("c2", features.c2);
  g.tap("c3", features.c3);
  g.tap("c4", features.c4);
  g.tap("c5", features.c5);
}

}  // namespace

const BackboneSource* BackboneFamily::find_source(std::string_view spelled) const {
  const auto matches = [&](const std::string& known) { return to_lower(known) == to_lower(spelled); };
  for (const BackboneSource& source : sources)
    if (matches(source.name) || std::ranges::any_of(source.aliases, matches)) return &source;
  return nullptr;
}

InputFormat imagenet_format(int resize, int crop, Interpolation interpolation) {
  return {.mean = {0.485, 0.456, 0.406},
          .std = {0.229, 0.224, 0.225},
          .resize = resize,
          .crop = crop,
          .interpolation = interpolation};
}

std::vector<weights::RenameRule> keep_names(std::initializer_list<const char*> prefixes) {
  std::vector<weights::RenameRule> rules;
  for (const std::string prefix : prefixes) rules.push_back({prefix + ".**", prefix + ".{1}"});
  return rules;
}

BackboneRegistration::BackboneRegistration(BackboneFamily family) {
  std::vector<std::string> names = {family.name};
  for (const BackboneVariant& variant : family.variants) names.push_back(variant.name);
  for (const std::string& name : names)
    if (find_named(name).family != nullptr || std::ranges::count(names, name) > 1) {
      fmt::print(stderr, "two backbones are registered as '{}'\n", name);
      std::abort();
    }
  registry().emplace(names.front(), std::move(family));
}

std::vector<const BackboneFamily*> backbone_families() {
  std::vector<const BackboneFamily*> families;
  for (const auto& entry : registry()) families.push_back(&entry.second);
  return families;
}

std::vector<std::string> backbone_names() {
  std::vector<std::string> names;
  for (const auto& [name, family] : registry()) {
    names.push_back(name);
    for (const BackboneVariant& variant : family.variants) names.push_back(variant.name);
  }
  std::ranges::sort(names);
  return names;
}

BackboneChoice choose_backbone(std::string_view name, const BackboneConfig& overrides) {
  Named found = named(name);
  if (found.variant != nullptr || !overrides.is_object() || !overrides.contains("variant"))
    return choose(found, overrides);

  BackboneConfig others = overrides;
  others.erase("variant");
  const BackboneConfig& variant_name = overrides.at("variant");
  const std::string wanted = variant_name.is_string() ? variant_name.get<std::string>() : variant_name.dump();
  std::vector<std::string> known;
  for (const BackboneVariant& variant : found.family->variants) {
    known.push_back(variant.name);
    if (variant.name == wanted || variant.name == found.family->name + "_" + wanted) found.variant = &variant;
  }
  if (found.variant == nullptr)
    fail(unknown_name_message("variant of '" + found.family->name + "'", wanted, known));
  return choose(found, others);
}

Features add_backbone(GraphBuilder& g, Value image, const BackboneChoice& choice) {
  const Features features = choice.family->features(g, image, choice.config);
  const std::array<Value, 4> maps = {features.c2, features.c3, features.c4, features.c5};
  for (size_t i = 0; i < maps.size(); ++i) {
    const double stride = g.stride(maps[i]) / g.stride(image);
    const int wanted = i == 0 ? features.c2_stride : 4 << i;
    if (stride == wanted) continue;
    fail(
        fmt::format("backbone '{}' cannot feed a detector: its map c{} has {}, and a detector needs strides "
                    "4, 8, 16 and 32. As a classifier it works.",
                    choice.name, i + 2,
                    stride == 0 ? "a fixed size whatever the image's (adaptive pooling)"
                                : fmt::format("stride {}", stride)));
  }
  mark(g, features);
  return features;
}

Graph build_classifier(const BackboneChoice& choice, int classes, int channels) {
  GraphBuilder g;
  const Value image = g.input(channels, choice.family->input_format(choice.config));
  const Features features = choice.family->features(g, image, choice.config);
  mark(g, features);
  g.output("logits", choice.family->classifier(g, features.c5, choice.config, classes));
  return std::move(g).build();
}

}  // namespace marrow::nn
