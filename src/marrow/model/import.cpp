#include "model/import.h"

#include <fmt/format.h>

#include <algorithm>

#include "backbones/backbone.h"
#include "base/error.h"
#include "base/text.h"
#include "model/batch_norm_settings.h"
#include "model/unfuse.h"
#include "model/zoo.h"
#include "weights/checkpoint_file.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

// "model.22.cv3.0.2.bias" of a detector, "model.9.linear.bias" of a classifier: one element a class.
std::optional<int> classes_in(const Weights& state) {
  for (const std::string_view leaf : {".cv3.0.2.bias", ".linear.bias"})
    for (const auto& [name, tensor] : state)
      if (name.starts_with("model.") && name.ends_with(leaf) && tensor.shape().size() == 1)
        return static_cast<int>(std::clamp<int64_t>(tensor.size(), 1, kMaxModelClasses));
  return {};
}

std::string name_of(const ImportCandidate& candidate) {
  return fmt::format("{} ({})", candidate.choice.name,
                     candidate.choice.config.at("source").get<std::string>());
}

class Importer {
 public:
  Importer(const fs::path& path, const ImportOptions& options)
      : file_(path.string()), options_(options), checkpoint_(read_checkpoint(path, {.key = options.key})) {}

  Import run() {
    if (is_marrow_checkpoint(checkpoint_.metadata)) return own_checkpoint();
    if (!options_.model.empty()) {
      const ModelSpec spec = find_model_spec(options_.model);
      if (!spec.classifier.empty()) return classifier(spec.classifier, spec.settings);
      return into_model(spec);
    }
    if (checkpoint_.model && !checkpoint_.model->yaml.empty()) return pickled_yolo();
    if (looks_like_yolo()) return yolo_by_shapes();
    return classifier("", BackboneConfig::object());
  }

 private:
  Import own_checkpoint() {
    Import result = begin(model_of_checkpoint(file_, checkpoint_.metadata, checkpoint_.state).model,
                          "a Marrow checkpoint");
    return finish(std::move(result), checkpoint_.state);
  }

  // A whole pickled model describes itself.
  Import pickled_yolo() {
    const ModelAttributes& attributes = *checkpoint_.model;
    const ModelSpec spec = parse_model_spec(attributes.yaml, file_ + ": model.yaml");
    return yolo(spec, spec.scale.empty() ? "a pickled model" : "a pickled model of scale " + spec.scale);
  }

  bool looks_like_yolo() const {
    return checkpoint_.state.contains("model.0.conv.weight") ||
           checkpoint_.state.contains("model.1.conv.weight");
  }

  // A bare state dict: whichever model of the zoo it fills.
  Import yolo_by_shapes() {
    std::vector<std::string> complete;
    for (const std::string& name : zoo_names()) {
      if (!name.starts_with("yolo")) continue;
      const ModelSpec spec = find_model_spec(name);
      if (build_for_file(spec).has_value()) complete.push_back(name);
    }
    if (complete.empty())
      throw Error(ErrorKind::kModel, file_ +
                                         ": the names are those of a YOLO model, but no model of the zoo has "
                                         "these shapes; name its YAML with --model");
    if (complete.size() > 1)
      throw Error(ErrorKind::kModel, fmt::format("{}: the file could be any of {}; name one with --model",
                                                 file_, join(complete, ", ")));
    return yolo(find_model_spec(complete.front()), complete.front());
  }

  // The model with the file's number of classes, if the file fills all of it.
  std::optional<Model> build_for_file(const ModelSpec& spec) const {
    Model model = build_model(spec, yolo_options());
    const bool complete = std::ranges::all_of(model.graph.parameters, [&](const Parameter& parameter) {
      const auto found = checkpoint_.state.find(parameter.name);
      return found == checkpoint_.state.end() ? parameter.optional() || is_unfused_norm(parameter.role)
                                              : found->second.shape() == parameter.shape;
    });
    return complete ? std::optional(std::move(model)) : std::nullopt;
  }

  BuildOptions yolo_options() const {
    BuildOptions build;
    build.classes = classes_in(checkpoint_.state);
    if (checkpoint_.model) {
      const auto& names = checkpoint_.model->names;
      // Keys 0..n-1, as the reference writes them; anything else is not a list of names.
      if (!names.empty() && names.begin()->first == 0 &&
          names.rbegin()->first == static_cast<int64_t>(names.size()) - 1 &&
          (!build.classes || *build.classes == static_cast<int>(names.size())))
        for (const auto& [id, name] : names) build.names.push_back(name);
    }
    return build;
  }

  Import yolo(const ModelSpec& spec, const std::string& network) {
    Import result = begin(build_model(spec, yolo_options()), network);
    if (checkpoint_.model) apply_batch_norms(result.trained.model.graph, checkpoint_.model->batch_norms);
    return finish(std::move(result), unfuse(result.trained.model.graph, checkpoint_.state));
  }

  // `name` is a variant or family, or empty for any.
  ImportCandidate recognise_one(const std::string& name, const BackboneConfig& settings) const {
    std::vector<ImportCandidate> candidates;
    try {
      candidates = recognise(checkpoint_.state, name, options_.source, settings);
    } catch (const Error& error) {
      throw Error(error.kind(), file_ + ": " + error.what());
    }
    if (candidates.empty()) {
      std::string first = checkpoint_.state.empty()
                              ? ""
                              : ", '" + printable(checkpoint_.state.begin()->first) + "' for example";
      throw Error(
          ErrorKind::kModel,
          fmt::format(
              "{}: its {} tensors{} are not named like {}. 'marrow models' lists the networks that are known",
              file_, checkpoint_.state.size(), first,
              name.empty() ? "any network" : "a published '" + name + "'"));
    }
    if (candidates.size() > 1) {
      std::vector<std::string> names;
      for (const ImportCandidate& candidate : candidates) names.push_back(name_of(candidate));
      throw Error(
          ErrorKind::kModel,
          fmt::format("{}: the file could be any of {}; say which with --model NAME and --source NAME", file_,
                      join(names, ", ")));
    }
    return std::move(candidates.front());
  }

  Import classifier(const std::string& name, const BackboneConfig& settings) {
    const ImportCandidate candidate = recognise_one(name, settings);
    ModelSpec spec;
    spec.file = file_;
    spec.classifier = candidate.choice.name;
    spec.settings = candidate.choice.config;
    BuildOptions build;
    build.classes = candidate.classes > 0 ? candidate.classes : kImageNetClasses;
    return finish(begin(build_model(spec, build), name_of(candidate)), candidate.weights);
  }

  // A detector (or a YAML classifier): its own file, or one for its backbone.
  Import into_model(const ModelSpec& spec) {
    if (looks_like_yolo()) return yolo(spec, options_.model);
    if (spec.backbone.empty() || !std::ranges::binary_search(backbone_names(), spec.backbone.front().module))
      throw Error(ErrorKind::kModel,
                  fmt::format("{}: not a file of '{}', whose tensors are named 'model.0...'. A backbone's "
                              "file needs a model with that backbone, "
                              "such as yolov8n-starnet_s1",
                              file_, options_.model));
    const LayerSpec& line = spec.backbone.front();
    BackboneConfig settings = BackboneConfig::object();
    if (!line.args.empty() && line.args.front().is_object()) settings = line.args.front();
    const ImportCandidate candidate = recognise_one(line.module, settings);

    // The source that the weights come from replaces the YAML's, so that eps, padding and wiring are theirs.
    ModelSpec adapted = spec;
    adapted.backbone.front().args = nlohmann::json::array({candidate.choice.config});
    adapted.backbone.front().module = candidate.choice.family->name;
    BuildOptions build;
    build.input = candidate.choice.family->input_format(candidate.choice.config);
    build.input->resize = build.input->crop = 0;
    Weights placed;
    for (const auto& [name, tensor] : candidate.weights) placed["model.0." + name] = tensor;
    return finish(
        begin(build_model(adapted, build), fmt::format("{} in {}", name_of(candidate), options_.model)),
        placed);
  }

  Import begin(Model model, const std::string& network) const {
    Import result;
    result.trained.model = std::move(model);
    result.kind = std::string(kind_name(checkpoint_.kind));
    if (!checkpoint_.key.empty()) result.kind += fmt::format(", entry '{}'", checkpoint_.key);
    result.network = network;
    return result;
  }

  static Import finish(Import result, const Weights& state) {
    TrainedModel& trained = result.trained;
    result.report = load_weights(trained.model.graph, state, trained.weights);
    initialize_missing(trained.model.graph, 0, trained.weights);
    result.backbone_share = backbone_share(trained.model, result.report);
    return result;
  }

  // Of a YAML model its whole backbone or the lines of its `backbone`, of a classifier by name everything
  // before the head.
  static double backbone_share(const Model& model, const LoadReport& report) {
    const int last = model.layers.empty() ? model.graph.find("c5").id : backbone_end(model) - 1;
    std::vector<std::string> names;
    for (int id = 0; id <= last; ++id)
      for (std::string& name : parameter_names(model.graph.nodes[static_cast<size_t>(id)].operation))
        names.push_back(std::move(name));
    std::ranges::sort(names);
    return report.loaded_share(
        [&](const std::string& name) { return std::ranges::binary_search(names, name); });
  }

  static int backbone_end(const Model& model) {
    // A whole backbone in one line; SPPF behind it is no part of a published backbone's file.
    if (model.layers.front().backbone) return model.layers.front().end_node;
    const ModelSpec spec = parse_model_spec(model.yaml, "the model");
    return model.layers.at(spec.backbone.size() - 1).end_node;
  }

  static constexpr int kImageNetClasses = 1000;

  std::string file_;
  const ImportOptions& options_;
  Checkpoint checkpoint_;
};

}  // namespace

Import import_checkpoint(const fs::path& path, const ImportOptions& options) {
  return Importer(path, options).run();
}

TrainedModel load_trained(const fs::path& path, const ImportOptions& options) {
  Import import = import_checkpoint(path, options);
  if (!import.report.complete())
    throw Error(ErrorKind::kModel,
                fmt::format("{}: the file does not fill {}; 'marrow import' shows what is missing\n{}",
                            path.string(), import.network, to_string(import.report)));
  return std::move(import.trained);
}

}  // namespace marrow
