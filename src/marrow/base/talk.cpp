#include "marrow/base/talk.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace marrow {
namespace {

std::atomic<bool> is_talking = true;

}  // namespace

void set_talking(bool talks) {
  is_talking = talks;
}

void talk(std::string_view line) {
  if (is_talking) complain(line);
}

void complain(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);  // in one piece: other threads may talk too
  std::fflush(stderr);
}

void debug(std::string_view line) {
  if (const char* wanted = std::getenv("MARROW_DEBUG"); wanted != nullptr && *wanted != '\0') talk(line);
}

}  // namespace marrow
