#include "marrow/onnx/write/graph_writer.h"

#include <fmt/format.h>

#include <cstring>

#include "marrow/onnx/file/half.h"

namespace marrow::onnx {

Attribute attribute(std::string name, int64_t value) {
  return {.name = std::move(name), .type = Attribute::Type::kInt, .integer = value};
}
Attribute attribute(std::string name, double value) {
  return {.name = std::move(name), .type = Attribute::Type::kFloat, .real = static_cast<float>(value)};
}
Attribute attribute(std::string name, std::string_view value) {
  return {.name = std::move(name), .type = Attribute::Type::kString, .text = std::string(value)};
}
Attribute attribute(std::string name, std::vector<int64_t> values) {
  return {.name = std::move(name), .type = Attribute::Type::kInts, .integers = std::move(values)};
}

std::string GraphWriter::free_name(std::string name) {
  std::string candidate = name;
  for (int i = 2; !taken_.insert(candidate).second; ++i) candidate = fmt::format("{}_{}", name, i);
  return candidate;
}

std::string GraphWriter::node(std::string_view op, std::vector<std::string> inputs,
                              std::vector<Attribute> attributes) {
  std::string name = free_name(fmt::format("{}/{}", scope_, op));
  graph_.nodes.push_back({std::string(op), name, {}, std::move(inputs), {name}, std::move(attributes)});
  return name;
}

std::string GraphWriter::slice(const std::string& x, int64_t axis, int64_t begin, int64_t end) {
  return node("Slice", {x, integers({begin}), integers({end}), integers({axis})});
}

std::string GraphWriter::concat(std::vector<std::string> values, int64_t axis) {
  return node("Concat", std::move(values), {attribute("axis", axis)});
}

std::string GraphWriter::second_output(const std::string& first) {
  std::string name = free_name(first + "_2");
  for (NodeProto& node : graph_.nodes)
    if (node.outputs.front() == first) node.outputs.push_back(name);
  return name;
}

std::string GraphWriter::constant(const Tensor& value) {
  std::string content = fmt::format("{} {} ", dtype_name(value.dtype()), to_string(value.shape()));
  content.append(reinterpret_cast<const char*>(value.bytes()), value.byte_size());
  const auto known = constants_.find(content);
  if (known != constants_.end()) return known->second;
  std::string name = free_name(fmt::format("constant_{}", constants_.size()));
  graph_.initializers.push_back({name, value});
  constants_.emplace(std::move(content), name);
  return name;
}

std::string GraphWriter::integers(const std::vector<int64_t>& values) {
  Tensor tensor({static_cast<int64_t>(values.size())}, DType::kInt64);
  std::memcpy(tensor.bytes(), values.data(), tensor.byte_size());
  return constant(tensor);
}

std::string GraphWriter::integer(int64_t value) {
  Tensor tensor(Shape{}, DType::kInt64);
  tensor.values<int64_t>()[0] = value;
  return constant(tensor);
}

std::string GraphWriter::number(double value) {
  return numbers({}, {static_cast<float>(value)});
}

std::string GraphWriter::numbers(const Shape& shape, const std::vector<float>& values) {
  const Tensor tensor = Tensor::from(shape, values);
  return constant(float_type_ == DType::kFloat16 ? to_half(tensor, scope_) : tensor);
}

std::string GraphWriter::initializer(const std::string& name, Tensor value) {
  graph_.initializers.push_back({free_name(name), std::move(value)});
  return graph_.initializers.back().name;
}

void GraphWriter::rename(const std::string& value, const std::string& name) {
  for (NodeProto& node : graph_.nodes)
    for (auto* list : {&node.inputs, &node.outputs})
      for (std::string& entry : *list)
        if (entry == value) entry = name;
}

}  // namespace marrow::onnx
