// Which network a published file belongs to: by its keys, then by every shape.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::nn {
namespace {

// What keeps `weights` from filling `parameters`: how many tensors, and the first of them in words.
struct Misfit {
  size_t tensors = 0;
  std::string first;

  void add(std::string what) {
    if (tensors++ == 0) first = std::move(what);
  }
};

Misfit compare(const std::vector<Parameter>& parameters, const Weights& weights) {
  Misfit misfit;
  for (const Parameter& parameter : parameters) {
    const auto found = weights.find(parameter.name);
    if (found == weights.end()) {
      if (!parameter.optional())
        misfit.add(fmt::format("tensor '{}' {} is missing", parameter.name, to_string(parameter.shape)));
    } else if (found->second.shape() != parameter.shape && parameter.role != ParameterRole::kCounter) {
      misfit.add(fmt::format("tensor '{}' is {}; the model wants {}", parameter.name,
                             to_string(found->second.shape()), to_string(parameter.shape)));
    }
  }
  return misfit;
}

std::vector<Parameter> body_parameters(const BackboneChoice& choice) {
  GraphBuilder g;
  choice.family->features(g, g.input(3), choice.config);
  return g.graph().parameters;
}

// Classes of the classifier that `weights` hold, 0 when they hold none: the rows of the head's last layer.
int count_classes(const BackboneChoice& choice, const Weights& weights) {
  constexpr int64_t kMaxClasses = 1'000'000;
  const Graph graph = build_classifier(choice, 1);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const auto names = parameter_names(graph.nodes[i].operation);
    if (names.empty()) continue;
    const auto found = weights.find(names.front());
    if (found == weights.end() || found->second.shape().empty()) return 0;
    const int64_t classes = found->second.dim(0);
    return classes > 0 && classes <= kMaxClasses ? static_cast<int>(classes) : 0;
  }
  return 0;
}

// One file against many networks.
class Recognition {
 public:
  explicit Recognition(const Weights& state) : state_(state) {}

  void try_layout(const BackboneChoice& choice, const CheckpointLayout& layout) {
    if (std::ranges::any_of(candidates_, [&](const ImportCandidate& known) {
          return known.choice.family == choice.family && known.choice.config == choice.config;
        }))
      return;
    Weights weights = weights::rename(state_, layout.rules(choice.config));
    if (layout.finish) layout.finish(weights);

    const std::vector<Parameter> body = body_parameters(choice);
    Misfit misfit = compare(body, weights);
    int classes = 0;
    std::vector<Parameter> known = body;
    if (misfit.tensors == 0) {
      known = build_classifier(choice, 1).parameters;
      classes = count_classes(choice, weights);
      if (classes > 0) {
        const std::vector<Parameter> whole = build_classifier(choice, classes).parameters;
        if (compare(whole, weights).tensors > 0) classes = 0;
      }
    }
    std::set<std::string_view> names;
    for (const Parameter& parameter : known) names.insert(parameter.name);
    if (misfit.tensors == 0)
      for (const auto& entry : weights)
        if (!names.contains(entry.first))
          misfit.add(fmt::format("the model has no tensor '{}'", printable(entry.first)));

    if (misfit.tensors == 0)
      candidates_.push_back({choice, classes, std::move(weights)});
    else if (!nearest_ || misfit.tensors < nearest_->misfit.tensors)
      nearest_ = {{choice, classes, std::move(weights)}, std::move(misfit)};
  }

  std::optional<ImportCandidate> nearest() && {
    if (!nearest_) return {};
    nearest_->network.classes = count_classes(nearest_->network.choice, nearest_->network.weights);
    return std::move(nearest_->network);
  }

  std::vector<ImportCandidate> finish() && {
    if (candidates_.empty() && nearest_)
      throw Error(ErrorKind::kModel,
                  fmt::format("the file's names are those of '{}' ({}), but it differs in {}; "
                              "first: {}",
                              nearest_->network.choice.name,
                              nearest_->network.choice.config.at("source").get<std::string>(),
                              counted(static_cast<int64_t>(nearest_->misfit.tensors), "place"),
                              nearest_->misfit.first));
    return std::move(candidates_);
  }

 private:
  struct Nearest {
    ImportCandidate network;
    Misfit misfit;
  };

  const Weights& state_;
  std::vector<ImportCandidate> candidates_;
  std::optional<Nearest> nearest_;
};

bool has_signature(const Weights& state, const CheckpointLayout& layout) {
  const auto contains = [&](const std::string& key) { return state.contains(key); };
  return std::ranges::all_of(layout.signature, contains) && std::ranges::none_of(layout.absent, contains);
}

}  // namespace

const CheckpointLayout* layout_of(const BackboneChoice& choice, const Weights& state) {
  std::set<std::string, std::less<>> body;
  for (const Parameter& parameter : body_parameters(choice)) body.insert(parameter.name);
  const CheckpointLayout* best = nullptr;
  std::ptrdiff_t most = 0;
  for (const CheckpointLayout& layout : choice.family->layouts) {
    if (choice.config.at("source") != layout.source) continue;
    const Weights renamed = weights::rename(state, layout.rules(choice.config));
    const auto known =
        std::ranges::count_if(renamed, [&](const auto& entry) { return body.contains(entry.first); });
    if (known > most) {
      best = &layout;
      most = known;
    }
  }
  return best;
}

namespace {

// The networks that `name` stands for: one variant, or all of a family, or the family's own configuration.
std::vector<std::string> networks(const BackboneFamily& family, std::string_view name,
                                  const BackboneConfig& overrides) {
  std::vector<std::string> names;
  for (const BackboneVariant& variant : family.variants) {
    if (variant.name == name) return {variant.name};
    names.push_back(variant.name);
  }
  if (name == family.name && !overrides.empty()) return {family.name};
  if (name.empty() || name == family.name) return names;
  return {};
}

// `wanted` is the source that the user named, or empty.
bool may_hold(const BackboneFamily& family, const std::string& network, const std::string& source,
              std::string_view wanted) {
  const auto variant = std::ranges::find(family.variants, network, &BackboneVariant::name);
  if (variant == family.variants.end()) return true;
  if (variant->config.contains("source")) return variant->config.at("source") == source;
  return !wanted.empty() || variant->sources.empty() || std::ranges::count(variant->sources, source) > 0;
}

// Holds `state` against every network that name, source and overrides leave.
Recognition survey(const Weights& state, std::string_view name, std::string_view source,
                   const BackboneConfig& overrides) {
  BackboneConfig settings = overrides.is_object() ? overrides : BackboneConfig::object();
  std::string wanted_source(source);
  if (!name.empty()) {
    const BackboneChoice choice = choose_backbone(name, overrides);  // refuses an unknown name or setting
    if (wanted_source.empty() && settings.contains("source")) wanted_source = choice.config.at("source");
  }
  settings.erase("source");

  Recognition recognition(state);
  std::vector<std::string> known_sources;
  bool source_exists = wanted_source.empty();
  for (const BackboneFamily* family : backbone_families()) {
    const std::vector<std::string> names = networks(*family, name, settings);
    if (names.empty()) continue;
    const BackboneSource* wanted = family->find_source(wanted_source);
    source_exists = source_exists || wanted != nullptr;
    for (const BackboneSource& known : family->sources) known_sources.push_back(known.name);
    for (const CheckpointLayout& layout : family->layouts) {
      if (!has_signature(state, layout)) continue;
      if (!wanted_source.empty() && (wanted == nullptr || wanted->name != layout.source)) continue;
      BackboneConfig config = settings;
      config.update(layout.config);
      config["source"] = layout.source;
      for (const std::string& network : names)
        if (may_hold(*family, network, layout.source, wanted_source))
          recognition.try_layout(choose_backbone(network, config), layout);
    }
  }
  if (!source_exists) {
    std::ranges::sort(known_sources);
    known_sources.erase(std::unique(known_sources.begin(), known_sources.end()), known_sources.end());
    throw Error(ErrorKind::kModel, unknown_name_message("source", wanted_source, known_sources));
  }
  return recognition;
}

}  // namespace

std::vector<ImportCandidate> recognise(const Weights& state, std::string_view name, std::string_view source,
                                       const BackboneConfig& overrides) {
  return survey(state, name, source, overrides).finish();
}

std::optional<ImportCandidate> recognise_nearest(const Weights& state, std::string_view name,
                                                 std::string_view source, const BackboneConfig& overrides) {
  return survey(state, name, source, overrides).nearest();
}

}  // namespace marrow::nn
