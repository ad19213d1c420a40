#include "support/program_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <system_error>

#include "marrow/base/error.h"

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

void become_program(const fs::path& program, std::vector<std::string> words) {
  words.insert(words.begin(), program.string());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  throw Error(ErrorKind::kFile,
              fmt::format("{}: cannot be started: {}", program.string(), std::strerror(errno)));
}

}  // namespace marrow::cli
