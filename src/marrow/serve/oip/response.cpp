// The response to an inference request.
#include <fmt/format.h>

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

bool wants_binary(const InferCall& call) {
  if (call.raw) return true;
  if (!call.request.outputs.empty() && call.request.outputs.front().binary)
    return *call.request.outputs.front().binary;
  return call.request.binary_outputs;
}

}  // namespace

Response infer_response(const InferCall& call, const Network& network, const std::vector<Tensor>& outputs) {
  Shape shape = outputs.front().shape();
  shape.front() = static_cast<int64_t>(outputs.size());
  const bool binary = wants_binary(call);
  std::string body =
      fmt::format(R"({{"model_name":{},"model_version":"{}",)", quoted(network.name()), kModelVersion);
  if (call.request.id) body += fmt::format(R"("id":{},)", quoted(*call.request.id));
  body += fmt::format(R"("outputs":[{{"name":"{}","datatype":"FP32","shape":[{}],)", network.output_name(),
                      fmt::join(shape, ","));
  if (binary) {
    size_t bytes = 0;
    for (const Tensor& output : outputs) bytes += output.byte_size();
    body += fmt::format(R"("parameters":{{"binary_data_size":{}}}}}]}})", bytes);
    const std::string length = std::to_string(body.size());
    body.reserve(body.size() + bytes);
    for (const Tensor& output : outputs)
      body.append(reinterpret_cast<const char*>(output.bytes()), output.byte_size());
    return {200, "application/octet-stream", std::move(body), {{"Inference-Header-Content-Length", length}}};
  }
  body += R"("data":[)";
  const char* comma = "";
  for (const Tensor& output : outputs)
    for (const float value : output.values()) {
      body += comma;
      append_number(body, value);
      comma = ",";
    }
  body += "]}]}";
  return {200, kJson, std::move(body), {}};
}

}  // namespace marrow::serve
