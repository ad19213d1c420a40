#include "marrow/onnx/write/export_int8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace marrow::onnx {
namespace {

struct Int8Weights {
  Tensor numbers;             // int8
  std::vector<float> scales;  // by output channel
};

// As the engine rounds them.
Int8Weights rounded(const Tensor& weight) {
  Int8Weights result{Tensor(weight.shape(), DType::kInt8), {}};
  const auto per_output = static_cast<size_t>(weight.size() / weight.dim(0));
  for (size_t first = 0; first < weight.values().size(); first += per_output) {
    const auto row = weight.values().subspan(first, per_output);
    const float scale = weight_scale(row);
    for (size_t i = 0; i < row.size(); ++i) {
      const int8_t q = weight_byte(row[i], scale);
      std::memcpy(result.numbers.bytes() + first + i, &q, 1);
    }
    result.scales.push_back(scale);
  }
  return result;
}

}  // namespace

bool exported_as_int8(const Exporting& e, const Node& node) {
  return e.options.int8 && node.int8 && e.source.graph.node(node.inputs[0]).byte_scale.has_value();
}

std::vector<std::string> int8_inputs(Exporting& e, const Node& node) {
  const auto& conv = std::get<Conv>(node.operation);
  const Value x = node.inputs[0];
  const ByteScale bytes = *e.source.graph.node(x).byte_scale;
  std::string& input = e.dequantized[x.id];
  if (input.empty()) {
    Tensor zero_point(Shape{}, DType::kUInt8);
    zero_point.values<uint8_t>()[0] = static_cast<uint8_t>(bytes.zero_point);
    const std::string scale = e.out.number(bytes.scale), zero = e.out.initializer("zero_point", zero_point);
    input =
        e.out.node("DequantizeLinear", {e.out.node("QuantizeLinear", {e.name(x), scale, zero}), scale, zero});
  }

  const Int8Weights weights = rounded(e.source.weights.at(conv.weight).to_float());
  const auto outputs = static_cast<int64_t>(weights.scales.size());
  const std::string weight =
      e.out.node("DequantizeLinear",
                 {e.out.initializer(conv.weight, weights.numbers), e.out.numbers({outputs}, weights.scales),
                  e.out.initializer(conv.weight + ".zero_point", Tensor({outputs}, DType::kInt8))},
                 {attribute("axis", int64_t{0})});
  if (conv.bias.empty()) return {input, weight};

  const Tensor bias = e.source.weights.at(conv.bias).to_float();
  Tensor numbers({outputs}, DType::kInt32);
  std::vector<float> scales;
  for (size_t i = 0; i < weights.scales.size(); ++i) {
    scales.push_back(bytes.scale * weights.scales[i]);
    constexpr double kLargest = 2147483647;
    numbers.values<int32_t>()[i] = static_cast<int32_t>(
        std::clamp(std::nearbyint(double{bias.values()[i]} / scales[i]), -kLargest, kLargest));
  }
  return {input, weight,
          e.out.node("DequantizeLinear",
                     {e.out.initializer(conv.bias, numbers), e.out.numbers({outputs}, scales),
                      e.out.initializer(conv.bias + ".zero_point", Tensor({outputs}, DType::kInt32))},
                     {attribute("axis", int64_t{0})})};
}

passes::GraphWithWeights with_int8_weights(const passes::GraphWithWeights& source) {
  passes::GraphWithWeights result = source;
  for (const Node& node : source.graph.nodes) {
    if (!node.int8) continue;
    Tensor& weight = result.weights.at(std::get<Conv>(node.operation).weight);
    const Int8Weights weights = rounded(weight.to_float());
    Tensor values(weight.shape());
    const auto per_output = static_cast<size_t>(values.size()) / weights.scales.size();
    for (size_t i = 0; i < values.values().size(); ++i) {
      int8_t q;
      std::memcpy(&q, weights.numbers.bytes() + i, 1);
      values.values()[i] = static_cast<float>(q) * weights.scales[i / per_output];
    }
    weight = values;
  }
  return result;
}

}  // namespace marrow::onnx
