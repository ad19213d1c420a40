// One function for each operation of a graph; for export.cpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/onnx/file/proto_numbers.h"
#include "marrow/onnx/write/export.h"
#include "marrow/onnx/write/graph_writer.h"

namespace marrow::onnx {

inline constexpr const char* kInputName = "images";
inline const int64_t kFloat = element_of_dtype(DType::kFloat32);

// What the operations of one export share.
struct Exporting {
  const passes::GraphWithWeights& source;
  const ExportOptions& options;
  GraphWriter& out;
  std::vector<Shape> shapes;                      // of the graph's values at options.height x options.width
  std::vector<std::string> names;                 // ONNX names of the graph's values, as far as they are made
  std::map<std::string, std::string> parameters;  // ONNX names of those that were written
  std::map<int, std::string> dequantized;         // ONNX names of values that went through bytes

  const Shape& shape(Value value) const { return shapes.at(static_cast<size_t>(value.id)); }
  const std::string& name(Value value) const { return names.at(static_cast<size_t>(value.id)); }
  // The parameter as an initializer, under its own name if that is free.
  std::string parameter(const std::string& name);
};

// All return the ONNX name of the value they make.
std::string export_operation(Exporting& e, const Node& node);

// (N, 4 + classes, anchors), float32; boxes by centre and size, or of the graph's output kOneToOneOutput by
// corners.
std::string export_detect_decode(Exporting& e, const Node& node, const DetectDecode& decode);

// `decoded` is (N, 4 + classes, anchors), float32, boxes as corners: the best of all classes of the anchors
// that are best.
std::string export_choice(Exporting& e, const std::string& decoded, const Shape& shape);

// `decoded` is (1, 4 + classes, anchors), float32.
std::string export_nms(Exporting& e, const std::string& decoded, const DetectDecode& decode,
                       const ExportNms& nms);

// The same of turned boxes; there are so many anchors unless their number is any.
std::string export_turned_nms(Exporting& e, const std::string& decoded, const DetectDecode& decode,
                              int64_t anchors, const ExportNms& nms);

}  // namespace marrow::onnx
