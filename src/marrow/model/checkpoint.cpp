#include "model/checkpoint.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "model/batch_norm_settings.h"
#include "model/spec.h"
#include "weights/load_report.h"
#include "weights/safetensors.h"

namespace marrow {
namespace {

using nlohmann::json;

constexpr const char* kVersionKey = "marrow";
constexpr const char* kVersion = "1";

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
  return {{"order", format.order == ChannelOrder::kRgb ? kRgb : kBgr},
          {"scale", format.scale},
          {"mean", format.mean},
          {"std", format.std},
          {"resize", format.resize},
          {"crop", format.crop},
          {"interpolation", kInterpolations.at(format.interpolation)}};
}

InputFormat input_format_of(const json& stored) {
  InputFormat format;
  const std::string order = stored.at("order");
  if (order != kRgb && order != kBgr)
    throw Error(ErrorKind::kFormat, "order is '" + order + "', wanted rgb or bgr");
  format.order = order == kRgb ? ChannelOrder::kRgb : ChannelOrder::kBgr;
  stored.at("scale").get_to(format.scale);
  stored.at("mean").get_to(format.mean);
  stored.at("std").get_to(format.std);
  stored.at("resize").get_to(format.resize);
  stored.at("crop").get_to(format.crop);
  constexpr int kMaxSide = 16384;
  if (format.resize < 0 || format.resize > kMaxSide || format.crop < 0 || format.crop > kMaxSide)
    throw Error(ErrorKind::kFormat,
                fmt::format("resize {} or crop {} is not in 0..{}", format.resize, format.crop, kMaxSide));
  const std::string interpolation = stored.at("interpolation");
  for (const auto& [kind, name] : kInterpolations)
    if (name == interpolation) {
      format.interpolation = kind;
      return format;
    }
  throw Error(ErrorKind::kFormat, "interpolation is '" + interpolation + "'");
}

json to_json(const std::map<std::string, BatchNormSettings>& settings) {
  json stored = json::object();
  for (const auto& [path, bn] : settings) stored[path] = {bn.eps, bn.momentum};
  return stored;
}

std::map<std::string, BatchNormSettings> batch_norms_of(const json& stored) {
  std::map<std::string, BatchNormSettings> settings;
  for (const auto& [path, pair] : stored.items()) settings[path] = {pair.at(0), pair.at(1)};
  return settings;
}

}  // namespace

bool is_marrow_checkpoint(const std::map<std::string, std::string>& metadata) {
  return metadata.contains(kVersionKey);
}

void save_checkpoint(const std::filesystem::path& path, const Model& model, const Weights& weights) {
  verify(model.graph, weights);
  // What the description alone would build again need not be stored.
  const Model plain = build_model(parse_model_spec(model.yaml, path.string()));
  std::map<std::string, std::string> metadata;
  metadata[kVersionKey] = kVersion;
  metadata["model"] = model.yaml;
  metadata["task"] = model.task;
  metadata["names"] = json(model.names).dump();
  metadata["stride"] = json(model.largest_stride).dump();
  metadata["input"] = to_json(format_of(model.graph)).dump();
  metadata["batch_norm"] = to_json(differing_batch_norms(model.graph, plain.graph)).dump();
  Weights stored;
  for (const Parameter& parameter : model.graph.parameters)
    if (const auto found = weights.find(parameter.name); found != weights.end()) stored.insert(*found);
  write_safetensors(path, stored, metadata);
}

TrainedModel model_of_checkpoint(const std::filesystem::path& path,
                                 const std::map<std::string, std::string>& metadata, const Weights& state) {
  const std::string file = path.string();
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = metadata.find(key);
    if (found == metadata.end())
      throw Error(ErrorKind::kFormat, file + ": the metadata have no '" + key + "'");
    return found->second;
  };
  const std::string& version = text(kVersionKey);
  if (version != kVersion)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: checkpoint version '{}'; this program reads version {}", file,
                            version.substr(0, 20), kVersion));

  TrainedModel result;
  BuildOptions options;
  std::map<std::string, BatchNormSettings> batch_norms;
  const char* key = "";
  try {
    key = "names";
    json::parse(text(key)).get_to(options.names);
    key = "input";
    options.input = input_format_of(json::parse(text(key)));
    key = "batch_norm";
    batch_norms = batch_norms_of(json::parse(text(key)));
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kFormat, fmt::format("{}: metadata '{}': {}", file, key, error.what()));
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: metadata '{}': {}", file, key, error.what()));
  }
  result.model = build_model(parse_model_spec(text("model"), file + ": metadata 'model'"), options);
  apply_batch_norms(result.model.graph, batch_norms);
  const LoadReport report = load_weights(result.model.graph, state, result.weights);
  if (!report.complete())
    throw Error(ErrorKind::kModel, file + ": the tensors do not fill the model\n" + to_string(report));
  initialize_missing(result.model.graph, 0, result.weights);  // optional ones
  return result;
}

}  // namespace marrow
