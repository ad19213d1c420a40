// The pages of the server, compiled in from serve/page: no route leads to the disk.
#pragma once

#include <string_view>
#include <vector>

namespace marrow::serve {

struct PageFile {
  std::string_view name;  // "runs.html"
  std::string_view content;
};

const std::vector<PageFile>& embedded_page();

// "/" is index.html, "/runs" runs.html, and nothing else is; other files have their own names. nullptr where
// there is none of this path.
const PageFile* find_static_file(std::string_view path);

// "text/css; charset=utf-8"
std::string_view static_type(const PageFile& file);

}  // namespace marrow::serve
