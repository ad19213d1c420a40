// What a dataset is made of: where its images and annotations lie, and what its classes are called.
//
// Read from a YAML file, or from a folder or file that is recognised by its layout: docs/data.md has the
// rules. Nothing in a dataset is executed or downloaded. All files are treated as hostile.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/geometry/sample_format.h"

namespace marrow::data {

enum class DatasetFormat {
  kYolo,     // a text file of rows beside every image
  kCoco,     // JSON files that list images and objects
  kVoc,      // one XML file an image
  kFolders,  // one folder a class, for classification
  kDota,     // a text file of turned boxes beside every image
};
std::string_view format_name(DatasetFormat format);  // "yolo", "coco", "voc", "folders", "dota"

inline constexpr int kMaxClasses = 100'000;

// One place that images of a split come from.
struct SplitSource {
  std::filesystem::path path;    // kYolo, kFolders: folder or list; kCoco: JSON; kVoc: see docs/data.md
  std::filesystem::path images;  // kCoco, kVoc: the images' folder when it is stated; otherwise searched
  bool operator==(const SplitSource&) const = default;
};

struct Split {
  std::string name;  // "train", "val", "test"
  std::vector<SplitSource> sources;
};

// Finds classes by name.
class ClassIndex {
 public:
  explicit ClassIndex(std::vector<std::string> names);
  int find(std::string_view name) const;  // -1 when there is none
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, int, std::less<>> index_;
};

struct Dataset {
  std::filesystem::path file;  // what was read: a YAML file, a JSON file or a folder
  std::filesystem::path root;
  DatasetFormat format = DatasetFormat::kYolo;
  std::vector<std::string> names;  // of the classes, by number
  int ignore_class = -1;           // kYolo: where the rows' numbers have `ignore`, no name; -1: nowhere
  Task task = Task::kDetect;       // what labels are read for; whoever reads a dataset sets it
  Skeleton skeleton;               // of a dataset of poses
  ImageReading reading;            // channels, bits and range
  std::vector<Split> splits;
  bool labels_beside = false;             // kYolo: label files lie beside their images, whatever the folders
  std::filesystem::path voc_annotations;  // kVoc: the folder of the XML files when it is stated
  std::vector<std::string> notes;         // for the user: keys that have no effect, downloads not made, ...

  int classes() const { return static_cast<int>(names.size()); }
  const Split* find_split(std::string_view name) const;  // nullptr when there is none
  // Throws Error{kUsage} that names the splits there are.
  const Split& split(std::string_view name) const;
  // Throws Error{kUsage} for kFolders.
  void require_boxes() const;
  YoloRows yolo_rows() const;  // how its label files are read; kYolo
};

// Throws Error{kFile} when nothing is at the path of a dataset.
void require_dataset(const std::filesystem::path& path);

// `path` is a YAML file, a COCO JSON file, Darknet's .data file, or a folder: with data.yaml (or one YAML
// file), or in one of the layouts of docs/data.md, of which a note says which it is. Throws Error naming
// file, line and key. `names`, when not empty, stands for the classes of the file, which then needs none;
// without names anywhere, those of COCO's categories (by id) and VOC's objects (by alphabet) are gathered
// from all splits, which reads every annotation file. A class `ignore` (labels.h) is taken out of the names
// of a dataset with boxes, and a note says so. All paths of the result are absolute.
Dataset read_dataset(const std::filesystem::path& path, std::vector<std::string> names = {});

// Where the label file of a kYolo dataset's image is looked for.
std::filesystem::path label_path(const Dataset& dataset, const std::filesystem::path& image);

// The images of a kYolo split: folders recursively, lists line by line; sorted by path. A folder that is
// reached twice (symbolic links, loops) counts once, hidden files and folders never.
// Throws Error{kFile} when a source is missing, nothing is found, or the lists together have more bytes than
// the limit: one list can be named often.
inline constexpr size_t kMaxListBytes = size_t{1} << 30;
std::vector<std::filesystem::path> list_images(const Split& split, size_t max_list_bytes = kMaxListBytes);

// The files below a folder that `wanted` accepts, sorted; rules as above. Throws Error{kFile} when the folder
// cannot be listed.
std::vector<std::filesystem::path> list_files(
    const std::filesystem::path& folder, const std::function<bool(const std::filesystem::path&)>& wanted);

// For messages: the path as seen from the working folder when it lies below.
std::string shown(const std::filesystem::path& path);

}  // namespace marrow::data
