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
#include "marrow/base/utf8.h"

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

std::vector<fs::path> images_listed(const fs::path& list) {
  std::string content = read_file(list, kMaxListBytes);
  std::vector<fs::path> paths;
  for (const std::string_view line : listed_lines(utf8_content(content, list.string()))) {
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

// What other programs take as a source; nullptr when it is nothing of the kind.
const char* foreign_source(const std::string& source) {
  const std::string lower = to_lower(source);
  if (lower == "screen" || lower.starts_with("screen ")) return "the screen is not read";
  if (!source.empty() && source.size() < 3 && source.find_first_not_of("0123456789") == std::string::npos)
    return "a camera is not read";
  for (const char* scheme : {"rtsp://", "rtmp://", "tcp://", "udp://"})
    if (lower.starts_with(scheme)) return "a stream is not read";
  if (lower.starts_with("http://") || lower.starts_with("https://")) return "nothing is fetched; download it";
  return nullptr;
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
  if (const char* what = foreign_source(source))
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: {}; read are images, folders, patterns and lists of images", source, what));
  throw Error(ErrorKind::kFile, fmt::format("{}: no such image, folder or list", source));
}

}  // namespace marrow::detect
