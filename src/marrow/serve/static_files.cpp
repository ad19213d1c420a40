#include "marrow/serve/static_files.h"

#include <algorithm>

namespace marrow::serve {

const PageFile* find_static_file(std::string_view path) {
  if (!path.starts_with('/') || path.ends_with(".html")) return nullptr;
  const std::string_view name = path == "/" ? "index.html" : path == "/runs" ? "runs.html" : path.substr(1);
  const auto found = std::ranges::find(embedded_page(), name, &PageFile::name);
  return found == embedded_page().end() ? nullptr : &*found;
}

std::string_view static_type(const PageFile& file) {
  if (file.name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (file.name.ends_with(".css")) return "text/css; charset=utf-8";
  return "text/html; charset=utf-8";
}

}  // namespace marrow::serve
