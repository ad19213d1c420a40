// The one exception of Marrow: something the user can fix, or that ends the command. The message does the
// explaining: it names the file, the place in it, what was found, what was wanted and, when known, what to
// do. Who needs the place asks for place(); nobody reads it out of the message. A mistake of ours is an
// assert, never an Error.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace marrow {

enum class ErrorKind {
  kUsage,        // a flag or an argument; the command line exits with 2
  kFile,         // a file is missing, unreadable, or cannot be written
  kFormat,       // a file's content is broken, hostile or of an unknown kind
  kShape,        // tensors that do not fit together
  kModel,        // a model description that cannot be built
  kUnsupported,  // well formed, but not something Marrow does
};

// What is not known is empty or 0.
struct Place {
  std::string file;
  int line = 0;      // of the file, from 1
  std::string node;  // of a graph, by its name: the scope that made it, "model.2.cv1.conv"

  bool operator==(const Place&) const = default;
};

// "file:line", as messages begin; the file alone where the line is not known.
inline std::string to_string(const Place& place) {
  return place.line > 0 ? place.file + ':' + std::to_string(place.line) : place.file;
}

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, Place place = {})
      : std::runtime_error(message), kind_(kind), place_(std::move(place)) {}
  ErrorKind kind() const { return kind_; }
  const Place& place() const { return place_; }

 private:
  ErrorKind kind_;
  Place place_;
};

// Throw Error of the kind that their name says.
[[noreturn]] void fail_format(const std::string& message);
[[noreturn]] void fail_model(const std::string& message);
[[noreturn]] void fail_unsupported(const std::string& message);

}  // namespace marrow
