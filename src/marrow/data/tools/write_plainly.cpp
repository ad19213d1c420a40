#include "marrow/data/tools/write_plainly.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "marrow/base/error.h"
#include "marrow/data/dataset.h"

namespace marrow::data {

void write_plainly(const std::filesystem::path& file, std::string_view content) {
  std::ofstream out(file, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot be written: {}", shown(file), std::strerror(errno)));
}

}  // namespace marrow::data
