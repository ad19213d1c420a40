// The folder that a run leaves its results in.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>

namespace marrow {

// Makes project/name, or project/name2, project/name3, ... when that exists and `exist_ok` is false. Throws
// Error{kFile} when the folder cannot be made and Error{kUsage} for a name that leaves the project ("../x").
std::filesystem::path make_run_folder(const std::filesystem::path& project, const std::string& name,
                                      bool exist_ok);

// Such a folder, made when there is something to look at: a run that can read nothing leaves nothing behind.
class RunFolder {
 public:
  // `make`: makes it and returns its path. None: nothing is saved.
  explicit RunFolder(std::function<std::filesystem::path()> make = {}) : make_(std::move(make)) {}

  // The first time; does nothing later, or when nothing is saved.
  void make() {
    if (make_ && path_.empty()) path_ = make_();
  }
  // Empty when it is not made.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::function<std::filesystem::path()> make_;
  std::filesystem::path path_;
};

// Makes a folder, and those around it, where they are missing. Throws Error{kFile} where that fails.
void make_folders(const std::filesystem::path& folder);

}  // namespace marrow
