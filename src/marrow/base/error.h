// The one exception of Marrow: something the user can fix, or that ends the command. The message does the
// explaining: it names the file, the place in it, what was found, what was wanted and, when known, what to
// do. A mistake of ours is an assert, never an Error.
#pragma once

#include <stdexcept>
#include <string>

namespace marrow {

enum class ErrorKind {
  kUsage,        // a flag or an argument; the command line exits with 2
  kFile,         // a file is missing, unreadable, or cannot be written
  kFormat,       // a file's content is broken, hostile or of an unknown kind
  kShape,        // tensors that do not fit together
  kModel,        // a model description that cannot be built
  kUnsupported,  // well formed, but not something Marrow does
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace marrow
