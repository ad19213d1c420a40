#include "marrow/model/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/backbone_line.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/checkpoint_path.h"
#include "marrow/model/deployed.h"
#include "marrow/model/foreign_names.h"
#include "marrow/model/onnx_model.h"
#include "marrow/model/placed_state.h"
#include "marrow/model/readings.h"
#include "marrow/model/stored_attributes.h"
#include "marrow/model/unfuse.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/weights/checkpoint_file.h"

namespace marrow::model {
namespace {

namespace fs = std::filesystem;

// "model.22.cv3.0.2.bias" of a detector, "model.9.linear.bias" of a classifier: one element a class.
std::optional<int> classes_in(const Weights& state) {
  for (const std::string_view leaf : {".cv3.0.2.bias", ".linear.bias"})
    for (const auto& [name, tensor] : state) {
      if (!name.starts_with("model.") || !name.ends_with(leaf) || tensor.shape().size() != 1) continue;
      if (tensor.size() < 1 || tensor.size() > kMaxModelClasses)
        throw Error(ErrorKind::kModel,
                    fmt::format("tensor '{}' is {}: {} classes, wanted 1 to {}", printable(name),
                                to_string(tensor.shape()), tensor.size(), kMaxModelClasses));
      return static_cast<int>(tensor.size());
    }
  return {};
}

std::string name_of(const nn::ImportCandidate& candidate) {
  return fmt::format("{} ({})", candidate.choice.name,
                     candidate.choice.config.at("source").get<std::string>());
}

class Importer {
 public:
  Importer(const fs::path& path, const ImportOptions& options)
      : file_(path.string()),
        options_(options),
        checkpoint_(weights::read_checkpoint(path, {.key = options.key})) {
    rename_tensors(options.rename, file_, checkpoint_);
  }

  Import run() {
    if (is_marrow_checkpoint(checkpoint_.metadata)) {
      if (!options_.model.empty() || !options_.source.empty())
        throw Error(ErrorKind::kUsage,
                    file_ +
                        ": a Marrow checkpoint, which says itself what it holds. A model or a source can be "
                        "named for foreign files only");
      return own_checkpoint();
    }
    if (options_.match == kByOrder) return by_order();
    if (!options_.model.empty()) {
      const ModelSpec spec = find_model_spec(options_.model);
      if (!spec.classifier.empty()) return classifier(spec.classifier, spec.settings);
      return into_model(spec);
    }
    if (checkpoint_.model && !checkpoint_.model->yaml.empty()) return pickled_yolo();
    if (looks_like_yolo()) return yolo_by_shapes();
    return classifier("", nn::BackboneConfig::object());
  }

 private:
  static constexpr std::string_view kByOrder = "order";

  // Of the named model, with the source that the options name.
  Model model_for_order() const {
    ModelSpec spec = find_model_spec(options_.model);
    if (!options_.source.empty()) {
      if (!spec.classifier.empty()) {
        spec.settings["source"] = options_.source;
      } else if (!spec.backbone.empty() && names_backbone(spec.backbone.front().module)) {
        const BackboneLine line = read_backbone_line(spec.backbone.front());
        nn::BackboneConfig settings = line.settings;
        settings["source"] = options_.source;
        spec.backbone.front().module = line.choice.name;
        spec.backbone.front().args = nlohmann::json::array({settings});
      } else {
        throw Error(ErrorKind::kUsage,
                    fmt::format("{}: {} has no backbone in one line, so no source to choose",
                                options_.source_flag, options_.model));
      }
    }
    BuildOptions build = yolo_options();
    build.warn_of_other_readings = false;
    return build_model(spec, build);
  }

  Import by_order() {
    if (options_.model.empty())
      throw Error(ErrorKind::kUsage,
                  fmt::format("--match order: {} is missing, the network whose tensors the file's "
                              "are paired with",
                              options_.model_flag));
    Model model = model_for_order();
    const OrderMatch match = match_model(checkpoint_, model);
    Weights placed;
    for (const NamePair& pair : match.pairs) placed[pair.ours] = checkpoint_.state.at(pair.theirs);
    if (match.complete())
      for (const std::string& name : match.zeros)
        placed[name] = Tensor(model.graph.find_parameter(name)->shape);
    warn_of_sources(model);
    Import result = finish(begin(std::move(model), options_.model + ", tensors by their order"), placed);
    result.pairs = match.pairs;
    return result;
  }

  // Shapes do not tell one wiring from another.
  void warn_of_sources(Model& model) const {
    const ModelSpec spec = parse_model_spec(model.yaml, "the model");
    const std::string name = !spec.classifier.empty() ? spec.classifier
                             : !spec.backbone.empty() && names_backbone(spec.backbone.front().module)
                                 ? read_backbone_line(spec.backbone.front()).choice.name
                                 : "";
    if (!options_.source.empty() || name.empty()) return;
    const nn::BackboneFamily& family = *nn::choose_backbone(name).family;
    if (family.sources.size() < 2) return;
    std::vector<std::string> sources;
    for (const nn::BackboneSource& source : family.sources) sources.push_back(source.name);
    model.warnings.push_back(
        fmt::format("{}: shapes do not say whose weights these are. {} names the source ({}), "
                    "which decides wiring, padding and batch norms",
                    file_, options_.source_flag, join(sources, ", ")));
  }

  // For a refusal: what other ways there are.
  std::string order_hint() const {
    std::string hint = " 'marrow import' renames tensors with --rename 'PATTERN=PATTERN'";
    if (options_.model.empty()) return hint;
    try {
      const OrderMatch match = match_model(checkpoint_, model_for_order());
      return fmt::format("{} and pairs them by order and shape with --match order, where {} of {} would fit",
                         hint, match.pairs.size(), match.wanted);
    } catch (const Error&) {
      return hint;
    }
  }

  Import own_checkpoint() {
    Import result = begin(model_of_checkpoint(file_, checkpoint_.metadata, checkpoint_.state).model,
                          "a Marrow checkpoint");
    return finish(std::move(result), checkpoint_.state);
  }

  // A whole pickled model describes itself.
  Import pickled_yolo() {
    const weights::ModelAttributes& attributes = *checkpoint_.model;
    const ModelSpec spec = parse_model_spec(attributes.yaml, file_ + ": model.yaml");
    return yolo(spec, spec.scale.empty() ? "a pickled model" : "a pickled model of scale " + spec.scale);
  }

  // Some tensor is named "model.<number>.": a YAML's line.
  bool looks_like_yolo() const {
    constexpr std::string_view kPrefix = "model.";
    const auto first = checkpoint_.state.lower_bound(kPrefix);
    return first != checkpoint_.state.end() && first->first.starts_with(kPrefix) &&
           first->first.size() > kPrefix.size() && first->first[kPrefix.size()] >= '0' &&
           first->first[kPrefix.size()] <= '9';
  }

  // A bare state dict: whichever model of the zoo it fills. One network may contain another (segmentation is
  // detection and more), so the one that uses most of the file.
  Import yolo_by_shapes() {
    std::vector<std::string> complete;
    size_t most = 0;
    for (const std::string& name : zoo_names()) {
      if (!name.starts_with("yolo")) continue;
      const size_t used = tensors_used(find_model_spec(name));
      if (used > most) complete.clear();
      if (used > 0 && used >= most) complete.push_back(name);
      most = std::max(most, used);
    }
    if (complete.empty())
      throw Error(ErrorKind::kModel, file_ +
                                         ": the names are those of a YOLO model, but no model of the zoo has "
                                         "these shapes; name its YAML with " +
                                         options_.model_flag);
    if (complete.size() > 1)
      throw Error(ErrorKind::kModel, fmt::format("{}: the file could be any of {}; name one with {}", file_,
                                                 join(complete, ", "), options_.model_flag));
    return yolo(find_model_spec(complete.front()), complete.front());
  }

  // How many of the file's tensors the model takes, with the file's number of classes; 0 unless the file
  // fills all of it.
  size_t tensors_used(const ModelSpec& spec) const {
    size_t used = 0;
    for (const Parameter& parameter : build_to_fit(spec).graph.parameters) {
      const auto found = checkpoint_.state.find(parameter.name);
      if (found != checkpoint_.state.end()) {
        if (found->second.shape() != parameter.shape) return 0;
        ++used;
      } else if (!parameter.optional() && !is_unfused_norm(parameter.role)) {
        return 0;
      }
    }
    return used;
  }

  BuildOptions yolo_options() const {
    BuildOptions build;
    build.warn_of_other_readings = false;
    try {
      build.classes = classes_in(checkpoint_.state);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", file_, error.what()));
    }
    if (checkpoint_.model) {
      const auto& names = checkpoint_.model->names;
      // Keys 0..n-1, as the reference implementation writes them; anything else is not a list of names.
      if (!names.empty() && names.begin()->first == 0 &&
          names.rbegin()->first == static_cast<int64_t>(names.size()) - 1 &&
          (!build.classes || *build.classes == static_cast<int>(names.size())))
        for (const auto& [id, name] : names) build.names.push_back(name);
    }
    return build;
  }

  // Where it is one number for both sides.
  void keep_training_size(Model& model) const {
    constexpr int64_t kLargest = 16384;
    const std::vector<int64_t>& sides = checkpoint_.model->imgsz;
    if (model.task != "detect" || sides.empty() || sides.front() != sides.back()) return;
    if (sides.front() < model.largest_stride || sides.front() > kLargest) return;
    std::get<Input>(model.graph.nodes.at(0).operation).format.crop = static_cast<int>(sides.front());
  }

  // The width of the class branch, where the file's is not the rule's: a network that was fine-tuned from one
  // with other classes may keep its source's.
  int class_branch(const Model& plain) const {
    constexpr std::string_view kLast = ".cv3.0.2.weight";
    for (const Parameter& parameter : plain.graph.parameters) {
      if (!parameter.name.ends_with(kLast) || parameter.shape.size() != 4) continue;
      const auto found = checkpoint_.state.find(parameter.name);
      if (found == checkpoint_.state.end() || found->second.shape().size() != 4) return 0;
      const int64_t width = found->second.dim(1);
      return width == parameter.shape[1] || width > kMaxModelChannels ? 0 : static_cast<int>(width);
    }
    return 0;
  }

  // With the file's classes, and its class branch as wide as it is there.
  Model build_to_fit(ModelSpec spec) const {
    Model model = build_model(spec, yolo_options());
    const int width = class_branch(model);
    if (width == 0) return model;
    spec.class_branch = width;
    return build_model(spec, yolo_options());
  }

  // The model of a description, made to what the file says of its own network.
  Model build_as_stored(ModelSpec spec) const {
    if (checkpoint_.model)
      for (const auto& [path, activation] : checkpoint_.model->activations) {
        if (!checkpoint_.state.contains(path + ".conv.weight")) continue;
        try {
          parse_activation(activation);
        } catch (const Error& error) {
          throw Error(error.kind(), fmt::format("{}: {}.act: {}", file_, printable(path), error.what()),
                      {.file = file_, .node = path});
        }
        spec.unit_activations[path] = activation;
      }
    Model model = build_to_fit(std::move(spec));
    for (const auto& [path, activation] : model.unit_activations)
      model.warnings.push_back(
          fmt::format("{}: {} has the activation {} here, which its description does not say; kept", file_,
                      path, activation));
    return model;
  }

  // One text may mean several networks: the first that the file fills whole, or else the usual one.
  Import yolo(const ModelSpec& spec, const std::string& network) {
    const std::vector<Reading> readings = readings_of(spec);
    std::optional<Import> usual;
    std::exception_ptr failure;
    for (const Reading& reading : readings) {
      try {
        Import import = read_as(reading.spec, network);
        if (import.report.complete()) {
          if (!reading.what.empty())
            import.trained.model.warnings.push_back(
                fmt::format("{}: read as its tensors say: {}", file_, reading.what));
          return import;
        }
        if (reading.what.empty()) usual = std::move(import);
      } catch (const Error&) {
        if (reading.what.empty()) failure = std::current_exception();
      }
    }
    if (!usual) std::rethrow_exception(failure);
    return std::move(*usual);
  }

  Import read_as(const ModelSpec& spec, const std::string& network) {
    Import result = begin(build_as_stored(spec), network);
    const PlacedState placed = placed_state(spec, checkpoint_.state);
    Model& model = result.trained.model;
    if (checkpoint_.model) {
      apply_batch_norms(model.graph, placed.renamed(checkpoint_.model->batch_norms));
      keep_training_size(model);
    } else {
      use_rule_of_batch_norms(spec, model);
      model.warnings.push_back(assumptions_of_a_state_dict(model));
    }
    const Weights state = unfuse(model.graph, placed.state);
    Import import = finish(std::move(result), state);
    // Where tensors do not fit, they are what differs.
    if (checkpoint_.model && import.report.complete())
      check_stored_attributes(import.trained.model, *checkpoint_.model, file_);
    return import;
  }

  std::string assumptions_of_a_state_dict(const Model& model) const {
    std::set<double> eps;
    for (const Node& node : model.graph.nodes)
      if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) eps.insert(norm->eps);
    return fmt::format(
        "{}: a state dict stores neither activations and shortcuts, taken as the description has them, nor "
        "the eps of batch norms, taken as {}. A YAML with unit_activations ({}) and --norm-eps say otherwise",
        file_, fmt::join(eps, " and "), options_.model_flag);
  }

  // A bare state dict says neither eps nor momentum. Zoo models have those that their sources publish; a
  // model from a YAML has those that the reference implementation sets in every detector after building it,
  // and leaves in classifiers.
  void use_rule_of_batch_norms(const ModelSpec& spec, Model& model) const {
    if (options_.norm_eps > 0) {
      for (BatchNorm* norm : norms_in(model.graph)) norm->eps = options_.norm_eps;
      return;
    }
    if (!options_.model.empty() && is_zoo_name(options_.model)) return;
    if (model.task != "classify") apply_detector_batch_norms(spec, model.graph);
  }

  // `name` is a variant or family, or empty for any.
  std::vector<nn::ImportCandidate> candidates_for(const std::string& name,
                                                  const nn::BackboneConfig& settings) const {
    try {
      return nn::recognise(checkpoint_.state, name, options_.source, settings);
    } catch (const Error& error) {
      // Throws the same again unless what was wrong is that no network fits.
      auto nearest = nn::recognise_nearest(checkpoint_.state, name, options_.source, settings);
      if (!nearest) throw;
      if (options_.partial) return {std::move(*nearest)};
      throw Error(
          error.kind(),
          fmt::format(
              "{}. A network with settings of its own wants a YAML with 'classifier: {}' and "
              "'settings: {{...}}', given with {}; an incomplete file wants 'marrow import --min-loaded'",
              error.what(), nearest->choice.family->name, options_.model_flag));
    }
  }

  nn::ImportCandidate recognise_one(const std::string& name, const nn::BackboneConfig& settings) const {
    std::vector<nn::ImportCandidate> candidates;
    try {
      candidates = candidates_for(name, settings);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", file_, error.what()));
    }
    if (candidates.empty()) {
      const std::string first =
          checkpoint_.state.empty() ? "" : " ('" + printable(checkpoint_.state.begin()->first) + "', ...)";
      throw Error(
          ErrorKind::kModel,
          fmt::format("{}: its {} tensors{} are not named like {}. 'marrow models' lists the networks "
                      "and sources that are known.{}",
                      file_, checkpoint_.state.size(), first,
                      name.empty() ? "those of any network" : "a published '" + name + "'", order_hint()));
    }
    if (candidates.size() > 1) {
      std::vector<std::string> names;
      for (const nn::ImportCandidate& candidate : candidates) names.push_back(name_of(candidate));
      throw Error(ErrorKind::kModel,
                  fmt::format("{}: the file could be any of {}; say which with {} NAME and {} NAME", file_,
                              join(names, ", "), options_.model_flag, options_.source_flag));
    }
    return std::move(candidates.front());
  }

  Import classifier(const std::string& name, const nn::BackboneConfig& settings) {
    const nn::ImportCandidate candidate = recognise_one(name, settings);
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
    if (spec.backbone.empty() || !names_backbone(spec.backbone.front().module))
      throw Error(ErrorKind::kModel,
                  fmt::format("{}: not a file of '{}', whose tensors are named 'model.0...'. A backbone's "
                              "file needs a model with that backbone, "
                              "such as yolov8n-starnet_s1.{}",
                              file_, options_.model, order_hint()));
    const BackboneLine line = read_backbone_line(spec.backbone.front());
    const nn::ImportCandidate candidate = recognise_one(line.choice.name, line.settings);

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
    result.kind = std::string(weights::kind_name(checkpoint_.kind));
    if (!checkpoint_.key.empty()) result.kind += fmt::format(", entry '{}'", checkpoint_.key);
    result.network = network;
    return result;
  }

  static Import finish(Import result, const Weights& state) {
    TrainedModel& trained = result.trained;
    result.report = weights::load_weights(trained.model.graph, state, trained.weights);
    initialize_missing(trained.model.graph, 0, trained.weights);
    result.backbone_share = backbone_share(trained.model, result.report);
    return result;
  }

  // Of a YAML model its whole backbone or the lines of its `backbone`, of a classifier by name everything
  // before the head.
  static double backbone_share(const Model& model, const weights::LoadReport& report) {
    if (is_deployed(model)) return report.loaded_share([](const std::string&) { return true; });
    const std::vector<std::string> names = backbone_parameters(model);
    return report.loaded_share(
        [&](const std::string& name) { return std::ranges::binary_search(names, name); });
  }

  static constexpr int kImageNetClasses = 1000;

  std::string file_;
  const ImportOptions& options_;
  weights::Checkpoint checkpoint_;
};

// A network that describes itself, whole.
Import import_onnx(const fs::path& path, const ImportOptions& options) {
  if (!options.model.empty() || !options.source.empty() || !options.key.empty())
    throw Error(ErrorKind::kUsage,
                path.string() +
                    ": an ONNX file, which says itself what it holds. A model, a source or a key can be "
                    "named for checkpoints only");
  Import result;
  result.trained = read_onnx_model(path);
  result.kind = "ONNX";
  result.network = result.trained.model.task == "detect" ? "a detector" : "a classifier";
  for (const auto& [name, tensor] : result.trained.weights) result.report.loaded.push_back(name);
  result.backbone_share = 1;
  return result;
}

}  // namespace

Import import_checkpoint(const fs::path& path, const ImportOptions& options) {
  require_checkpoint_file(path);
  if (is_onnx_file(path)) return import_onnx(path, options);
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

}  // namespace marrow::model
