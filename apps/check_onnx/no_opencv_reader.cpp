#include <nlohmann/json.hpp>

#include "check_onnx/readers.h"

namespace marrow::check {

nlohmann::json opencv_reader(const std::string&, const Tensor&, const Tensor&) {
  return {{"missing", "built without OpenCV's dnn module (Debian: libopencv-dnn-dev)"}};
}

}  // namespace marrow::check
