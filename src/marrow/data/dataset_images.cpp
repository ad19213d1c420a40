// The images of a split: folders and lists.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"
#include "marrow/data/dataset.h"
#include "marrow/data/foreign_paths.h"
#include "marrow/detect/sources.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxFolderDepth = 64;

class Walk {
 public:
  explicit Walk(const std::function<bool(const fs::path&)>& wanted) : wanted_(wanted) {}

  void folder(const fs::path& path, int depth = 0) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !visited_.emplace(status.st_dev, status.st_ino).second) return;
    if (depth > kMaxFolderDepth)
      throw Error(ErrorKind::kFile,
                  fmt::format("{}: folders are nested deeper than {}", shown(path), kMaxFolderDepth));
    std::error_code error;
    std::vector<fs::path> folders;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().filename().string().starts_with('.')) continue;
      std::error_code ignored;
      if (entry->is_directory(ignored))
        folders.push_back(entry->path());
      else if (wanted_(entry->path()))
        files_.push_back(entry->path());
    }
    if (error)
      throw Error(ErrorKind::kFile,
                  fmt::format("{}: cannot list the folder: {}", shown(path), error.message()));
    std::ranges::sort(folders);  // which of two names of a folder counts must not depend on the disk
    for (const fs::path& inner : folders) folder(inner, depth + 1);
  }

  std::vector<fs::path> take() {
    std::ranges::sort(files_, {}, [](const fs::path& path) -> const std::string& { return path.native(); });
    return std::move(files_);
  }

 private:
  const std::function<bool(const fs::path&)>& wanted_;
  std::set<std::pair<dev_t, ino_t>> visited_;
  std::vector<fs::path> files_;
};

// Takes the list's bytes from those that may still be read.
void add_listed(const fs::path& list, size_t& bytes_left, std::vector<fs::path>& paths) {
  const std::string content = read_file(list, bytes_left);
  bytes_left -= content.size();
  std::error_code ignored;
  const fs::path here = fs::current_path(ignored), beside = list.parent_path();
  for (const std::string_view line : listed_lines(utf8_content(content, shown(list)))) {
    if (line.find('\0') != std::string_view::npos)
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: not a list of images: it holds zero bytes", shown(list)));
    const bool is_beside = line.starts_with("./");
    fs::path path = is_beside ? beside / line.substr(2) : here / line;
    bool is_there = fs::exists(path, ignored);
    if (!is_there && !is_beside && fs::path(line).is_relative()) {
      path = beside / line;
      is_there = fs::exists(path, ignored);
    }
    if (!is_there) path = end_below(beside, line).value_or(path);
    paths.push_back(path.lexically_normal());
  }
}

}  // namespace

std::vector<fs::path> list_files(const fs::path& folder, const std::function<bool(const fs::path&)>& wanted) {
  Walk walk(wanted);
  walk.folder(folder);
  return walk.take();
}

std::vector<fs::path> list_images(const Split& split, size_t max_list_bytes) {
  const std::function<bool(const fs::path&)> is_image = detect::has_image_suffix;
  Walk walk(is_image);
  std::vector<fs::path> paths;
  for (const SplitSource& source : split.sources) {
    std::error_code error;
    const fs::file_status status = fs::status(source.path, error);
    if (fs::is_directory(status)) {
      walk.folder(source.path);
    } else if (fs::is_regular_file(status)) {
      if (to_lower(source.path.extension().string()) != ".txt")
        throw Error(ErrorKind::kFormat, fmt::format("{}: split '{}': expected a folder or a .txt list",
                                                    shown(source.path), split.name));
      add_listed(source.path, max_list_bytes, paths);
    } else {
      throw Error(ErrorKind::kFile, fmt::format("{}: no such folder or list; split '{}' names it",
                                                shown(source.path), split.name));
    }
  }
  for (fs::path& path : walk.take()) paths.push_back(std::move(path));
  if (paths.empty())
    throw Error(ErrorKind::kFile,
                fmt::format("{}: split '{}' has no images (.jpg, .png, .webp, .bmp, .tif, ...)",
                            shown(split.sources[0].path), split.name));
  std::ranges::sort(paths, {}, [](const fs::path& path) -> const std::string& { return path.native(); });
  return paths;
}

}  // namespace marrow::data
