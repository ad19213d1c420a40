// Datasets as programs for labelling export them, without a YAML.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"
#include "marrow/data/foreign_paths.h"
#include "marrow/data/layout_parts.h"
#include "marrow/detect/sources.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNamesBytes = 8 << 20;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<std::string> names_in(const fs::path& file) {
  const std::string content = read_file(file, kMaxNamesBytes);
  std::vector<std::string> names;
  for (const std::string_view line : listed_lines(utf8_content(content, shown(file))))
    names.emplace_back(line);
  return names;
}

// {"categories": [{"id": 0, "name": "cat"}, ...]}, which are in the order of their ids.
std::vector<std::string> names_in_notes(const fs::path& file) {
  const nlohmann::json notes = nlohmann::json::parse(read_file(file, kMaxNamesBytes), nullptr, false);
  std::vector<std::string> names;
  if (!notes.is_object() || !notes.contains("categories") || !notes["categories"].is_array()) return names;
  for (const nlohmann::json& category : notes["categories"])
    if (category.is_object() && category.contains("name") && category["name"].is_string())
      names.push_back(category["name"].get<std::string>());
  return names;
}

// Whether the folder holds images, and for one of them a file of its name with that suffix.
bool holds_pairs(const fs::path& folder, const char* suffix) {
  if (!is_folder(folder)) return false;
  std::set<std::string> images, others;
  for (const fs::path& file : entries(folder, false)) {
    if (detect::has_image_suffix(file))
      images.insert(file.stem().string());
    else if (to_lower(file.extension().string()) == suffix)
      others.insert(file.stem().string());
  }
  return std::ranges::any_of(others, [&](const std::string& stem) { return images.contains(stem); });
}

bool find_beside_splits(const fs::path& folder, const char* suffix, DatasetFormat format, Dataset& dataset) {
  for (const SplitAliases& split : split_aliases())
    for (const char* alias : split.aliases)
      if (dataset.find_split(split.name) == nullptr && holds_pairs(folder / alias, suffix))
        add_source(dataset, split.name, {folder / alias, {}});
  dataset.format = format;
  dataset.labels_beside = format == DatasetFormat::kYolo;
  return dataset.find_split("train") != nullptr;
}

}  // namespace

std::vector<std::string> listed_names(const fs::path& folder) {
  for (const char* place : {"", "labels", "train", "labels/train", "data"})
    for (const char* name : {"classes.txt", "obj.names", "_darknet.labels", "names.txt", "labels.txt"})
      if (const fs::path file = folder / place / name; is_file(file)) return names_in(file);
  if (const auto lists = files_with(folder, {".names"}); lists.size() == 1) return names_in(lists[0]);
  if (is_file(folder / "notes.json")) return names_in_notes(folder / "notes.json");
  return {};
}

bool find_yolo_unsplit(const fs::path& folder, Dataset& dataset) {
  if (!is_folder(folder / "images") || files_with(folder / "labels", {".txt"}).empty()) return false;
  dataset.format = DatasetFormat::kYolo;
  add_source(dataset, "train", {folder / "images", {}});
  dataset.names = listed_names(folder);
  return true;
}

bool find_yolo_beside_splits(const fs::path& folder, Dataset& dataset) {
  dataset.names = listed_names(folder);
  return find_beside_splits(folder, ".txt", DatasetFormat::kYolo, dataset);
}

bool find_voc_beside_splits(const fs::path& folder, Dataset& dataset) {
  return find_beside_splits(folder, ".xml", DatasetFormat::kVoc, dataset);
}

bool find_yolo_beside(const fs::path& folder, Dataset& dataset) {
  if (!holds_pairs(folder, ".txt")) return false;
  dataset.format = DatasetFormat::kYolo;
  dataset.labels_beside = true;
  add_source(dataset, "train", {folder, {}});
  dataset.names = listed_names(folder);
  return true;
}

bool find_voc_beside(const fs::path& folder, Dataset& dataset) {
  if (!holds_pairs(folder, ".xml")) return false;
  dataset.format = DatasetFormat::kVoc;
  dataset.voc_annotations = folder;
  add_source(dataset, "train", {folder, folder});
  return true;
}

bool find_darknet(const fs::path& folder, Dataset& dataset) {
  for (const fs::path& place : {folder, folder / "data"}) {
    const auto files = files_with(place, {".data"});
    if (files.size() != 1) continue;
    dataset = dataset_of_darknet(files[0]);
    dataset.file = dataset.root = folder;
    return true;
  }
  return false;
}

Dataset dataset_of_darknet(const fs::path& file) {
  Dataset dataset{.file = file, .root = file.parent_path(), .format = DatasetFormat::kYolo};
  dataset.labels_beside = true;
  // Paths are as seen from where darknet was started: often "data/train.txt" for a file beside this one.
  const auto found = [&](std::string_view path) {
    return end_below(dataset.root, path, true).value_or(dataset.root / path).lexically_normal();
  };
  const std::string content = read_file(file, kMaxNamesBytes), name = shown(file);
  for (const std::string_view line : listed_lines(utf8_content(content, name))) {
    if (line.starts_with('#')) continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos)
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: '{}' is no 'key = value', as Darknet's .data files have", name,
                              printable(line, 60)));
    const std::string_view key = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
    if (key == "names")
      if (const fs::path names = found(value); is_file(names)) dataset.names = names_in(names);
    for (const SplitAliases& split : split_aliases())
      if (std::ranges::find(split.aliases, key) != split.aliases.end() && !value.empty())
        add_source(dataset, split.name, {found(value), {}});
  }
  if (dataset.splits.empty())
    throw Error(ErrorKind::kFormat,
                name + ": the key 'train' is missing; a .data file has train, valid and names");
  if (dataset.names.empty()) dataset.names = listed_names(dataset.root);
  return dataset;
}

}  // namespace marrow::data
