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
#include "marrow/data/formats/dota_format.h"
#include "marrow/data/formats/voc_format.h"
#include "marrow/data/layout_parts.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

// "val" for instances_val2017; "train" where nothing tells.
std::string split_of_name(const fs::path& file) {
  const std::string stem = to_lower(file.stem().string());
  for (const SplitAliases& split : split_aliases())
    for (const char* alias : split.aliases)
      if (stem.find(alias) != std::string::npos) return split.name;
  return "train";
}

bool find_voc(const fs::path& folder, Dataset& dataset) {
  if (!is_folder(folder / "Annotations")) return false;
  dataset.format = DatasetFormat::kVoc;
  std::error_code ignored;
  for (const SplitAliases& split : split_aliases()) {
    const fs::path list = folder / "ImageSets" / "Main" / (std::string(split.name) + ".txt");
    if (fs::is_regular_file(list, ignored)) add_source(dataset, split.name, {list, {}});
  }
  if (dataset.splits.empty()) add_source(dataset, "train", {folder, {}});
  return true;
}

bool find_coco(const fs::path& folder, Dataset& dataset) {
  for (const SplitAliases& split : split_aliases())
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
  for (const SplitAliases& split : split_aliases())
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

// train/images beside train/labelTxt, or images/train beside labels/train_original.
bool find_dota(const fs::path& folder, Dataset& dataset) {
  for (const SplitAliases& split : split_aliases())
    for (const char* alias : split.aliases)
      for (const fs::path& images : {folder / alias / "images", folder / "images" / alias})
        if (dataset.find_split(split.name) == nullptr && is_folder(images) &&
            !dota_label_folder(images).empty())
          add_source(dataset, split.name, {images, {}});
  dataset.format = DatasetFormat::kDota;
  return !dataset.splits.empty();
}

bool find_folders(const fs::path& folder, Dataset& dataset) {
  for (const SplitAliases& split : split_aliases())
    for (const char* alias : split.aliases)
      if (dataset.find_split(split.name) == nullptr && is_folder(folder / alias) &&
          !entries(folder / alias, true).empty())
        add_source(dataset, split.name, {folder / alias, {}});
  dataset.format = DatasetFormat::kFolders;
  return dataset.find_split("train") != nullptr;
}

void gather_coco(Dataset& dataset) {
  std::map<int64_t, std::string> by_id;
  std::vector<std::string> names;  // in order of appearance
  std::map<std::string, std::vector<std::string>> keypoints;
  bool consistent = true;
  for (const Split& split : dataset.splits)
    for (const SplitSource& source : split.sources)
      for (const CocoCategory& category : read_coco(source.path).categories) {
        const auto [entry, fresh] = by_id.emplace(category.id, category.name);
        consistent &= fresh || entry->second == category.name;
        names.push_back(category.name);
        if (!category.keypoints.empty()) keypoints.emplace(category.name, category.keypoints);
      }
  if (consistent) {
    names.clear();
    for (const auto& [id, name] : by_id) names.push_back(name);
  }
  std::set<std::string> seen;
  std::erase_if(names, [&](const std::string& name) { return !seen.insert(name).second; });
  if (!keypoints.empty() && dataset.skeleton.shape.count == 0)
    dataset.skeleton = skeleton_of_names(names, keypoints);
  dataset.names = std::move(names);
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

// The label files there are.
std::vector<fs::path> dota_files(const Dataset& dataset) {
  std::vector<fs::path> files;
  for (const Split& split : dataset.splits) {
    const std::unique_ptr<SplitReader> reader = make_dota_reader(dataset, split);
    reader->list();
    for (const ListedImage& picture : reader->pictures())
      if (std::error_code ignored; fs::is_regular_file(picture.annotation, ignored))
        files.push_back(picture.annotation);
  }
  return files;
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

  struct Layout {
    const char* what;
    bool (*find)(const fs::path&, Dataset&);
  };
  const Layout layouts[] = {
      {"VOC", find_voc},
      {"DOTA: images and labelTxt of each split", find_dota},
      {"YOLO: images and labels of each split", find_yolo},
      {"Darknet's YOLO, as CVAT writes it", find_darknet},
      {"YOLO without splits, as Label Studio writes it: images and labels", find_yolo_unsplit},
      {"COCO", find_coco},
      {"YOLO: labels beside the images of each split", find_yolo_beside_splits},
      {"VOC: annotations beside the images of each split", find_voc_beside_splits},
      {"classes: a folder each", find_folders},
      {"YOLO in one folder, as LabelImg writes it: labels beside the images", find_yolo_beside},
      {"VOC in one folder, as LabelImg writes it: annotations beside the images", find_voc_beside},
  };
  for (const Layout& layout : layouts) {
    Dataset dataset{.file = folder, .root = folder};
    if (!layout.find(folder, dataset)) continue;
    if (!names.empty()) dataset.names = std::move(names);
    if (dataset.format == DatasetFormat::kYolo && dataset.names.empty())
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: read as {}, but nothing names the classes: neither data.yaml, nor "
                              "classes.txt, nor obj.names. Name them with --names cat,dog",
                              shown(folder), layout.what));
    dataset.notes.push_back(fmt::format("{}: read as {}", shown(folder), layout.what));
    return dataset;
  }
  throw Error(ErrorKind::kFormat,
              fmt::format("{}: no dataset: neither data.yaml, nor images/ and labels/, nor Annotations/, nor "
                          "annotations/*.json, nor obj.data, nor train/CLASS/, nor images with labels beside "
                          "them are in it",
                          shown(folder)));
}

void gather_class_names(Dataset& dataset) {
  switch (dataset.format) {
    case DatasetFormat::kCoco:
      gather_coco(dataset);
      break;
    case DatasetFormat::kVoc:
      dataset.names = voc_names(dataset);
      break;
    case DatasetFormat::kFolders:
      dataset.names = folder_names(dataset);
      break;
    case DatasetFormat::kDota:
      dataset.names = dota_names(dota_files(dataset));
      break;
    case DatasetFormat::kYolo:
      break;
  }
}

}  // namespace marrow::data
