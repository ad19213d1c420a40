#include "marrow/evaluate/plots/drawing_attempts.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/base/files.h"

namespace marrow::evaluate {

void DrawingAttempts::picture(const std::function<void()>& draw) {
  try {
    draw();
  } catch (const std::exception& error) {
    if (!said_) say_(fmt::format("a plot is left out, and maybe others: {}", error.what()));
    said_ = true;
  }
}

void DrawingAttempts::plot(const std::filesystem::path& file, const std::function<std::string()>& draw) {
  if (no_plots_) return;
  picture([&] {
    try {
      write_file_atomically(file, draw());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUnsupported) throw;
      no_plots_ = true;
      say_(error.what());
    }
  });
}

}  // namespace marrow::evaluate
