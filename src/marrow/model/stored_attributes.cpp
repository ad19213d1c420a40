#include "marrow/model/stored_attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/spec.h"

namespace marrow::model {
namespace {

class AttributeCheck {
 public:
  AttributeCheck(const Model& model, const std::string& file) : model_(model), file_(file) {}

  void shortcut(const std::string& path, bool adds) const {
    if (!is_built(path)) return;
    const bool built = std::ranges::any_of(model_.graph.nodes, [&](const Node& node) {
      return node.name == path && std::holds_alternative<Add>(node.operation);
    });
    if (built != adds)
      refuse(path + ".add", adds ? "True" : "False",
             fmt::format("its description gives a block that {} its input", built ? "adds" : "does not add"));
  }

  void pools(const std::string& path, int64_t count) const {
    if (!is_built(path)) return;
    const auto built = std::ranges::count_if(model_.graph.nodes, [&](const Node& node) {
      return node.name == path + ".m" && std::holds_alternative<MaxPool>(node.operation);
    });
    if (built != count)
      refuse(path + ".n", fmt::format("{}", count), fmt::format("its description gives {} pools", built));
  }

  void activation(const std::string& path, const std::string& text) const {
    const Layer* layer = layer_of(path);
    if (layer == nullptr) return;
    Activation stored;
    try {
      stored = parse_activation(text);
    } catch (const Error& error) {
      refuse(path, text, error.what());
    }
    std::string known;
    for (int id = layer->first_node; id < layer->end_node; ++id) {
      const Node& node = model_.graph.nodes[static_cast<size_t>(id)];
      const auto* built = std::get_if<Activation>(&node.operation);
      if (built == nullptr) continue;
      const bool sloped = stored.kind == ActivationKind::kLeakyRelu || stored.kind == ActivationKind::kElu;
      if (built->kind == stored.kind && (!sloped || built->slope == stored.slope)) return;
      const std::string name(activation_name(built->kind));
      if (known.find(name) == std::string::npos) known += (known.empty() ? "" : ", ") + name;
    }
    refuse(path, text,
           fmt::format("layer {} ({}) has {} here", layer->logical, layer->module,
                       known.empty() ? "no activation" : known));
  }

 private:
  [[noreturn]] void refuse(const std::string& attribute, const std::string& stored,
                           const std::string& why) const {
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format(
            "{}: {} is {} in this file, but {}; its weights are of another network than Marrow builds", file_,
            printable(attribute), printable(stored), why),
        {.file = file_, .node = attribute});
  }

  bool is_built(const std::string& path) const {
    const std::string prefix = path + ".";
    return std::ranges::any_of(model_.graph.parameters, [&](const Parameter& parameter) {
      return parameter.name.starts_with(prefix);
    });
  }

  const Layer* layer_of(std::string_view path) const {
    constexpr std::string_view kPrefix = "model.";
    if (!path.starts_with(kPrefix)) return nullptr;
    path.remove_prefix(kPrefix.size());
    int index = -1;
    std::from_chars(path.data(), path.data() + path.size(), index);
    const auto found = std::ranges::find(model_.layers, index, &Layer::index);
    return found == model_.layers.end() ? nullptr : &*found;
  }

  const Model& model_;
  const std::string& file_;
};

}  // namespace

void check_stored_attributes(const Model& model, const weights::ModelAttributes& attributes,
                             const std::string& file) {
  const AttributeCheck check(model, file);
  for (const auto& [path, adds] : attributes.shortcuts) check.shortcut(path, adds);
  for (const auto& [path, count] : attributes.pools) check.pools(path, count);
  for (const auto& [path, text] : attributes.other_activations) check.activation(path, text);
}

}  // namespace marrow::model
