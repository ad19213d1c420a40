// Other people's readers of ONNX files, each compiled in where its library was found, else replaced by a
// stub.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "marrow/base/tensor.h"

namespace marrow::check {

// What a reader says: {} or {"difference": 1e-6}, {"error": "why"} when it refuses the file, {"missing":
// "what"} when it is not compiled in.

// ONNX's own checker, with shape inference.
nlohmann::json onnx_checker(const std::string& file);

// OpenCV's network on `input`, compared with `output` relative to its largest value.
nlohmann::json opencv_reader(const std::string& file, const Tensor& input, const Tensor& output);

// The same on so many threads, said as a line on stdout; after that, for each line on stdin one run, and its
// milliseconds as a line.
void opencv_turns(const std::string& file, const Tensor& input, const Tensor& output, int threads);

}  // namespace marrow::check
