#include "marrow/base/run_folder.h"

#include "marrow/base/error.h"

namespace marrow {

std::filesystem::path make_run_folder(const std::filesystem::path& project, const std::string& name,
                                      bool exist_ok) {
  namespace fs = std::filesystem;
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    throw Error(ErrorKind::kUsage,
                "--name '" + name + "' is not the name of a folder; use --project for the folder around it");
  std::error_code error;
  fs::create_directories(project, error);
  if (error)
    throw Error(ErrorKind::kFile, project.string() + ": cannot make this folder: " + error.message());
  for (int number = 1;; ++number) {
    const fs::path folder = project / (number == 1 ? name : name + std::to_string(number));
    // create_directory says false for a folder that is there already, so two runs that start together get two
    // folders.
    const bool made = fs::create_directory(folder, error);
    if (error && !fs::exists(folder))
      throw Error(ErrorKind::kFile, folder.string() + ": cannot make this folder: " + error.message());
    if (made || (exist_ok && fs::is_directory(folder))) return folder;
  }
}

}  // namespace marrow
