#include "marrow/data/foreign_paths.h"

#include <algorithm>
#include <string>

namespace marrow::data {

namespace fs = std::filesystem;

std::optional<fs::path> end_below(const fs::path& folder, std::string_view path, bool name_suffices) {
  if (path.size() > kLongestPath) return std::nullopt;
  std::string text(path);
  std::ranges::replace(text, '\\', '/');
  std::error_code ignored;
  name_suffices |=
      text.find('/') == std::string::npos || fs::path(text).parent_path().filename() == folder.filename();
  for (size_t at = 0; at < text.size(); at = std::min(text.find('/', at), text.size() - 1) + 1) {
    const fs::path end = text.substr(at);
    if (!name_suffices && !end.has_parent_path()) break;
    if (end.is_relative() && *end.begin() != ".." && fs::exists(folder / end, ignored)) return folder / end;
  }
  return std::nullopt;
}

}  // namespace marrow::data
