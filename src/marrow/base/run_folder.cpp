#include "marrow/base/run_folder.h"

#include "marrow/base/error.h"

namespace marrow {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::error_code& error) {
  throw Error(ErrorKind::kFile, folder.string() + ": cannot make this folder: " + error.message());
}

}  // namespace

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) refuse(folder, error);
}

std::filesystem::path make_run_folder(const std::filesystem::path& project, const std::string& name,
                                      bool exist_ok) {
  namespace fs = std::filesystem;
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    throw Error(ErrorKind::kUsage,
                "--name '" + name + "' is not the name of a folder; use --project for the folder around it");
  make_folders(project);
  std::error_code error;
  for (int number = 1;; ++number) {
    const fs::path folder = project / (number == 1 ? name : name + std::to_string(number));
    // create_directory says false for a folder that is there already, so two runs that start together get two
    // folders.
    const bool made = fs::create_directory(folder, error);
    if (error && !fs::exists(folder)) refuse(folder, error);
    if (made || (exist_ok && fs::is_directory(folder))) return folder;
  }
}

}  // namespace marrow
