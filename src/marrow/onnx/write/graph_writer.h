// Collects the nodes and constants of an ONNX graph under names that stay unique.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "marrow/onnx/file/proto.h"

namespace marrow::onnx {

Attribute attribute(std::string name, int64_t value);
Attribute attribute(std::string name, double value);
Attribute attribute(std::string name, std::string_view value);
Attribute attribute(std::string name, std::vector<int64_t> values);

// ONNX values are named by text; every function returns the name of what it made.
class GraphWriter {
 public:
  // New nodes are called "<scope>/<op>" and their outputs after them.
  void set_scope(std::string scope) { scope_ = std::move(scope); }

  std::string node(std::string_view op, std::vector<std::string> inputs,
                   std::vector<Attribute> attributes = {});

  std::string slice(const std::string& x, int64_t axis, int64_t begin, int64_t end);
  std::string concat(std::vector<std::string> values, int64_t axis);

  // A second output of the node that makes `first`, such as TopK's places.
  std::string second_output(const std::string& first);

  // Constants; equal ones are stored once. Floats are of the type that set_float_type named.
  std::string integers(const std::vector<int64_t>& values);  // one-dimensional
  std::string integer(int64_t value);                        // a scalar
  std::string number(double value);                          // a scalar
  std::string numbers(const Shape& shape, const std::vector<float>& values);
  void set_float_type(DType dtype) { float_type_ = dtype; }

  // A tensor under `name`, or where that is taken under one like it; stored as it is.
  std::string initializer(const std::string& name, Tensor value);
  // Keeps a name for the graph's input or output.
  void reserve(const std::string& name) { taken_.insert(name); }

  // Lets the graph's output be called `name`, and `value` with it wherever it is made or read.
  void rename(const std::string& value, const std::string& name);

  GraphProto finish() && { return std::move(graph_); }

 private:
  std::string free_name(std::string name);
  std::string constant(const Tensor& value);

  GraphProto graph_;
  std::string scope_;
  DType float_type_ = DType::kFloat32;
  std::unordered_set<std::string> taken_;
  std::map<std::string, std::string> constants_;  // name by type, shape and bytes
};

}  // namespace marrow::onnx
