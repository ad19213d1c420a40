#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/onnx/file/proto.h"
#include "marrow/onnx/file/proto_numbers.h"
#include "marrow/onnx/file/wire.h"

namespace marrow::onnx {
namespace {

constexpr size_t kMaxBytes = (size_t{1} << 31) - 1;

WireWriter tensor_message(const Tensor& value, std::string_view name) {
  WireWriter out;
  if (!value.shape().empty()) out.packed(tensor_field::kDims, value.shape());
  out.integer(tensor_field::kDataType, element_of_dtype(value.dtype()));
  if (!name.empty()) out.text(tensor_field::kName, name);
  out.text(tensor_field::kRawData, {reinterpret_cast<const char*>(value.bytes()), value.byte_size()});
  return out;
}

WireWriter attribute_message(const Attribute& attribute) {
  WireWriter out;
  out.text(attribute_field::kName, attribute.name);
  switch (attribute.type) {
    case Attribute::Type::kFloat:
      out.real(attribute_field::kFloat, attribute.real);
      break;
    case Attribute::Type::kInt:
      out.integer(attribute_field::kInt, attribute.integer);
      break;
    case Attribute::Type::kString:
      out.text(attribute_field::kString, attribute.text);
      break;
    case Attribute::Type::kTensor:
      out.message(attribute_field::kTensor, tensor_message(attribute.tensor, {}));
      break;
    case Attribute::Type::kFloats:
      for (const float value : attribute.reals) out.real(attribute_field::kFloats, value);
      break;
    case Attribute::Type::kInts:
      for (const int64_t value : attribute.integers) out.integer(attribute_field::kInts, value);
      break;
  }
  out.integer(attribute_field::kType, static_cast<int64_t>(attribute.type));
  return out;
}

WireWriter node_message(const NodeProto& node) {
  WireWriter out;
  for (const std::string& input : node.inputs) out.text(node_field::kInput, input);
  for (const std::string& output : node.outputs) out.text(node_field::kOutput, output);
  out.text(node_field::kName, node.name);
  out.text(node_field::kOpType, node.op_type);
  for (const Attribute& attribute : node.attributes)
    out.message(node_field::kAttribute, attribute_message(attribute));
  if (!node.domain.empty()) out.text(node_field::kDomain, node.domain);
  return out;
}

WireWriter value_message(const ValueInfo& info) {
  WireWriter shape;
  for (const Dimension& dimension : info.shape) {
    WireWriter dim;
    if (dimension.value >= 0)
      dim.integer(dim_field::kValue, dimension.value);
    else if (!dimension.parameter.empty())
      dim.text(dim_field::kParameter, dimension.parameter);
    shape.message(shape_field::kDim, std::move(dim));
  }
  WireWriter tensor;
  tensor.integer(tensor_type_field::kElement, element_of_dtype(info.dtype));
  tensor.message(tensor_type_field::kShape, std::move(shape));
  WireWriter type;
  type.message(type_field::kTensor, std::move(tensor));
  WireWriter out;
  out.text(value_field::kName, info.name);
  out.message(value_field::kType, std::move(type));
  return out;
}

WireWriter graph_message(const GraphProto& graph) {
  WireWriter out;
  for (const NodeProto& node : graph.nodes) out.message(graph_field::kNode, node_message(node));
  out.text(graph_field::kName, graph.name);
  for (const TensorProto& tensor : graph.initializers)
    out.message(graph_field::kInitializer, tensor_message(tensor.value, tensor.name));
  for (const ValueInfo& info : graph.inputs) out.message(graph_field::kInput, value_message(info));
  for (const ValueInfo& info : graph.outputs) out.message(graph_field::kOutput, value_message(info));
  return out;
}

}  // namespace

void write_model(const std::filesystem::path& path, const ModelProto& model) {
  WireWriter out;
  out.integer(model_field::kIrVersion, model.ir_version);
  out.text(model_field::kProducerName, model.producer_name);
  out.text(model_field::kProducerVersion, model.producer_version);
  out.message(model_field::kGraph, graph_message(model.graph));
  for (const auto& [domain, version] : model.opsets) {
    WireWriter opset;
    if (!domain.empty()) opset.text(opset_field::kDomain, domain);
    opset.integer(opset_field::kVersion, version);
    out.message(model_field::kOpset, std::move(opset));
  }
  for (const auto& [key, value] : model.metadata) {
    WireWriter entry;
    entry.text(entry_field::kKey, key);
    entry.text(entry_field::kValue, value);
    out.message(model_field::kMetadata, std::move(entry));
  }
  if (out.size() > kMaxBytes)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: the model has {} bytes; an ONNX file holds less than 2 GiB", path.string(),
                            out.size()));
  std::vector<std::span<const std::byte>> parts;
  for (const std::string& part : out.parts()) parts.push_back(std::as_bytes(std::span(part)));
  write_file_atomically(path, parts);
}

}  // namespace marrow::onnx
