// The response to an inference request.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "marrow/serve/oip/metadata.h"
#include "marrow/serve/oip/tensors.h"

namespace marrow::serve {
namespace {

// The shortest text that reads back as the same float; JSON has none for what is no number.
void append_number(std::string& text, float value) {
  if (!std::isfinite(value)) {
    text += "null";
    return;
  }
  std::array<char, 32> digits;
  text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

std::string quoted(const std::string& text) {
  using nlohmann::json;
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

// An output that is answered.
struct Wanted {
  size_t number;  // in the network's order
  bool binary;
};

// Those that were asked for in their order, or all.
std::vector<Wanted> wanted_outputs(const InferCall& call, const Network& network) {
  const std::vector<std::string>& names = network.output_names();
  const bool usual = call.raw || call.request.binary_outputs;
  std::vector<Wanted> wanted;
  for (const InferOutput& output : call.request.outputs)
    wanted.push_back({static_cast<size_t>(std::ranges::find(names, output.name) - names.begin()),
                      output.binary.value_or(usual)});
  if (wanted.empty())
    for (size_t i = 0; i < names.size(); ++i) wanted.push_back({i, usual});
  return wanted;
}

void append_numbers(std::string& text, const std::vector<Outputs>& pictures, size_t output) {
  const char* comma = "";
  for (const Outputs& picture : pictures)
    for (const float value : picture[output].values()) {
      text += comma;
      append_number(text, value);
      comma = ",";
    }
}

}  // namespace

Response infer_response(const InferCall& call, const Network& network, const std::vector<Outputs>& outputs) {
  std::string body =
      fmt::format(R"({{"model_name":{},"model_version":"{}",)", quoted(network.name()), kModelVersion);
  if (call.request.id) body += fmt::format(R"("id":{},)", quoted(*call.request.id));
  if (!call.warning.empty()) body += fmt::format(R"("parameters":{{"warning":{}}},)", quoted(call.warning));
  body += R"("outputs":[)";
  const std::vector<Wanted> wanted = wanted_outputs(call, network);
  size_t binary_bytes = 0;
  for (const auto& [number, binary] : wanted) {
    const Tensor& first = outputs.front()[number];
    Shape shape = first.shape();
    shape.front() = static_cast<int64_t>(outputs.size());
    if (body.back() == '}') body += ',';
    body += fmt::format(R"({{"name":"{}","datatype":"FP32","shape":[{}],)", network.output_names()[number],
                        fmt::join(shape, ","));
    if (binary) {
      const size_t bytes = outputs.size() * first.byte_size();
      body += fmt::format(R"("parameters":{{"binary_data_size":{}}}}})", bytes);
      binary_bytes += bytes;
    } else {
      body += R"("data":[)";
      append_numbers(body, outputs, number);
      body += "]}";
    }
  }
  body += "]}";
  if (std::ranges::none_of(wanted, &Wanted::binary)) return {200, kJson, std::move(body), {}};
  const std::string length = std::to_string(body.size());
  body.reserve(body.size() + binary_bytes);
  for (const auto& [number, binary] : wanted)
    if (binary)
      for (const Outputs& picture : outputs)
        body.append(reinterpret_cast<const char*>(picture[number].bytes()), picture[number].byte_size());
  return {200, "application/octet-stream", std::move(body), {{"Inference-Header-Content-Length", length}}};
}

}  // namespace marrow::serve
