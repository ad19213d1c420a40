#include "marrow/model/checkpoint.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/deployed.h"
#include "marrow/model/former_names.h"
#include "marrow/model/graph_json.h"
#include "marrow/model/spec.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/weights/load_report.h"
#include "marrow/weights/safetensors.h"

namespace marrow::model {
namespace {

using nlohmann::json;

constexpr const char* kVersionKey = "marrow";
constexpr const char* kYamlVersion = "1";   // the model as YAML
constexpr const char* kGraphVersion = "2";  // the model as a graph
constexpr const char* kLaterVersion = "3";  // as YAML that 0.1 would read as another network
constexpr const char* kThresholds = "thresholds";
constexpr const char* kTiles = "tiles";
constexpr const char* kForm = "form";
constexpr const char* kDeployed = "deployed";

constexpr const char* kRgb = "rgb";
constexpr const char* kBgr = "bgr";

const std::map<Interpolation, std::string> kInterpolations = {
    {Interpolation::kBilinear, "bilinear"},
    {Interpolation::kBicubic, "bicubic"},
    {Interpolation::kOpenCvBilinear, "opencv_bilinear"}};

const InputFormat& format_of(const Graph& graph) {
  return std::get<Input>(graph.nodes.at(0).operation).format;
}

json to_json(const InputFormat& format) {
  json stored = {{"order", format.order == ChannelOrder::kRgb ? kRgb : kBgr},
                 {"scale", format.scale},
                 {"mean", format.mean},
                 {"std", format.std},
                 {"resize", format.resize},
                 {"crop", format.crop},
                 {"interpolation", kInterpolations.at(format.interpolation)}};
  if (format.range) {
    stored["bits"] = 16;
    stored["range"] = {format.range->low, format.range->high};
  }
  return stored;
}

double number(const json& stored, const char* what, double smallest, double largest) {
  const double value = stored;
  if (!(value >= smallest && value <= largest))
    fail_format(fmt::format("{} is {}, wanted a number from {} to {}", what, value, smallest, largest));
  return value;
}

// What pixels may be multiplied, shifted and divided by without leaving float32.
constexpr double kSmallestFactor = 1e-9;
constexpr double kLargestFactor = 1e9;

InputFormat input_format_of(const json& stored) {
  InputFormat format;
  const std::string order = stored.at("order");
  if (order != kRgb && order != kBgr) fail_format("order is '" + printable(order) + "', wanted rgb or bgr");
  format.order = order == kRgb ? ChannelOrder::kRgb : ChannelOrder::kBgr;
  format.scale = number(stored.at("scale"), "scale", kSmallestFactor, kLargestFactor);
  for (size_t channel = 0; channel < format.mean.size(); ++channel) {
    format.mean[channel] = number(stored.at("mean").at(channel), "mean", -kLargestFactor, kLargestFactor);
    format.std[channel] = number(stored.at("std").at(channel), "std", kSmallestFactor, kLargestFactor);
  }
  constexpr int kMaxSide = 16384;  // pixels
  format.resize = static_cast<int>(number(stored.at("resize"), "resize", 0, kMaxSide));
  format.crop = static_cast<int>(number(stored.at("crop"), "crop", 0, kMaxSide));
  if (stored.contains("bits")) {
    number(stored.at("bits"), "bits", 16, 16);
    SampleRange range;
    range.low = static_cast<int>(number(stored.at("range").at(0), "the range's begin", 0, kMaxSample16 - 1));
    range.high =
        static_cast<int>(number(stored.at("range").at(1), "the range's end", range.low + 1, kMaxSample16));
    format.range = range;
  }
  const std::string interpolation = stored.at("interpolation");
  std::vector<std::string> known;
  for (const auto& [kind, name] : kInterpolations) {
    known.push_back(name);
    if (name != interpolation) continue;
    format.interpolation = kind;
    return format;
  }
  fail_format(unknown_name_message("interpolation", interpolation, known));
}

std::vector<std::string> names_of(const json& stored) {
  std::vector<std::string> names = stored;
  if (names.empty() || names.size() > kMaxModelClasses)
    fail_format(fmt::format("{} names, wanted 1 to {}", names.size(), kMaxModelClasses));
  return names;
}

TileOptions stored_tiles(const json& stored) {
  constexpr int kLargestSide = 16384;  // pixels
  constexpr double kLargestOverlap = 0.9;
  const double side = number(stored.at("side"), "side", 1, kLargestSide);
  return {static_cast<int>(side), number(stored.at("overlap"), "overlap", 0, kLargestOverlap)};
}

std::vector<float> thresholds_of(const json& stored, size_t classes) {
  if (stored.size() != classes) fail_format(fmt::format("{} numbers for {} classes", stored.size(), classes));
  std::vector<float> thresholds;
  for (const json& one : stored) thresholds.push_back(static_cast<float>(number(one, "a threshold", 0, 1)));
  return thresholds;
}

json to_json(const std::map<std::string, weights::BatchNormSettings>& settings) {
  json stored = json::object();
  for (const auto& [path, bn] : settings) stored[path] = {bn.eps, bn.momentum};
  return stored;
}

std::map<std::string, weights::BatchNormSettings> batch_norms_of(const json& stored) {
  std::map<std::string, weights::BatchNormSettings> settings;
  for (const auto& [path, pair] : stored.items()) settings[path] = {pair.at(0), pair.at(1)};
  return settings;
}

// The metadata of one file. What a key holds is read by a function that may throw json's errors and ours;
// both come out with the file and the key.
class Metadata {
 public:
  Metadata(std::string file, const std::map<std::string, std::string>& texts)
      : file_(std::move(file)), texts_(texts) {}

  const std::string& text(const std::string& key) const {
    const auto found = texts_.find(key);
    if (found == texts_.end()) fail_format(fmt::format("{}: the metadata have no '{}'", file_, key));
    return found->second;
  }

  template <class Read>
  auto read(const std::string& key, const Read& read_value) const {
    const std::string& stored = text(key);
    try {
      return read_value(json::parse(stored));
    } catch (const json::exception& error) {
      fail_format(fmt::format("{}: metadata '{}': {}", file_, key, printable(error.what(), 300)));
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: metadata '{}': {}", file_, key, error.what()));
    }
  }

  // Keys that say for other programs what the model says for this one.
  void expect(const std::string& key, const std::string& wanted) const {
    if (text(key) != wanted)
      fail_format(fmt::format("{}: metadata '{}' is '{}', but the model's is '{}'", file_, key,
                              printable(text(key)), wanted));
  }

 private:
  std::string file_;
  const std::map<std::string, std::string>& texts_;
};

}  // namespace

namespace {

bool is_yaml_classifier(const Model& model) {
  return model.task == "classify" && !model.layers.empty();
}

// Marrow 0.1 had other networks under some names, other batch norms in a YAML's classifier, and images of 8
// bits alone.
bool means_otherwise_in_0_1(const Model& model, const ModelSpec& spec) {
  return uses_former_name(spec) || is_yaml_classifier(model) || format_of(model.graph).range.has_value();
}

}  // namespace

bool is_marrow_checkpoint(const std::map<std::string, std::string>& metadata) {
  return metadata.contains(kVersionKey);
}

std::map<std::string, std::string> checkpoint_metadata(const Model& model) {
  std::map<std::string, std::string> metadata;
  metadata["task"] = model.task;
  metadata["names"] = json(model.names).dump();
  metadata["stride"] = std::to_string(model.largest_stride);
  metadata["input"] = to_json(format_of(model.graph)).dump();
  if (!model.thresholds.empty()) metadata[kThresholds] = thresholds_text(model.thresholds);
  if (model.tiles.side > 0) metadata[kTiles] = tiles_text(model.tiles);
  if (is_deployed(model)) {
    metadata[kVersionKey] = kGraphVersion;
    metadata[kForm] = kDeployed;
    metadata["graph"] = graph_to_json(model.graph).dump();
    return metadata;
  }
  ModelSpec spec = parse_model_spec(model.yaml, "the model's description");
  spec.names.clear();  // they have a key of their own
  // What the description alone would build again need not be stored.
  const Model plain = build_model(spec, {.warn_of_other_readings = false});
  metadata[kVersionKey] = means_otherwise_in_0_1(model, spec) ? kLaterVersion : kYamlVersion;
  metadata["model"] = to_yaml(spec);
  metadata["batch_norm"] = to_json(differing_batch_norms(model.graph, plain.graph)).dump();
  return metadata;
}

void save_checkpoint(const std::filesystem::path& path, const Model& model, const Weights& weights) {
  verify(model.graph, weights);
  Weights stored;
  for (const Parameter& parameter : model.graph.parameters)
    if (const auto found = weights.find(parameter.name); found != weights.end()) stored.insert(*found);
  weights::write_safetensors(path, stored, checkpoint_metadata(model));
}

namespace {

Model described_model(const Metadata& stored, const std::string& file) {
  BuildOptions options;
  options.names = stored.read("names", names_of);
  options.input = stored.read("input", input_format_of);
  options.warn_of_other_readings = false;
  ModelSpec spec = parse_model_spec(stored.text("model"), file + ": metadata 'model'");
  const bool early = stored.text(kVersionKey) == kYamlVersion;
  if (early) use_present_names(spec);
  Model model = build_model(spec, options);
  if (early && is_yaml_classifier(model))
    for (BatchNorm* norm : norms_in(model.graph)) {
      norm->eps = nn::kYoloBatchNormEps;
      norm->momentum = nn::kYoloBatchNormMomentum;
    }
  stored.expect("task", model.task);
  stored.expect("stride", std::to_string(model.largest_stride));
  stored.read("batch_norm", [&](const json& settings) {
    const auto wanted = batch_norms_of(settings);
    const size_t applied = apply_batch_norms(model.graph, wanted);
    if (applied != wanted.size())
      fail_format(fmt::format("{} of its {} batch norms are not in the model", wanted.size() - applied,
                              wanted.size()));
    return applied;
  });
  return model;
}

Model stored_model(const Metadata& stored) {
  stored.expect(kForm, kDeployed);
  const InputFormat format = stored.read("input", input_format_of);
  const auto stride = stored.read("stride", [](const json& value) {
    return static_cast<int>(number(value, "stride", 1, kMaxModelStride));
  });
  std::vector<std::string> names = stored.read("names", names_of);
  return stored.read("graph", [&](const json& graph) {
    return model_of_graph(graph_from_json(graph, format), stored.text("task"), std::move(names), stride);
  });
}

}  // namespace

TrainedModel model_of_checkpoint(const std::filesystem::path& path,
                                 const std::map<std::string, std::string>& metadata, const Weights& state) {
  const std::string file = path.string();
  const Metadata stored(file, metadata);
  const std::string& version = stored.text(kVersionKey);
  if (version != kYamlVersion && version != kGraphVersion && version != kLaterVersion)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: checkpoint version '{}'; this program reads versions {}, {} and {}", file,
                            printable(version, 20), kYamlVersion, kGraphVersion, kLaterVersion));

  TrainedModel result;
  result.model = version == kGraphVersion ? stored_model(stored) : described_model(stored, file);
  if (metadata.contains(kThresholds))
    result.model.thresholds = stored.read(
        kThresholds, [&](const json& list) { return thresholds_of(list, result.model.names.size()); });
  if (metadata.contains(kTiles)) result.model.tiles = stored.read(kTiles, stored_tiles);
  const weights::LoadReport report = weights::load_weights(result.model.graph, state, result.weights);
  if (!report.complete())
    throw Error(ErrorKind::kModel, file + ": the tensors do not fill the model\n" + to_string(report));
  initialize_missing(result.model.graph, 0, result.weights);  // optional ones
  return result;
}

std::string input_format_text(const InputFormat& format) {
  return to_json(format).dump();
}

std::string thresholds_text(const std::vector<float>& thresholds) {
  return json(thresholds).dump();
}

std::vector<float> parse_thresholds(const std::string& text, size_t classes) {
  try {
    return thresholds_of(json::parse(text), classes);
  } catch (const json::exception& error) {
    fail_format(printable(error.what(), 300));
  }
}

std::string tiles_text(const TileOptions& tiles) {
  return json{{"side", tiles.side}, {"overlap", tiles.overlap}}.dump();
}

TileOptions parse_tiles(const std::string& text) {
  try {
    return stored_tiles(json::parse(text));
  } catch (const json::exception& error) {
    fail_format(printable(error.what(), 300));
  }
}

InputFormat parse_input_format(const std::string& text) {
  try {
    return input_format_of(json::parse(text));
  } catch (const json::exception& error) {
    fail_format(printable(error.what(), 300));
  }
}

}  // namespace marrow::model
