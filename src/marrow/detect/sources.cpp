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
constexpr std::array kSchemes = {"rtsp://", "rtmp://", "http://", "https://", "tcp://", "udp://"};
constexpr size_t kMaxListBytes = 1 << 28;

constexpr std::array kVideoSuffixes = {".asf", ".avi",  ".gif", ".m4v", ".mkv", ".mov",
                                       ".mp4", ".mpeg", ".mpg", ".ts",  ".wmv", ".webm"};

bool is_video(const fs::path& path) {
  return std::ranges::find(kVideoSuffixes, to_lower(path.extension().string())) != kVideoSuffixes.end();
}

using IsWanted = bool (*)(const fs::path&);

std::vector<fs::path> files_in_folder(const fs::path& folder, IsWanted wanted) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (wanted(entry->path()) && !entry->is_directory(ignored)) paths.push_back(entry->path());
  }
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot list the folder: {}", folder.string(), error.message()));
  std::ranges::sort(paths);
  return paths;
}

std::vector<fs::path> images_in_folder(const fs::path& folder) {
  std::vector<fs::path> paths = files_in_folder(folder, has_image_suffix);
  if (paths.empty()) {
    throw Error(
        ErrorKind::kFile,
        fmt::format("{}: no images in this folder (.jpg, .png, .webp, .bmp, .tif, ...)", folder.string()));
  }
  return paths;
}

bool is_pattern(const std::string& source) {
  return source.find_first_of("*?[") != std::string::npos;
}

std::vector<fs::path> files_matching(const std::string& pattern, IsWanted wanted) {
  struct Matches : glob_t {
    Matches() : glob_t{} {}
    ~Matches() { ::globfree(this); }
  } matches;
  std::vector<fs::path> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (size_t i = 0; i < matches.gl_pathc; ++i) {
      fs::path path = matches.gl_pathv[i];
      std::error_code ignored;
      if (wanted(path) && !fs::is_directory(path, ignored)) paths.push_back(path);
    }
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<fs::path> images_matching(const std::string& pattern) {
  std::vector<fs::path> paths = files_matching(pattern, has_image_suffix);
  if (paths.empty()) throw Error(ErrorKind::kFile, fmt::format("{}: the pattern matches no images", pattern));
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

// Of a folder or pattern; empty where images are there too, which are what is meant then.
std::vector<fs::path> videos_alone(const std::string& source) {
  std::error_code ignored;
  if (fs::is_directory(source, ignored))
    return files_in_folder(source, has_image_suffix).empty() ? files_in_folder(source, is_video)
                                                             : std::vector<fs::path>();
  return files_matching(source, has_image_suffix).empty() ? files_matching(source, is_video)
                                                          : std::vector<fs::path>();
}

// https://host/photo.jpg
bool is_image_url(const std::string& source) {
  const std::string lower = to_lower(source);
  return (lower.starts_with("http://") || lower.starts_with("https://")) &&
         has_image_suffix(lower.substr(0, lower.find_first_of("?#")));
}

bool is_stream(const std::string& source) {
  if (is_image_url(source)) return false;
  const std::string lower = to_lower(source);
  return std::ranges::any_of(kSchemes, [&](const char* scheme) { return lower.starts_with(scheme); });
}

bool is_camera(const std::string& source) {
  std::error_code ignored;
  if (source.starts_with("/dev/")) return fs::is_character_file(source, ignored);
  return !source.empty() && source.size() < 3 &&
         source.find_first_not_of("0123456789") == std::string::npos && !fs::exists(source, ignored);
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
  if (is_pattern(source)) return images_matching(source);
  const std::string lower = to_lower(source);
  if (lower == "screen" || lower.starts_with("screen "))
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: the screen is not read", source));
  if (is_image_url(source))
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: no image is fetched; download it", without_password(source)));
  if (video_kind(source))
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: here only images, folders, patterns and lists of images are read",
                            without_password(source)));
  throw Error(ErrorKind::kFile,
              fmt::format("{}: no such {}", source, is_video(source) ? "video" : "image, folder or list"));
}

std::optional<VideoKind> video_kind(const std::string& source) {
  std::error_code ignored;
  if (is_stream(source)) return VideoKind::kStream;
  if (is_camera(source)) return VideoKind::kCamera;
  const bool there = fs::exists(source, ignored);
  if (there && to_lower(fs::path(source).extension().string()) == ".streams") return VideoKind::kList;
  if (fs::is_regular_file(source, ignored)
          ? is_video(source)
          : (fs::is_directory(source, ignored) || (!there && is_pattern(source))) &&
                !videos_alone(source).empty())
    return VideoKind::kFiles;
  return {};
}

std::vector<fs::path> video_files(const std::string& source) {
  std::error_code ignored;
  if (fs::is_regular_file(source, ignored)) return {source};
  return videos_alone(source);
}

std::vector<std::string> listed_streams(const fs::path& list) {
  const std::string content = read_file(list, kMaxListBytes);
  std::vector<std::string> streams;
  for (const std::string_view line : listed_lines(utf8_content(content, list.string())))
    if (!line.starts_with('#')) streams.emplace_back(line);
  if (streams.empty())
    throw Error(ErrorKind::kFile, fmt::format("{}: the list names no streams", list.string()));
  return streams;
}

std::string without_password(const std::string& source) {
  const size_t scheme = source.find("://");
  if (scheme == std::string::npos) return source;
  const size_t host = scheme + 3;
  const size_t end = std::min(source.find_first_of("/?#", host), source.size());
  // The last '@' ahead of the path: a password may have one.
  const size_t at = source.substr(host, end - host).rfind('@');
  return at == std::string::npos ? source : source.substr(0, host) + source.substr(host + at + 1);
}

}  // namespace marrow::detect
