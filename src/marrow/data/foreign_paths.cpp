#include "marrow/data/foreign_paths.h"

#include <algorithm>
#include <string>

namespace marrow::data {

namespace fs = std::filesystem;

std::optional<fs::path> end_below(const fs::path& folder, std::string_view path) {
  std::string text(path);
  std::ranges::replace(text, '\\', '/');
  std::error_code ignored;
  const bool is_only_name = text.find('/') == std::string::npos;
  for (size_t at = 0; at < text.size(); at = std::min(text.find('/', at), text.size() - 1) + 1) {
    const fs::path end = text.substr(at);
    if (!is_only_name && !end.has_parent_path() &&
        fs::path(text).parent_path().filename() != folder.filename())
      break;
    if (end.is_relative() && *end.begin() != ".." && fs::exists(folder / end, ignored)) return folder / end;
  }
  return std::nullopt;
}

}  // namespace marrow::data
