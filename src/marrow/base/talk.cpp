#include "base/talk.h"

#include <cstdio>
#include <string>

namespace marrow {

void talk(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);  // in one piece: other threads may talk too
  std::fflush(stderr);
}

}  // namespace marrow
