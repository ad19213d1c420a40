// Field numbers of onnx.proto3, for the reader and the writer, and its tensor types.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "marrow/base/tensor.h"

namespace marrow::onnx {

namespace model_field {
inline constexpr uint32_t kIrVersion = 1, kProducerName = 2, kProducerVersion = 3, kGraph = 7, kOpset = 8,
                          kMetadata = 14, kFunctions = 25;
}
namespace opset_field {
inline constexpr uint32_t kDomain = 1, kVersion = 2;
}
namespace entry_field {
inline constexpr uint32_t kKey = 1, kValue = 2;
}
namespace graph_field {
inline constexpr uint32_t kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12,
                          kSparseInitializer = 15;
}
namespace node_field {
inline constexpr uint32_t kInput = 1, kOutput = 2, kName = 3, kOpType = 4, kAttribute = 5, kDomain = 7;
}
namespace attribute_field {
inline constexpr uint32_t kName = 1, kFloat = 2, kInt = 3, kString = 4, kTensor = 5, kGraph = 6, kFloats = 7,
                          kInts = 8, kGraphs = 11, kType = 20;
}
namespace tensor_field {
inline constexpr uint32_t kDims = 1, kDataType = 2, kSegment = 3, kFloatData = 4, kInt32Data = 5,
                          kStringData = 6, kInt64Data = 7, kName = 8, kRawData = 9, kDoubleData = 10,
                          kUint64Data = 11, kExternalData = 13, kDataLocation = 14;
}
namespace value_field {
inline constexpr uint32_t kName = 1, kType = 2;
}
namespace type_field {
inline constexpr uint32_t kTensor = 1;
}
namespace tensor_type_field {
inline constexpr uint32_t kElement = 1, kShape = 2;
}
namespace shape_field {
inline constexpr uint32_t kDim = 1;
}
namespace dim_field {
inline constexpr uint32_t kValue = 1, kParameter = 2;
}

// TensorProto.DataType.
struct ElementType {
  int64_t number;
  DType dtype;
};
inline constexpr std::array kElementTypes = {
    ElementType{1, DType::kFloat32},  ElementType{2, DType::kUInt8},    ElementType{3, DType::kInt8},
    ElementType{5, DType::kInt16},    ElementType{6, DType::kInt32},    ElementType{7, DType::kInt64},
    ElementType{9, DType::kBool},     ElementType{10, DType::kFloat16}, ElementType{11, DType::kFloat64},
    ElementType{16, DType::kBFloat16}};

inline std::optional<DType> dtype_of_element(int64_t number) {
  for (const ElementType& type : kElementTypes)
    if (type.number == number) return type.dtype;
  return std::nullopt;
}

inline int64_t element_of_dtype(DType dtype) {
  for (const ElementType& type : kElementTypes)
    if (type.dtype == dtype) return type.number;
  return 0;
}

}  // namespace marrow::onnx
