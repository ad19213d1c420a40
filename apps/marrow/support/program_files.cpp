#include "support/program_files.h"

#include <cstdlib>
#include <sstream>
#include <system_error>
#include <vector>

namespace marrow::cli {

namespace fs = std::filesystem;

std::optional<fs::path> find_beside(const std::string& program) {
  std::vector<fs::path> folders;
  std::error_code error;
  if (const fs::path self = fs::read_symlink("/proc/self/exe", error); !error)
    folders.push_back(self.parent_path());
  const char* path = std::getenv("PATH");
  std::istringstream entries(path != nullptr ? path : "");
  for (std::string entry; std::getline(entries, entry, ':');) folders.emplace_back(entry);
  for (const fs::path& folder : folders)
    if (!folder.empty() && fs::exists(folder / program, error)) return folder / program;
  return std::nullopt;
}

}  // namespace marrow::cli
