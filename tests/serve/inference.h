// Requests of the Open Inference Protocol, their answers, and what the engine alone makes of the same input.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "marrow/predict/compiled_network.h"
#include "serve/running_server.h"
#include "support/graphs.h"
#include "support/http_client.h"

namespace marrow::testing {

inline Tensor input_of(int64_t batch, int64_t height, int64_t width) {
  Tensor input = noise({batch, 3, height, width}, 7);
  for (float& value : input.values()) value = std::abs(value) / 4;
  return input;
}

// Of the pictures one by one.
inline std::vector<float> engine_output(const std::string& name, const std::string& output,
                                        const Tensor& input) {
  const model::TrainedModel trained = served_model(name);
  predict::CompiledNetwork network({trained.model.graph, trained.weights}, {output}, {.threads = 1});
  const Shape one = {1, input.dim(1), input.dim(2), input.dim(3)};
  predict::CompiledNetwork::Compiled& compiled = network.at(one);
  std::vector<float> values;
  for (int64_t i = 0; i < input.dim(0); ++i) {
    std::memcpy(compiled.input.bytes(), input.bytes() + static_cast<size_t>(i) * compiled.input.byte_size(),
                compiled.input.byte_size());
    const Tensor& result = compiled.run();
    values.insert(values.end(), result.values().begin(), result.values().end());
  }
  return values;
}

inline std::vector<float> floats_of(std::string_view bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

inline nlohmann::json data_of(const Tensor& tensor) {
  return std::vector<float>(tensor.values().begin(), tensor.values().end());
}

// Without its data.
inline nlohmann::json request_of(const Tensor& input) {
  return {{"inputs", {{{"name", "images"}, {"datatype", "FP32"}, {"shape", input.shape()}}}}};
}

// JSON and the bytes behind it.
struct BinaryAnswer {
  nlohmann::json head;
  std::string bytes;
};
inline BinaryAnswer parts_of(const HttpAnswer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.field("content-type"), "application/octet-stream");
  const size_t length = std::stoull(answer.field("inference-header-content-length"));
  return {nlohmann::json::parse(answer.body.substr(0, length)), answer.body.substr(length)};
}

}  // namespace marrow::testing
