// Datasets without a YAML: what a folder's layout, or a COCO file, says about itself.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/formats/coco_format.h"
#include "marrow/data/formats/dataset_readers.h"
#include "marrow/data/formats/voc_format.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

// What people call the splits' folders and files.
struct SplitAliases {
  const char* name;
  std::initializer_list<const char*> aliases;
};
const SplitAliases kSplits[] = {{"train", {"train", "training"}},
                                {"val", {"val", "valid", "validation", "dev"}},
                                {"test", {"test", "testing"}}};

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

// "val" for instances_val2017; "train" where nothing tells.
std::string split_of_name(const fs::path& file) {
  const std::string stem = to_lower(file.stem().string());
  for (const SplitAliases& split : kSplits)
    for (const char* alias : split.aliases)
      if (stem.find(alias) != std::string::npos) return split.name;
  return "train";
}

void add_source(Dataset& dataset, const std::string& split_name, SplitSource source) {
  for (Split& split : dataset.splits)
    if (split.name == split_name) {
      split.sources.push_back(std::move(source));
      return;
    }
  dataset.splits.push_back({split_name, {std::move(source)}});
}

bool find_voc(const fs::path& folder, Dataset& dataset) {
  if (!is_folder(folder / "Annotations")) return false;
  dataset.format = DatasetFormat::kVoc;
  std::error_code ignored;
  for (const SplitAliases& split : kSplits) {
    const fs::path list = folder / "ImageSets" / "Main" / (std::string(split.name) + ".txt");
    if (fs::is_regular_file(list, ignored)) add_source(dataset, split.name, {list, {}});
  }
  if (dataset.splits.empty()) add_source(dataset, "train", {folder, {}});
  return true;
}

bool find_coco(const fs::path& folder, Dataset& dataset) {
  for (const SplitAliases& split : kSplits)
    for (const char* alias : split.aliases) {
      const fs::path file = folder / alias / "_annotations.coco.json";
      std::error_code ignored;
      if (dataset.find_split(split.name) == nullptr && fs::is_regular_file(file, ignored))
        add_source(dataset, split.name, {file, {}});
    }
  if (dataset.splits.empty())
    for (const fs::path& inner : {folder / "annotations", folder}) {
      const auto files = files_with(inner, {".json"});
      // COCO lays captions and keypoints beside the boxes.
      const bool any_instances = std::ranges::any_of(
          files, [](const fs::path& file) { return file.filename().string().starts_with("instances_"); });
      for (const fs::path& file : files)
        if (!any_instances || file.filename().string().starts_with("instances_"))
          add_source(dataset, split_of_name(file), {file, {}});
      if (!files.empty()) break;
    }
  dataset.format = DatasetFormat::kCoco;
  return !dataset.splits.empty();
}

// images/train beside labels/train, or train/images: YOLO without its YAML.
bool find_yolo(const fs::path& folder, Dataset& dataset) {
  for (const SplitAliases& split : kSplits)
    for (const char* alias : split.aliases) {
      const fs::path flat = folder / "images" / alias, nested = folder / alias / "images";
      if (dataset.find_split(split.name) != nullptr) break;
      if (is_folder(flat) && is_folder(folder / "labels" / alias))
        add_source(dataset, split.name, {flat, {}});
      else if (is_folder(nested) && is_folder(folder / alias / "labels"))
        add_source(dataset, split.name, {nested, {}});
    }
  dataset.format = DatasetFormat::kYolo;
  return !dataset.splits.empty();
}

bool find_folders(const fs::path& folder, Dataset& dataset) {
  for (const SplitAliases& split : kSplits)
    for (const char* alias : split.aliases)
      if (dataset.find_split(split.name) == nullptr && is_folder(folder / alias) &&
          !entries(folder / alias, true).empty())
        add_source(dataset, split.name, {folder / alias, {}});
  dataset.format = DatasetFormat::kFolders;
  return dataset.find_split("train") != nullptr;
}

std::vector<std::string> coco_names(const Dataset& dataset) {
  std::map<int64_t, std::string> by_id;
  std::vector<std::string> names;  // in order of appearance
  bool consistent = true;
  for (const Split& split : dataset.splits)
    for (const SplitSource& source : split.sources)
      for (const CocoCategory& category : read_coco(source.path).categories) {
        const auto [entry, fresh] = by_id.emplace(category.id, category.name);
        consistent &= fresh || entry->second == category.name;
        names.push_back(category.name);
      }
  if (consistent) {
    names.clear();
    for (const auto& [id, name] : by_id) names.push_back(name);
  }
  std::set<std::string> seen;
  std::erase_if(names, [&](const std::string& name) { return !seen.insert(name).second; });
  return names;
}

std::vector<std::string> voc_names(const Dataset& dataset) {
  std::set<std::string> names;
  for (const Split& split : dataset.splits)
    for (const SplitSource& source : split.sources)
      for (const fs::path& file : voc_annotation_files(dataset, split, source)) {
        std::error_code ignored;
        if (!fs::is_regular_file(file, ignored)) continue;  // named when the split is read
        for (const VocObject& object : parse_voc(read_file(file, kMaxVocBytes), shown(file)).objects)
          names.insert(object.name);
        if (names.size() > static_cast<size_t>(kMaxClasses)) return {names.begin(), names.end()};
      }
  return {names.begin(), names.end()};
}

std::vector<std::string> folder_names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const SplitSource& source : dataset.split("train").sources)
    for (const fs::path& folder : entries(source.path, true)) names.push_back(folder.filename().string());
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

Dataset dataset_of_json(const fs::path& file) {
  Dataset dataset{.file = file, .root = file.parent_path(), .format = DatasetFormat::kCoco};
  add_source(dataset, split_of_name(file), {file, {}});
  return dataset;
}

Dataset dataset_of_folder(const fs::path& folder, std::vector<std::string> names) {
  for (const char* name : {"data.yaml", "data.yml", "dataset.yaml"}) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / name, ignored))
      return parse_dataset_yaml(read_file(folder / name, kMaxDatasetYamlBytes), folder / name,
                                std::move(names));
  }
  if (const auto files = files_with(folder, {".yaml", ".yml"}); files.size() == 1)
    return parse_dataset_yaml(read_file(files[0], kMaxDatasetYamlBytes), files[0], std::move(names));

  Dataset dataset{.file = folder, .root = folder};
  for (bool (*find)(const fs::path&, Dataset&) : {find_voc, find_yolo, find_coco, find_folders}) {
    dataset.splits.clear();
    if (!find(folder, dataset)) continue;
    dataset.names = std::move(names);
    if (dataset.format == DatasetFormat::kYolo && dataset.names.empty())
      throw Error(
          ErrorKind::kFormat,
          fmt::format("{}: images and labels, but no data.yaml that names the classes", shown(folder)));
    return dataset;
  }
  throw Error(ErrorKind::kFormat,
              fmt::format("{}: no dataset: neither data.yaml, nor Annotations/, nor annotations/*.json, nor "
                          "train/CLASS/ are in it",
                          shown(folder)));
}

std::vector<std::string> gather_class_names(const Dataset& dataset) {
  switch (dataset.format) {
    case DatasetFormat::kCoco:
      return coco_names(dataset);
    case DatasetFormat::kVoc:
      return voc_names(dataset);
    case DatasetFormat::kFolders:
      return folder_names(dataset);
    case DatasetFormat::kYolo:
      break;
  }
  return {};
}

}  // namespace marrow::data
