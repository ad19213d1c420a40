#include "marrow/detect/sources.h"

#include <fmt/core.h>
#include <glob.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"

namespace marrow::detect {
namespace {

namespace fs = std::filesystem;

constexpr std::array kImageSuffixes = {".bmp", ".dng",  ".jpeg", ".jpg", ".mpo", ".png",
                                       ".tif", ".tiff", ".webp", ".pfm", ".heic"};
constexpr size_t kMaxListBytes = 1 << 28;

std::vector<fs::path> images_in_folder(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (has_image_suffix(entry->path()) && !entry->is_directory(ignored)) paths.push_back(entry->path());
  }
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot list the folder: {}", folder.string(), error.message()));
  if (paths.empty()) {
    throw Error(
        ErrorKind::kFile,
        fmt::format("{}: no images in this folder (.jpg, .png, .webp, .bmp, .tif, ...)", folder.string()));
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<fs::path> images_matching(const std::string& pattern) {
  struct Matches : glob_t {
    Matches() : glob_t{} {}
    ~Matches() { ::globfree(this); }
  } matches;
  std::vector<fs::path> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (size_t i = 0; i < matches.gl_pathc; ++i) {
      fs::path path = matches.gl_pathv[i];
      std::error_code ignored;
      if (has_image_suffix(path) && !fs::is_directory(path, ignored)) paths.push_back(path);
    }
  }
  if (paths.empty()) throw Error(ErrorKind::kFile, fmt::format("{}: the pattern matches no images", pattern));
  std::ranges::sort(paths);
  return paths;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::vector<fs::path> images_listed(const fs::path& list) {
  std::string content = read_file(list, kMaxListBytes);
  std::string_view rest = content;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);  // a byte order mark
  std::vector<fs::path> paths;
  while (!rest.empty()) {
    size_t length = std::min(rest.find('\n'), rest.size());
    std::string_view line = trimmed(rest.substr(0, length));
    rest.remove_prefix(std::min(length + 1, rest.size()));
    if (line.empty()) continue;
    fs::path path(line);
    std::error_code ignored;
    if (line.starts_with("./")) {
      path = list.parent_path() / line.substr(2);
    } else if (path.is_relative() && !fs::exists(path, ignored)) {
      fs::path beside = list.parent_path() / path;
      if (fs::exists(beside, ignored)) path = beside;
    }
    paths.push_back(path);
  }
  if (paths.empty())
    throw Error(ErrorKind::kFile, fmt::format("{}: the list names no images", list.string()));
  return paths;
}

}  // namespace

bool has_image_suffix(const fs::path& path) {
  return std::ranges::find(kImageSuffixes, to_lower(path.extension().string())) != kImageSuffixes.end();
}

std::vector<fs::path> expand_sources(const std::string& source) {
  std::error_code error;
  fs::path path = source;
  fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) return images_in_folder(path);
  if (fs::exists(status)) {
    std::string suffix = to_lower(path.extension().string());
    if (suffix == ".txt" || suffix == ".csv") return images_listed(path);
    return {path};
  }
  if (source.find_first_of("*?[") != std::string::npos) return images_matching(source);
  throw Error(ErrorKind::kFile, fmt::format("{}: no such image, folder or list", source));
}

}  // namespace marrow::detect
