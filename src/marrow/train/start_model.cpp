#include "train/start_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "model/batch_norm_settings.h"
#include "model/import.h"
#include "model/zoo.h"

namespace marrow {
namespace {

// A checkpoint is a file that is no YAML.
bool is_checkpoint(const std::string& model) {
  const std::filesystem::path path = model;
  const std::string suffix = to_lower(path.extension().string());
  std::error_code ignored;
  return suffix != ".yaml" && suffix != ".yml" && std::filesystem::is_regular_file(path, ignored);
}

bool is_true(const std::string& text) {
  return to_lower(text) == "true" || text == "1";
}
bool is_false(const std::string& text) {
  return text.empty() || to_lower(text) == "false" || text == "0";
}

// The same network for other classes, with all that fits.
TrainedModel with_classes(const TrainedModel& from, const std::vector<std::string>& names, uint64_t seed,
                          bool take_weights, const std::string& file,
                          const std::function<void(const std::string&)>& say) {
  BuildOptions build;
  build.names = names;
  TrainedModel result;
  result.model = rebuild_model(from.model, build);
  apply_batch_norms(result.model.graph, differing_batch_norms(from.model.graph, result.model.graph));
  if (take_weights) {
    const LoadReport report = load_weights(result.model.graph, from.weights, result.weights);
    say(fmt::format("{}: took {} of {} tensors", file, report.loaded.size(),
                    report.loaded.size() + report.mismatched.size() + report.missing.size()));
    for (const LoadReport::Mismatch& m : report.mismatched)
      say(fmt::format("  {} is drawn anew: {} in the file, {} here", m.name, to_string(m.found),
                      to_string(m.wanted)));
    // A slope that a file brings along would stop the decay before it begins; the run sets its own.
  }
  initialize_missing(result.model.graph, seed, result.weights);
  return result;
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

}  // namespace

TrainedModel start_model(const TrainOptions& options, const std::vector<std::string>& names,
                         const std::function<void(const std::string&)>& say) {
  if (options.model.empty())
    throw Error(ErrorKind::kUsage, "--model is missing: a name, a YAML or a checkpoint");
  const bool from_file = !is_true(options.pretrained) && !is_false(options.pretrained);
  if (is_checkpoint(options.model)) {
    if (!options.backbone.empty())
      throw Error(ErrorKind::kUsage, "--backbone: the checkpoint " + options.model + " has its own");
    if (from_file)
      throw Error(ErrorKind::kUsage, "--model is a checkpoint already; --pretrained cannot be another");
    return with_classes(load_trained(options.model), names, options.seed, !is_false(options.pretrained),
                        options.model, say);
  }
  if (from_file) {
    const Import import =
        import_checkpoint(options.pretrained, {.model = model_name(options), .partial = true});
    say(fmt::format("{}: {}\n{}", options.pretrained, import.network, to_string(import.report)));
    return with_classes(import.trained, names, options.seed, true, options.pretrained, say);
  }
  BuildOptions build;
  build.names = names;
  TrainedModel result;
  result.model = make_model(options.model, options.backbone, build);
  for (const std::string& warning : result.model.warnings) say(warning);
  result.weights = initialize(result.model.graph, options.seed);
  return result;
}

std::vector<std::string> frozen_parts(const Model& model, const std::vector<int>& layers) {
  std::vector<std::string> parts;
  for (const int layer : layers) {
    if (layer >= static_cast<int>(model.layers.size()))
      throw Error(ErrorKind::kUsage, fmt::format("freeze: layer {}, but the model has {} (0..{})", layer,
                                                 model.layers.size(), model.layers.size() - 1));
    const std::string part = fmt::format("model.{}.", layer);
    if (std::ranges::any_of(model.graph.parameters,
                            [&](const Parameter& p) { return p.name.find(part) != std::string::npos; }))
      parts.push_back(part);
  }
  return parts;
}

}  // namespace marrow
