#include "marrow/base/error.h"

namespace marrow {

void fail_format(const std::string& message) {
  throw Error(ErrorKind::kFormat, message);
}

void fail_model(const std::string& message) {
  throw Error(ErrorKind::kModel, message);
}

void fail_unsupported(const std::string& message) {
  throw Error(ErrorKind::kUnsupported, message);
}

}  // namespace marrow
