#include "marrow/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/formats/dataset_readers.h"
#include "marrow/data/layout_parts.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {

namespace fs = std::filesystem;

std::string_view format_name(DatasetFormat format) {
  switch (format) {
    case DatasetFormat::kYolo:
      return "yolo";
    case DatasetFormat::kCoco:
      return "coco";
    case DatasetFormat::kVoc:
      return "voc";
    case DatasetFormat::kDota:
      return "dota";
    case DatasetFormat::kFolders:
      break;
  }
  return "folders";
}

ClassIndex::ClassIndex(std::vector<std::string> names) : names_(std::move(names)) {
  for (size_t i = 0; i < names_.size(); ++i) index_.emplace(names_[i], static_cast<int>(i));
}

int ClassIndex::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? -1 : found->second;
}

const Split* Dataset::find_split(std::string_view name) const {
  for (const Split& split : splits)
    if (split.name == name) return &split;
  return nullptr;
}

const Split& Dataset::split(std::string_view name) const {
  if (const Split* found = find_split(name)) return *found;
  std::vector<std::string> known;
  for (const Split& split : splits) known.push_back(split.name);
  const bool is_undivided = splits.size() == 1 && format != DatasetFormat::kFolders;
  throw Error(
      ErrorKind::kUsage,
      fmt::format(
          "{}: no split '{}'; it has {}{}", shown(file), printable(name, 40), join(known, ", "),
          is_undivided ? fmt::format(" alone. 'marrow data split {} OUT' divides it", shown(file)) : ""));
}

YoloRows Dataset::yolo_rows() const {
  return {classes() + (ignore_class >= 0 ? 1 : 0), skeleton.shape, ignore_class, task};
}

void Dataset::require_boxes() const {
  if (format == DatasetFormat::kFolders)
    throw Error(ErrorKind::kUsage,
                shown(file) + ": its classes are folders of images, for classification; it has no boxes");
}

namespace {

// An archive is not unpacked, and takes more than a YAML may.
void require_text(const fs::path& file) {
  const MappedFile mapped(file);
  const std::string_view content(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  const bool is_tar = content.size() > 262 && content.substr(257, 5) == "ustar";
  if (content.starts_with("PK\x03\x04") || content.starts_with("\x1f\x8b") || content.starts_with("Rar!") ||
      is_tar)
    throw Error(ErrorKind::kUnsupported,
                shown(file) + ": an archive; unpack it, and name the folder or the YAML in it" +
                    (is_tar ? ". Shards are named by a YAML, 'train: NAME.tar'" : ""));
}

// VOC's classes come from its XML files.
std::string why_no_names(const Dataset& dataset) {
  if (dataset.ignore_class >= 0) return fmt::format(" besides '{}'", kIgnoreName);
  if (dataset.format != DatasetFormat::kVoc) return {};
  for (const Split& split : dataset.splits)
    for (const SplitSource& source : split.sources)
      for (const fs::path& file : voc_annotation_files(dataset, split, source)) {
        std::error_code ignored;
        if (!fs::exists(file, ignored))
          return fmt::format(", and an annotation of split '{}' is not there: {}", split.name, shown(file));
      }
  return ": no annotation has an object";
}

// The class `ignore` names regions, not objects.
void take_out_ignore(Dataset& dataset) {
  if (dataset.format == DatasetFormat::kFolders) return;
  const auto found = std::ranges::find_if(dataset.names, is_ignore_name);
  if (found == dataset.names.end()) return;
  if (std::find_if(found + 1, dataset.names.end(), is_ignore_name) != dataset.names.end())
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: names: '{}' is there twice", shown(dataset.file), kIgnoreName));
  const auto number = static_cast<int>(found - dataset.names.begin());
  const bool is_last = found + 1 == dataset.names.end();
  dataset.notes.push_back(fmt::format(
      "{}: boxes of class {} '{}' are regions to ignore, not objects{}", shown(dataset.file), number, *found,
      is_last ? "" : fmt::format("; the classes behind it are counted from {}", number)));
  dataset.names.erase(found);
  if (dataset.format == DatasetFormat::kYolo) dataset.ignore_class = number;
}

}  // namespace

void require_dataset(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    throw Error(ErrorKind::kFile,
                fmt::format("{}: no such dataset (a data.yaml, a COCO json or a folder)", path.string()));
}

Dataset read_dataset(const fs::path& path, std::vector<std::string> names) {
  require_dataset(path);
  const fs::path absolute = fs::absolute(path).lexically_normal();
  Dataset dataset;
  if (std::error_code ignored; fs::is_directory(absolute, ignored)) {
    dataset = dataset_of_folder(absolute, names);
  } else if (to_lower(absolute.extension().string()) == ".json") {
    dataset = dataset_of_json(absolute);
    dataset.names = std::move(names);
  } else if (to_lower(absolute.extension().string()) == ".data") {
    dataset = dataset_of_darknet(absolute);
    if (!names.empty()) dataset.names = std::move(names);
    dataset.notes.push_back(fmt::format("{}: read as Darknet's YOLO", shown(absolute)));
  } else {
    require_text(absolute);
    dataset = parse_dataset_yaml(read_file(absolute, kMaxDatasetYamlBytes), absolute, std::move(names));
  }
  if (dataset.names.empty()) gather_class_names(dataset);
  take_out_ignore(dataset);
  if (dataset.names.empty())
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: no classes are named{}", shown(dataset.file), why_no_names(dataset)));
  if (dataset.names.size() > static_cast<size_t>(kMaxClasses))
    throw Error(ErrorKind::kFormat, fmt::format("{}: {} classes; at most {} are read", shown(dataset.file),
                                                dataset.names.size(), kMaxClasses));
  return dataset;
}

fs::path label_path(const Dataset& dataset, const fs::path& image) {
  return dataset.labels_beside ? fs::path(image).replace_extension(".txt") : yolo_label_path(image);
}

std::string shown(const fs::path& path) {
  std::error_code error;
  const std::string here = fs::current_path(error).string() + "/";
  std::string text = path.string();
  return !error && text.starts_with(here) && text.size() > here.size() ? text.substr(here.size()) : text;
}

}  // namespace marrow::data
