#include "support/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace marrow::cli {

ProgressLine::ProgressLine() : terminal_(::isatty(STDERR_FILENO) != 0) {}

void ProgressLine::clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

void ProgressLine::show(const std::string& text) {
  if (!terminal_) return;
  shown_ = true;
  fmt::print(stderr, "\r\x1b[K{}", text);
  std::fflush(stderr);
}

void ProgressLine::show(const std::string& what, int64_t done, int64_t total) {
  show(fmt::format("{}: {} of {}", what, done, total));
}

void ProgressLine::show(const std::string& what, double share) {
  show(fmt::format("{}: {:.0f} %", what, 100 * share));
}

}  // namespace marrow::cli
