// Where the parity tests find what they are compared with. They walk these folders and name no case; what a
// folder holds of a kind that no test knows stays unread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace marrow::testing {

// The folders that MARROW_GOLDEN names, separated by colons; by default shared/golden and shared/golden-2
// beside the checkout. Some may not exist.
inline std::vector<std::filesystem::path> named_golden_folders() {
  const char* named = std::getenv("MARROW_GOLDEN");
  if (named == nullptr || *named == '\0') {
    const std::filesystem::path shared = std::filesystem::path(MARROW_SOURCE_DIR) / ".." / "shared";
    return {shared / "golden", shared / "golden-2"};
  }
  std::vector<std::filesystem::path> folders;
  std::istringstream names(named);
  for (std::string name; std::getline(names, name, ':');)
    if (!name.empty()) folders.emplace_back(name);
  return folders;
}

// Every golden folder there is: the tree's own first, then those named.
inline std::vector<std::filesystem::path> golden_folders() {
  std::vector<std::filesystem::path> folders = named_golden_folders();
  folders.insert(folders.begin(), std::filesystem::path(MARROW_SOURCE_DIR) / "tests" / "golden");
  std::erase_if(folders, [](const auto& folder) { return !std::filesystem::exists(folder); });
  return folders;
}

// `part`, a file or folder, of every golden folder that has it.
inline std::vector<std::filesystem::path> golden_parts(const std::filesystem::path& part) {
  std::vector<std::filesystem::path> parts = golden_folders();
  for (auto& folder : parts) folder /= part;
  std::erase_if(parts, [](const auto& path) { return !std::filesystem::exists(path); });
  return parts;
}

// The files below a folder whose names end so, in the order of their paths. None where there is no folder.
inline std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                                      const std::vector<std::string>& endings) {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::exists(folder)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (std::ranges::any_of(endings, [&](const std::string& ending) {
          return entry.path().filename().string().ends_with(ending);
        }))
      files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

// Those below `part` of every golden folder.
inline std::vector<std::filesystem::path> golden_files(const std::filesystem::path& part,
                                                       const std::vector<std::string>& endings) {
  std::vector<std::filesystem::path> files;
  for (const auto& folder : golden_parts(part))
    std::ranges::copy(files_below(folder, endings), std::back_inserter(files));
  return files;
}

inline std::string missing_golden(const std::string& what) {
  return "no golden folder has " + what +
         ": the tree's own lacks it, and MARROW_GOLDEN names none that has it";
}

// Runs `test` on `part` of every golden folder that has it. Without any the calling test counts as skipped.
inline void for_each_golden(const std::filesystem::path& part,
                            const std::function<void(const std::filesystem::path&)>& test) {
  const auto parts = golden_parts(part);
  if (parts.empty()) GTEST_SKIP() << missing_golden(part.string());
  for (const auto& path : parts) {
    SCOPED_TRACE(path.string());
    test(path);
  }
}

// Images, odd files, key lists and checkpoints lie beside a golden folder: `name` there, of the first that
// has it.
inline std::filesystem::path beside_golden(const std::string& name) {
  for (const auto& folder : named_golden_folders())
    if (std::filesystem::exists(folder / ".." / name)) return folder / ".." / name;
  return named_golden_folders().empty() ? std::filesystem::path(name)
                                        : named_golden_folders().front() / ".." / name;
}
inline std::filesystem::path data_folder() {
  return beside_golden("data");
}
inline std::filesystem::path weights_folder() {
  return beside_golden("weights");
}

}  // namespace marrow::testing

// For tests that need a file or folder which a bare clone lacks.
#define MARROW_NEEDS(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << (path).string() << " is not here"
// For tests of the files that a walk found.
#define MARROW_NEEDS_GOLDEN(files, what) \
  if ((files).empty()) GTEST_SKIP() << ::marrow::testing::missing_golden(what)
