#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "check_onnx/readers.h"

namespace marrow::check {

nlohmann::json onnx_checker(const std::string& file) {
  try {
    ::onnx::ModelProto model;
    std::ifstream stream(file, std::ios::binary);
    if (!model.ParseFromIstream(&stream)) return {{"error", "protobuf cannot parse it"}};
    ::onnx::checker::check_model(model);
    // What Python's check_model(full_check=True) does beyond it.
    const ::onnx::ShapeInferenceOptions strictly(true, 1, false);
    ::onnx::shape_inference::InferShapes(model, ::onnx::OpSchemaRegistry::Instance(), strictly);
    return nlohmann::json::object();
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace marrow::check
