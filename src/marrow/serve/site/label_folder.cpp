#include "marrow/serve/site/label_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/image/decode.h"

namespace marrow::serve {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDescription = "data.yaml";

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorKind::kFile, fmt::format("{}: {}", folder.string(), error.message()));
}

void start_dataset(const fs::path& folder, const std::vector<std::string>& classes) {
  make_folder(folder / "images");
  make_folder(folder / "labels");
  std::string yaml = "train: images\nval: images\nnames:\n";
  for (size_t i = 0; i < classes.size(); ++i)
    yaml += fmt::format("  {}: {}\n", i, nlohmann::json(classes[i]).dump());
  write_file_atomically(folder / kDescription, yaml);
}

fs::path image_folder(const data::Dataset& dataset) {
  for (const data::SplitSource& source : dataset.split("train").sources)
    if (fs::is_directory(source.path)) return source.path;
  throw Error(ErrorKind::kUnsupported,
              dataset.file.string() + ": 'train' names no folder of images that corrected ones could join");
}

bool holds(const fs::path& path, std::string_view content) {
  std::error_code error;
  return fs::file_size(path, error) == content.size() && !error && read_file(path, content.size()) == content;
}

std::string rows(const std::vector<std::string>& names, Size size, std::span<const LabelBox> boxes) {
  const data::ClassIndex classes(names);
  std::string text;
  for (const auto& [name, corners] : boxes) {
    const int number = classes.find(name);
    if (number < 0) throw Error(ErrorKind::kUsage, unknown_name_message("class", name, names));
    const auto clip = [](double value, int most) { return std::clamp(value / most, 0.0, 1.0); };
    const double x1 = clip(corners[0], size.width), x2 = clip(corners[2], size.width);
    const double y1 = clip(corners[1], size.height), y2 = clip(corners[3], size.height);
    if (!(x2 > x1 && y2 > y1))
      throw Error(ErrorKind::kUsage,
                  fmt::format("the box of a {} has no size inside the picture", printable(name, 40)));
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", number, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1,
                        y2 - y1);
  }
  return text;
}

}  // namespace

LabelFolder::LabelFolder(fs::path folder) : folder_(std::move(folder)) {
  if (fs::exists(folder_ / kDescription)) open();
}

void LabelFolder::open() {
  folder_ = fs::canonical(folder_);
  dataset_ = data::read_dataset(folder_ / kDescription);
  if (dataset_.format != data::DatasetFormat::kYolo)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: a dataset of format {}; corrected boxes are saved as YOLO rows",
                            dataset_.file.string(), data::format_name(dataset_.format)));
  images_ = image_folder(dataset_);
}

SavedLabels LabelFolder::save(std::string_view picture, std::string_view suffix, Size size,
                              std::span<const LabelBox> boxes, const std::vector<std::string>& classes) {
  const std::lock_guard lock(saving_);
  const std::string content = rows(images_.empty() ? classes : dataset_.names, size, boxes);
  if (images_.empty()) {
    start_dataset(folder_, classes);
    open();
  }
  const fs::path image = image_path(picture, suffix);
  const fs::path label = data::label_path(dataset_, image);
  make_folder(label.parent_path());
  write_file_atomically(label, content);
  if (!holds(image, picture)) write_file_atomically(image, picture);
  return {image.lexically_relative(folder_).string(), label.lexically_relative(folder_).string()};
}

// The first name of this checksum that is free, or that this picture has.
fs::path LabelFolder::image_path(std::string_view picture, std::string_view suffix) const {
  const uint32_t checksum = crc32(std::as_bytes(std::span(picture)));
  for (int i = 0;; ++i) {
    fs::path path =
        images_ / fmt::format("corrected-{:08x}{}{}", checksum, i == 0 ? "" : fmt::format("-{}", i), suffix);
    if (!fs::exists(path) || holds(path, picture)) return path;
  }
}

}  // namespace marrow::serve
