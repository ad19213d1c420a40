#include "marrow/train/start_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/rules.h"
#include "marrow/base/text.h"
#include "marrow/data/class_match.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/checkpoint_path.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/onnx_model.h"
#include "marrow/model/zoo.h"
#include "marrow/train/class_rows.h"
#include "marrow/train/first_convolution.h"
#include "marrow/train/step/parameter_groups.h"
#include "marrow/weights/safetensors.h"

namespace marrow::train {
namespace {

bool follows_84(const TrainOptions& options) {
  return rules_named(options.rules) == Rules::k84;
}

bool says_no(const std::string& pretrained) {
  return pretrained.empty() || parse_truth(pretrained) == false;
}

// What a fresh head's box branches start at: 1 with 8.3's rules, 2 with those of 8.4.
void settle_box_biases(Graph& graph, const TrainOptions& options) {
  for (Parameter& parameter : graph.parameters)
    if (tail_of_branch(parameter.name, "cv2") == "2.bias")
      parameter.init = Init::constant(follows_84(options) ? 2 : 1);
}

// A classifier's YAML gets PyTorch's batch norms, not those of detectors. A backbone in one line keeps its
// own.
void settle_classifier_norms(model::Model& model) {
  if (model.task != "classify" || model.layers.empty()) return;
  std::map<std::string, weights::BatchNormSettings> settings;
  for (const model::Layer& layer : model.layers) {
    if (layer.backbone) continue;
    for (int i = layer.first_node; i < layer.end_node; ++i)
      if (const auto* norm = std::get_if<BatchNorm>(&model.graph.nodes.at(static_cast<size_t>(i)).operation))
        settings[norm->weight.substr(0, norm->weight.rfind('.'))] = {.eps = 1e-5, .momentum = 0.1};
  }
  model::apply_batch_norms(model.graph, settings);
}

// What the dataset decides of a model.
struct DataTraits {
  const std::vector<std::string>& names;  // of the classes
  const ImageReading& reading;
  const std::vector<int>& keypoint_shape;  // of poses, or empty
};

model::BuildOptions build_options(const DataTraits& data) {
  model::BuildOptions build;
  build.names = data.names;
  build.channels = data.reading.samples.channels;
  build.keypoint_shape = data.keypoint_shape;
  return build;
}

// Says in the model's input how images are read.
void settle_reading(model::Model& model, const ImageReading& reading) {
  InputFormat& format = std::get<Input>(model.graph.nodes.at(0).operation).format;
  if (reading.samples.bits == 16)
    set_range(format, reading.range);
  else
    reset_range(format);
}

// The same network for other classes and images; its batch norms keep their settings.
model::Model for_data(const model::Model& from, const DataTraits& data, int class_branch = 0) {
  const model::BuildOptions build = build_options(data);
  model::Model model = model::rebuild_model(from, build, class_branch);
  model::apply_batch_norms(model.graph, model::differing_batch_norms(from.graph, model.graph));
  model.tiles = from.tiles;
  return model;
}

// A file's weights, by the names that the model has, and what it says of its network.
struct Source {
  std::string file;
  Weights weights;
  std::vector<std::string> names;  // of its classes
  Graph graph = {};                // empty: not a detector of the same kind
};

constexpr size_t kNamed = 5;  // tensors

void say_mismatched(const std::vector<weights::LoadReport::Mismatch>& mismatched,
                    const std::function<void(const std::string&)>& say) {
  const size_t count = mismatched.size();
  for (size_t i = 0; i < std::min(count, kNamed); ++i) {
    const weights::LoadReport::Mismatch& m = mismatched[i];
    say(fmt::format("  {} is {} in the file, {} here", m.name, to_string(m.found), to_string(m.wanted)));
  }
  if (count > kNamed)
    say(fmt::format("  and {} more are of other shapes: is it a file of this network?", count - kNamed));
}

// Whether another number of classes is all that makes the tensors of other shapes.
bool differ_in_classes(const std::vector<weights::LoadReport::Mismatch>& mismatched, int classes) {
  const auto differs = [&](const weights::LoadReport::Mismatch& m) {
    return !m.found.empty() && m.found.size() == m.wanted.size() && m.wanted[0] == classes &&
           m.found[0] == mismatched.front().found[0] &&
           std::equal(m.found.begin() + 1, m.found.end(), m.wanted.begin() + 1);
  };
  return !mismatched.empty() && std::ranges::all_of(mismatched, differs);
}

// Takes what fits of the source, draws the rest, and says so.
model::TrainedModel filled(model::Model model, Source source, const TrainOptions& options,
                           const std::function<void(const std::string&)>& say) {
  const std::string& file = source.file;
  const uint64_t seed = options.seed;
  Weights& found = source.weights;
  model::TrainedModel result;
  if (const int width = follows_84(options) ? class_branch_of(model.graph, source.graph) : 0; width > 0)
    model = for_data(model, {model.names, image_reading(model.graph), {}}, width);
  result.model = std::move(model);
  settle_box_biases(result.model.graph, options);
  if (follows_84(options) && options.cls_remap && result.model.task != "classify") {
    const std::vector<int> rows = rows_by_name(source.names, result.model.names);
    if (!rows.empty()) {
      take_class_rows(result.model.graph, rows, initialize(result.model.graph, seed), found);
      say(fmt::format("{}: took the outputs of {} of {} by their names", file,
                      std::ranges::count_if(rows, [](int row) { return row >= 0; }),
                      counted(static_cast<int64_t>(rows.size()), "class")));
    }
  }
  if (const std::string done =
          fit_first_convolution(result.model.graph, initialize(result.model.graph, seed), found);
      !done.empty())
    say(fmt::format("{}: {}", file, done));
  const weights::LoadReport report = weights::load_weights(result.model.graph, found, result.weights);
  if (report.loaded.empty())
    throw Error(ErrorKind::kModel,
                file + ": no tensor of it has a name and shape of the model\n" + to_string(report));
  const size_t all = report.loaded.size() + report.mismatched.size() + report.missing.size();
  say(report.loaded.size() == all
          ? fmt::format("{}: took all {} tensors of the model", file, all)
          : fmt::format("{}: took {} of the model's {} tensors; the others are drawn from the seed", file,
                        report.loaded.size(), all));
  if (result.model.layers.size() > 1 && result.model.layers.front().backbone)
    say(fmt::format(
        "  {:.0f} % of the backbone's parameters are from the file",
        100 * report.loaded_share([](const std::string& name) { return name.starts_with("model.0."); })));
  if (differ_in_classes(report.mismatched, result.model.classes()))
    say(fmt::format("  the outputs of the classes are new: {} in the file, {} here",
                    report.mismatched.front().found[0], result.model.classes()));
  else
    say_mismatched(report.mismatched, say);
  if (const size_t unused = report.unused.size(); unused > 0) {
    std::vector<std::string> names(
        report.unused.begin(), report.unused.begin() + static_cast<std::ptrdiff_t>(std::min(unused, kNamed)));
    if (unused > kNamed) names.emplace_back("...");
    say(fmt::format("  no place here for {} of the file: {}", counted(static_cast<int64_t>(unused), "tensor"),
                    join(names, ", ")));
  }
  initialize_missing(result.model.graph, seed, result.weights);
  return result;
}

// By module, what a file says of its batch norms where that is not what its lines say.
std::map<std::string, weights::BatchNormSettings> stored_batch_norms(const model::Model& from) {
  return model::differing_batch_norms(from.graph, model::rebuild_model(from, {}).graph);
}

bool is_own_checkpoint(const std::string& file) {
  model::require_checkpoint_file(file);
  return to_lower(std::filesystem::path(file).extension().string()) == ".safetensors" &&
         model::is_marrow_checkpoint(weights::read_safetensors(file).metadata);
}

// A file of ours that is more than a graph.
model::TrainedModel load_trainable(const std::string& file) {
  model::TrainedModel own = model::load_trained(file);
  if (model::is_deployed(own.model))
    throw Error(
        ErrorKind::kUsage,
        file +
            ": a deployed model: its batch norms are folded and its layers merged, which training cannot "
            "undo. Train the checkpoint that it was deployed from");
  return own;
}

// Where the outputs of the classes are taken by number, whatever the classes are called.
void say_order(const TrainOptions& options, const std::string& file, const model::Model& own,
               const std::vector<std::string>& names, const std::function<void(const std::string&)>& say) {
  const bool by_name = follows_84(options) && options.cls_remap && own.task != "classify";
  if (!by_name && own.names.size() == names.size() &&
      data::match_classes(own.names, names).by == data::ClassMatch::By::kName)
    say(
        fmt::format("{}: its classes have another order in the dataset ({}, there {}): its outputs are taken "
                    "by number, so that which is which is learnt anew",
                    file, join(own.names, ", "), join(names, ", ")));
}

std::string model_name(const TrainOptions& options) {
  if (options.backbone.empty()) return options.model;
  if (options.model.find('/') != std::string::npos || options.model.ends_with(".yaml"))
    throw Error(
        ErrorKind::kUsage,
        "pretrained: a model YAML with --backbone cannot take weights from a file; name the backbone in the "
        "YAML, or use a name of 'marrow models'");
  return options.model + "-" + options.backbone;
}

// A file of ours says what it is: a model of the same lines, or a classifier whose network is the backbone
// here.
model::TrainedModel from_own_checkpoint(const TrainOptions& options, const DataTraits& data,
                                        const std::function<void(const std::string&)>& say) {
  const model::TrainedModel own = load_trainable(options.pretrained);
  say_order(options, options.pretrained, own.model, data.names, say);
  model::BuildOptions build = build_options(data);
  build.input = std::get<Input>(own.model.graph.nodes.at(0).operation).format;
  model::Model model = model::make_model(options.model, options.backbone, build);
  if (model.task != "classify") {
    InputFormat& format = std::get<Input>(model.graph.nodes.at(0).operation).format;
    format.resize = format.crop = 0;
  }
  const bool as_backbone = own.model.layers.empty() && !model.layers.empty() && model.layers.front().backbone;
  const std::string prefix = as_backbone ? "model.0." : "";
  std::map<std::string, weights::BatchNormSettings> batch_norms;
  for (const auto& [path, settings] : stored_batch_norms(own.model)) batch_norms[prefix + path] = settings;
  model::apply_batch_norms(model.graph, batch_norms);
  Weights found;
  for (const auto& [name, tensor] : own.weights) found[prefix + name] = tensor;
  return filled(std::move(model), {options.pretrained, std::move(found), own.model.names, own.model.graph},
                options, say);
}

model::TrainedModel from_foreign_file(const TrainOptions& options, const DataTraits& data,
                                      const std::function<void(const std::string&)>& say) {
  if (model::is_onnx_file(options.pretrained))
    throw Error(ErrorKind::kUsage, "pretrained: " + options.pretrained +
                                       ": an ONNX file, whose batch norms are gone; training starts from a "
                                       "checkpoint (.pt, .pth, .safetensors, ...)");
  const model::Import import =
      model::import_checkpoint(options.pretrained, {.model = model_name(options), .partial = true});
  say(fmt::format("{}: {}\n{}", options.pretrained, import.network, to_string(import.report)));
  Weights found;
  for (const std::string& name : import.report.loaded) found[name] = import.trained.weights.at(name);
  const model::Model& from = import.trained.model;
  return filled(for_data(from, data), {options.pretrained, std::move(found), from.names, from.graph}, options,
                say);
}

model::TrainedModel started(const TrainOptions& options, const DataTraits& data,
                            const std::function<void(const std::string&)>& say) {
  if (options.model.empty())
    throw Error(
        ErrorKind::kUsage,
        "--model is missing: a name such as yolov8n ('marrow models' lists them), a YAML or a checkpoint");
  const bool from_file = parse_truth(options.pretrained) != true && !says_no(options.pretrained);
  if (model::is_checkpoint_path(options.model)) {
    if (!options.backbone.empty())
      throw Error(ErrorKind::kUsage, "--backbone: the checkpoint " + options.model + " has its own");
    if (from_file)
      throw Error(ErrorKind::kUsage, "--model is a checkpoint already; --pretrained cannot be another");
    const model::TrainedModel own = load_trainable(options.model);
    model::Model model = for_data(own.model, data);
    if (!says_no(options.pretrained)) {
      say_order(options, options.model, own.model, data.names, say);
      return filled(std::move(model), {options.model, own.weights, own.model.names, own.model.graph}, options,
                    say);
    }
    settle_box_biases(model.graph, options);
    Weights weights = initialize(model.graph, options.seed);
    return {std::move(model), std::move(weights)};
  }
  if (from_file)
    return is_own_checkpoint(options.pretrained) ? from_own_checkpoint(options, data, say)
                                                 : from_foreign_file(options, data, say);
  model::TrainedModel result;
  result.model = model::make_model(options.model, options.backbone, build_options(data));
  for (const std::string& warning : result.model.warnings) say(warning);
  settle_classifier_norms(result.model);
  settle_box_biases(result.model.graph, options);
  result.weights = initialize(result.model.graph, options.seed);
  return result;
}

}  // namespace

model::TrainedModel start_model(const TrainOptions& options, const std::vector<std::string>& names,
                                const ImageReading& reading,
                                const std::function<void(const std::string&)>& say,
                                const std::vector<int>& keypoint_shape) {
  model::TrainedModel result = started(options, {names, reading, keypoint_shape}, say);
  settle_reading(result.model, reading);
  return result;
}

std::vector<std::string> frozen_parts(const model::Model& model, const std::vector<std::string>& layers) {
  std::vector<std::string> parts;
  if (!layers.empty() && model.layers.empty())
    throw Error(
        ErrorKind::kUsage,
        "freeze: counts the lines of a model YAML; a classifier by name has none and is trained whole");
  const auto has = [](const Parameter& parameter, const std::string& part) {
    return parameter.name.find(part) != std::string::npos;
  };
  const auto& parameters = model.graph.parameters;
  std::vector<std::string> chosen;
  for (const std::string& layer : layers) {
    if (layer != kWholeBackbone)
      chosen.push_back(layer);
    else
      for (size_t i = 0; i < model::backbone_layers(model); ++i) chosen.push_back(std::to_string(i));
  }
  for (const std::string& layer : chosen) {
    const std::string part = fmt::format("model.{}.", layer);
    const bool found = std::ranges::any_of(parameters, [&](const Parameter& p) { return has(p, part); });
    if (found) {
      parts.push_back(part);
      continue;
    }
    if (layer.find('.') != std::string::npos)
      throw Error(ErrorKind::kUsage, fmt::format("freeze: no parameter's name has '{}' in it", part));
    if (std::stoul(layer) >= model.layers.size())
      throw Error(ErrorKind::kUsage, fmt::format("freeze: layer {}, but the model has {} (0..{})", layer,
                                                 model.layers.size(), model.layers.size() - 1));
  }
  const bool any_left = std::ranges::any_of(parameters, [&](const Parameter& parameter) {
    return parameter.trainable() &&
           std::ranges::none_of(parts, [&](const std::string& part) { return has(parameter, part); });
  });
  if (!any_left) throw Error(ErrorKind::kUsage, "freeze: every layer is frozen, so nothing is left to train");
  return parts;
}

}  // namespace marrow::train
