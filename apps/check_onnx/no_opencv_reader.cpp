#include <iostream>
#include <nlohmann/json.hpp>

#include "check_onnx/readers.h"

namespace marrow::check {

nlohmann::json opencv_reader(const std::string&, const Tensor&, const Tensor&) {
  return {{"missing", "built without OpenCV's dnn module (Debian: libopencv-dnn-dev)"}};
}

void opencv_turns(const std::string& file, const Tensor& input, const Tensor& output, int) {
  std::cout << opencv_reader(file, input, output) << std::endl;
}

}  // namespace marrow::check
