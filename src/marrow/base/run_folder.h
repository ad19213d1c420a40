// The folder that a run leaves its results in.
#pragma once

#include <filesystem>
#include <string>

namespace marrow {

// Makes project/name, or project/name2, project/name3, ... when that exists and `exist_ok` is false. Throws
// Error{kFile} when the folder cannot be made and Error{kUsage} for a name that leaves the project ("../x").
std::filesystem::path make_run_folder(const std::filesystem::path& project, const std::string& name,
                                      bool exist_ok);

// Makes a folder, and those around it, where they are missing. Throws Error{kFile} where that fails.
void make_folders(const std::filesystem::path& folder);

}  // namespace marrow
