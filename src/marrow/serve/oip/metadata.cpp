#include "marrow/serve/oip/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "marrow/base/utf8.h"

namespace marrow::serve {
namespace {

using json = nlohmann::ordered_json;

std::string dumped(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Names of classes come from files: quotes, control characters and bytes that are no UTF-8 are escaped.
std::string python_text(std::string_view text) {
  std::string quoted = "'";
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length == 0 || is_control(code_point(character))) {
      const auto code = length == 0 ? static_cast<unsigned char>(character.front()) : code_point(character);
      quoted += fmt::format("\\U{:08x}", static_cast<uint32_t>(code));
    } else {
      if (character == "'" || character == "\\") quoted += '\\';
      quoted += character;
    }
  }
  return quoted + "'";
}

// The dimensions without the batch; -1 is free.
std::vector<int64_t> input_dimensions(const Network& network) {
  if (network.is_fixed()) return {network.channels(), network.size().height, network.size().width};
  return {network.channels(), -1, -1};
}

// The same of output `i`. Sizes of maps follow the input's.
std::vector<int64_t> output_dimensions(const Network& network, size_t i) {
  std::vector<int64_t> shape = network.output_shapes(network.size().height, network.size().width)[i];
  if (!network.is_fixed()) std::fill(shape.begin() + 1, shape.end(), -1);
  return shape;
}

// tensor(name, dimensions) of each output.
template <class Function>
json outputs_json(const Network& network, const Function& tensor) {
  json outputs = json::array();
  for (size_t i = 0; i < network.output_names().size(); ++i)
    outputs.push_back(tensor(network.output_names()[i], output_dimensions(network, i)));
  return outputs;
}

// Of a network with keypoints: how many, and how many numbers each has.
std::string keypoint_text(const Network& network) {
  if (!network.is_detector()) return {};
  const int numbers = numbers_of_point(network.decode().extra);
  if (numbers == 1) return {};
  return fmt::format("'kpt_shape': [{}, {}], ", network.decode().extra_channels / numbers, numbers);
}

json duration_json(const Times& times) {
  return {{"count", times.count}, {"ns", times.ns}};
}

}  // namespace

std::string server_metadata(const std::string& version) {
  return dumped(
      {{"name", "marrow"},
       {"version", version},
       {"extensions",
        {"binary_tensor_data", "model_configuration", "statistics", "model_repository", "parameters"}}});
}

std::string model_metadata(const Network& network) {
  const auto tensor = [](const std::string& name, std::vector<int64_t> shape) {
    shape.insert(shape.begin(), -1);
    return json{{"name", name}, {"datatype", "FP32"}, {"shape", shape}};
  };
  return dumped({{"name", network.name()},
                 {"versions", json::array({kModelVersion})},
                 {"platform", "marrow_graph"},
                 {"inputs", json::array({tensor(kInputName, input_dimensions(network))})},
                 {"outputs", outputs_json(network, tensor)}});
}

std::string model_config(const Network& network, const InferLimits& limits) {
  const auto tensor = [](const std::string& name, const std::vector<int64_t>& dims) {
    return json{{"name", name}, {"data_type", "TYPE_FP32"}, {"dims", dims}};
  };
  const InputFormat& format = network.format();
  const auto text = [](const std::string& value) { return json{{"string_value", value}}; };
  return dumped({{"name", network.name()},
                 {"platform", ""},
                 {"backend", "marrow"},
                 {"max_batch_size", limits.batch},
                 {"input", json::array({tensor(kInputName, input_dimensions(network))})},
                 {"output", outputs_json(network, tensor)},
                 {"parameters",
                  {{"metadata", text(python_metadata(network))},
                   // x = (sample * scale - mean) / std
                   {"channel_order", text(format.order == ChannelOrder::kRgb ? "RGB" : "BGR")},
                   {"scale", text(fmt::format("{}", format.scale))},
                   {"mean", text(fmt::format("{}", fmt::join(format.mean, ",")))},
                   {"std", text(fmt::format("{}", fmt::join(format.std, ",")))}}}});
}

std::string python_metadata(const Network& network) {
  std::string names;
  for (size_t i = 0; i < network.class_names().size(); ++i)
    names += fmt::format("{}{}: {}", i == 0 ? "" : ", ", i, python_text(network.class_names()[i]));
  return fmt::format(
      "{{'task': '{}', 'stride': {}, 'batch': 1, 'channels': {}, 'imgsz': [{}, {}], 'names': {{{}}}, "
      "{}'end2end': False, 'args': {{'dynamic': {}}}}}",
      network.model().task, network.is_detector() ? network.stride() : 1, network.channels(),
      network.size().height, network.size().width, names, keypoint_text(network),
      network.is_fixed() ? "False" : "True");
}

std::string model_statistics(const std::vector<ModelState>& models) {
  json list = json::array();
  for (const ModelState& model : models) {
    const ModelMetrics::Values values = model.metrics->values();
    json batches = json::array();
    for (const auto& [size, times] : values.batches)
      batches.push_back({{"batch_size", size},
                         {"compute_input", duration_json({times.count, 0})},
                         {"compute_infer", duration_json(times)},
                         {"compute_output", duration_json({times.count, 0})}});
    list.push_back({{"name", model.name},
                    {"version", kModelVersion},
                    {"last_inference", values.last_ms},
                    {"inference_count", values.pictures},
                    {"execution_count", values.runs},
                    {"inference_stats",
                     {{"success", duration_json(values.success)},
                      {"fail", duration_json(values.fail)},
                      {"queue", duration_json(values.waiting)},
                      {"compute_input", duration_json(values.input)},
                      {"compute_infer", duration_json(values.infer)},
                      {"compute_output", duration_json(values.output)},
                      {"cache_hit", duration_json({})},
                      {"cache_miss", duration_json({})}}},
                    {"batch_stats", batches}});
  }
  return dumped({{"model_stats", list}});
}

std::string repository_index(const std::vector<ModelState>& models, bool ready_only) {
  json list = json::array();
  for (const ModelState& model : models) {
    const bool ready = model.network != nullptr;
    if (!ready && ready_only) continue;
    list.push_back({{"name", model.name},
                    {"version", kModelVersion},
                    {"state", ready ? "READY" : "LOADING"},
                    {"reason", ""}});
  }
  return dumped(list);
}

}  // namespace marrow::serve
