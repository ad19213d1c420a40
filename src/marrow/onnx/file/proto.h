// An ONNX file as plain data: the messages of onnx.proto that networks use. Reading bounds every length
// against the file; what is well formed but not known here (subgraphs, sparse tensors, external data) is
// refused by name.
// Source: onnx/onnx.proto3, IR version 8.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "marrow/base/tensor.h"

namespace marrow::onnx {

inline constexpr size_t kMaxRank = 32;  // of a tensor

struct Attribute {
  // The numbers are those of AttributeProto.AttributeType.
  enum class Type { kFloat = 1, kInt = 2, kString = 3, kTensor = 4, kFloats = 6, kInts = 7 };

  std::string name;
  Type type = Type::kInt;
  float real = 0;
  int64_t integer = 0;
  std::string text;
  Tensor tensor;
  std::vector<float> reals;
  std::vector<int64_t> integers;
};

struct NodeProto {
  std::string op_type;
  std::string name;
  std::string domain;                // "" or "ai.onnx": the standard operators
  std::vector<std::string> inputs;   // "": an optional input that is left out
  std::vector<std::string> outputs;  // likewise
  std::vector<Attribute> attributes;
};

struct TensorProto {
  std::string name;
  Tensor value;
};

struct Dimension {
  int64_t value = -1;     // -1: not fixed
  std::string parameter;  // then its name, if it has one
};

struct ValueInfo {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<Dimension> shape;
};

struct GraphProto {
  std::string name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string producer_name;
  std::string producer_version;
  std::map<std::string, int64_t> opsets;  // version by domain
  GraphProto graph;
  std::vector<std::pair<std::string, std::string>> metadata;  // in the file's order

  const std::string* find_metadata(std::string_view key) const;  // nullptr when there is none
};

// Throws Error{kFormat} "WHERE: ..." for what is broken and Error{kUnsupported} for what is not read. Nothing
// of `bytes` is referred to afterwards.
ModelProto parse_model(std::span<const std::byte> bytes, const std::string& where);
// The first message of every ONNX file begins with its IR version: field 1, a small number.
bool looks_like_onnx(std::span<const std::byte> bytes);

// Written atomically (base/files.h). Throws Error{kFile}; Error{kUnsupported} from 2 GiB on, which protobuf's
// readers refuse.
void write_model(const std::filesystem::path& path, const ModelProto& model);

}  // namespace marrow::onnx
