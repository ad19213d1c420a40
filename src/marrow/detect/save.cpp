#include "marrow/detect/save.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <system_error>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/detect/results.h"
#include "marrow/image/encode.h"

namespace marrow::detect {
namespace {

namespace fs = std::filesystem;

constexpr float kCropGain = 1.02f;
constexpr float kCropMargin = 10.0f;    // pixels, on width and on height
constexpr size_t kLongestFolder = 200;  // bytes; file systems allow 255

image::ConstPixels crop(const image::Image& image, const Box<ImagePixels>& box) {
  const auto& [x1, y1, x2, y2] = box;
  float half_width = ((x2 - x1) * kCropGain + kCropMargin) / 2,
        half_height = ((y2 - y1) * kCropGain + kCropMargin) / 2;
  float x = (x1 + x2) / 2, y = (y1 + y2) / 2;
  auto pixel = [](float value, int limit) {
    if (!std::isfinite(value)) return 0;
    return static_cast<int>(std::clamp(value, 0.0f, static_cast<float>(limit)));
  };
  int left = pixel(x - half_width, image.width()), right = pixel(x + half_width, image.width());
  int top = pixel(y - half_height, image.height()), bottom = pixel(y + half_height, image.height());
  return image.region(left, top, std::max(right - left, 0), std::max(bottom - top, 0));
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
}

}  // namespace

std::string OutputNames::take(const fs::path& picture) {
  const std::string stem = picture.stem().string();
  std::string name = stem;
  int& number = next_.try_emplace(to_lower(stem), 2).first->second;
  for (; !taken_.insert(to_lower(name)).second; ++number) name = fmt::format("{}{}", stem, number);
  return name;
}

fs::path annotated_path(const fs::path& folder, const std::string& name, const fs::path& picture) {
  const fs::path path = folder / (name + picture.extension().string());
  return image::is_writable_image(path) ? path : folder / (name + ".jpg");
}

void write_labels(const fs::path& path, Size picture, std::span<const Detection> detections,
                  bool with_confidence, const DetectionExtras& extras) {
  if (!detections.empty())
    return write_file_atomically(path, label_lines(picture, detections, with_confidence, extras));
  std::error_code error;
  fs::remove(path, error);
  if (error)
    throw Error(ErrorKind::kFile, fmt::format("{}: cannot be removed: {}", path.string(), error.message()));
}

int CropFolder::save(const std::string& stem, const image::Image& image,
                     std::span<const Detection> detections, std::span<const std::string> names) {
  int written = 0;
  std::map<std::string, int> of_class;  // by folder
  for (const Detection& detection : detections) {
    image::ConstPixels pixels = crop(image, detection.box);
    if (pixels.width == 0 || pixels.height == 0) continue;
    const std::string folder = folder_name(class_name(names, detection.class_id));
    make_folder(folder_ / folder);
    fs::path file;
    do {
      const int number = ++of_class[folder];
      file = fs::path(folder) / (number == 1 ? stem + ".jpg" : fmt::format("{}_{}.jpg", stem, number));
    } while (!taken_.insert(to_lower(file.string())).second);
    image::write_image(folder_ / file, pixels, {.quality = 95, .subsample_chroma = false});
    ++written;
  }
  return written;
}

std::string folder_name(const std::string& class_name) {
  std::string name = class_name;
  for (char& c : name) {
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '_';
  }
  if (name.size() > kLongestFolder) {
    size_t end = kLongestFolder;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // not inside a letter
    name.resize(end);
  }
  if (name.empty() || name == "." || name == "..") return "_";
  return name;
}

}  // namespace marrow::detect
