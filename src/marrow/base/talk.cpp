#include "marrow/base/talk.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace marrow {

void talk(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);  // in one piece: other threads may talk too
  std::fflush(stderr);
}

void debug(std::string_view line) {
  if (const char* wanted = std::getenv("MARROW_DEBUG"); wanted != nullptr && *wanted != '\0') talk(line);
}

}  // namespace marrow
