#include "marrow/data/layout_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::data {

namespace fs = std::filesystem;

std::span<const SplitAliases> split_aliases() {
  static const SplitAliases kSplits[] = {{"train", {"train", "training"}},
                                         {"val", {"val", "valid", "validation", "dev"}},
                                         {"test", {"test", "testing"}}};
  return kSplits;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<fs::path> entries(const fs::path& folder, bool folders) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!entry->path().filename().string().starts_with('.') && entry->is_directory(ignored) == folders)
      paths.push_back(entry->path());
  }
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot list the folder: {}", shown(folder), error.message()));
  std::ranges::sort(paths);
  return paths;
}

std::vector<fs::path> files_with(const fs::path& folder, std::initializer_list<const char*> suffixes) {
  std::vector<fs::path> paths;
  if (!is_folder(folder)) return paths;
  for (const fs::path& path : entries(folder, false))
    if (std::ranges::find(suffixes, to_lower(path.extension().string())) != suffixes.end())
      paths.push_back(path);
  return paths;
}

void add_source(Dataset& dataset, const std::string& split_name, SplitSource source) {
  for (Split& split : dataset.splits)
    if (split.name == split_name) {
      split.sources.push_back(std::move(source));
      return;
    }
  dataset.splits.push_back({split_name, {std::move(source)}});
}

}  // namespace marrow::data
