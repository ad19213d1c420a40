#include <nlohmann/json.hpp>

#include "check_onnx/readers.h"

namespace marrow::check {

nlohmann::json onnx_checker(const std::string&) {
  return {{"missing", "built without libonnx (Debian: libonnx-dev)"}};
}

}  // namespace marrow::check
