// The pages of the server, compiled in: no route leads to the disk.
#pragma once

#include <string_view>

namespace marrow::serve {

struct StaticFile {
  std::string_view path;  // "/"
  std::string_view type;  // of its content
  std::string_view content;
};

// nullptr where there is none of this path.
const StaticFile* find_static_file(std::string_view path);

}  // namespace marrow::serve
