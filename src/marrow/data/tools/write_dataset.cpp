#include "marrow/data/tools/write_dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/split_scan.h"
#include "marrow/data/tools/convert_writers.h"
#include "marrow/data/tools/unique_names.h"
#include "marrow/data/tools/write_plainly.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot make the folder: {}", shown(folder), error.message()));
}

// Whether `to` is what a conversion that was ended has left of this image: a link to it, or the beginning of
// a copy. The image itself is none.
bool is_left_over(const fs::path& from, const fs::path& to) {
  if (!fs::exists(fs::symlink_status(to))) return false;
  if (fs::canonical(to.parent_path()) / to.filename() == fs::canonical(from)) return false;
  if (fs::equivalent(from, to)) return true;
  const MappedFile image(from), part(to);
  return part.bytes().size() <= image.bytes().size() &&
         std::ranges::equal(part.bytes(), image.bytes().first(part.bytes().size()));
}

void transfer(const LabelledImage& image, const fs::path& to, ImageTransfer how) {
  if (image.part != nullptr) return write_plainly(to, read_image_bytes(image));  // no file to link to
  const fs::path& from = image.path;
  std::error_code error;
  if (is_left_over(from, to)) fs::remove(to);
  switch (how) {
    case ImageTransfer::kSymlink:
      fs::create_symlink(from, to, error);
      break;
    case ImageTransfer::kHardLink:
      // Of the image itself, not of a link to it.
      fs::create_hard_link(fs::canonical(from, error), to, error);
      if (!error) break;
      [[fallthrough]];
    case ImageTransfer::kCopy:
      error.clear();
      fs::copy_file(from, to, error);
      break;
  }
  if (error)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot be written from {}: {}", shown(to), shown(from), error.message()));
}

void transfer_all(const std::vector<NamedImage>& pictures, const fs::path& folder,
                  const WriteOptions& options) {
  make_folder(folder);
  cpu::ThreadPool pool(options.threads);
  SharedProgress progress(options.progress, static_cast<int64_t>(pictures.size()));
  std::vector<std::string> failures(pictures.size());
  pool.parallel_for(static_cast<int64_t>(pictures.size()), [&](int64_t i, int) {
    const NamedImage& picture = pictures[static_cast<size_t>(i)];
    try {
      transfer(picture.image, folder / picture.name, options.transfer);
    } catch (const std::exception& error) {
      failures[static_cast<size_t>(i)] = error.what();
    }
    progress.advance();
  });
  for (const std::string& failure : failures)
    if (!failure.empty()) throw Error(ErrorKind::kFile, failure);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ') {
      result += fmt::format("\\x{:02x}", static_cast<int>(c));
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

// Keys of a YAML and the splits behind them.
using Keys = std::vector<std::pair<std::string, std::vector<std::string>>>;

void write_yaml(const fs::path& file, const std::vector<std::string>& classes, const Keys& keys,
                const ImageReading& reading, const WriteOptions& options) {
  const DatasetFormat to = options.to;
  std::string yaml = "# Written by 'marrow data'. Paths are relative to this file.\n";
  if (to != DatasetFormat::kYolo) yaml += fmt::format("format: {}\n", format_name(to));
  if (to == DatasetFormat::kVoc) yaml += "images: JPEGImages\nannotations: Annotations\n";
  for (const auto& [key, splits] : keys) {
    std::vector<std::string> places;
    for (const std::string& split : splits)
      places.push_back(
          to == DatasetFormat::kCoco
              ? fmt::format("{{annotations: annotations/instances_{0}.json, images: images/{0}}}", split)
          : to == DatasetFormat::kVoc ? fmt::format("ImageSets/Main/{}.txt", split)
                                      : "images/" + split);
    yaml += places.size() == 1 ? fmt::format("{}: {}\n", key, places[0])
                               : fmt::format("{}: [{}]\n", key, join(places, ", "));
  }
  yaml += reading_yaml(reading);
  if (options.task == Task::kPose) yaml += skeleton_yaml(options.skeleton);
  write_file_atomically(file, yaml + names_yaml(classes));
}

void write_yamls(const fs::path& out, const std::vector<std::string>& classes,
                 const std::vector<NewSplit>& splits, const ImageReading& reading,
                 const WriteOptions& options) {
  Keys keys;
  for (const NewSplit& split : splits) {
    if (!options.folds) {
      keys.push_back({split.name, {split.name}});
      continue;
    }
    Keys of_fold = {{"train", {}}, {"val", {split.name}}};
    for (const NewSplit& other : splits)
      if (other.name != split.name) of_fold[0].second.push_back(other.name);
    write_yaml(out / (split.name + ".yaml"), classes, of_fold, reading, options);
    if (keys.empty()) keys = of_fold;
  }
  if (std::ranges::none_of(keys, [](const auto& key) { return key.first == "train"; }))
    keys.push_back({"train", keys[0].second});  // it is required: another stands in for it
  write_yaml(out / "data.yaml", classes, keys, reading, options);
}

}  // namespace

std::vector<std::string> with_ignore(std::vector<std::string> classes, std::vector<NewSplit>& splits,
                                     DatasetFormat to) {
  const auto number = static_cast<int>(classes.size());
  bool any = false;
  for (NewSplit& split : splits)
    for (LabelledImage& image : split.images) {
      if (to == DatasetFormat::kYolo) std::erase_if(image.ignored, is_crowd_or_difficult);
      for (IgnoredLabel& ignored : image.ignored)
        if (!is_crowd_or_difficult(ignored)) {
          ignored.label.class_id = number;
          any = true;
        }
    }
  if (any) classes.emplace_back(kIgnoreName);
  return classes;
}

std::string names_yaml(const std::vector<std::string>& classes) {
  std::string yaml = "names:\n";
  for (size_t i = 0; i < classes.size(); ++i) yaml += fmt::format("  {}: {}\n", i, quoted(classes[i]));
  return yaml;
}

std::string reading_yaml(const ImageReading& reading) {
  std::string yaml;
  if (reading.samples.channels != 3) yaml += fmt::format("channels: {}\n", reading.samples.channels);
  if (reading.samples.bits != 8) yaml += fmt::format("bits: {}\n", reading.samples.bits);
  if (reading.range != SampleRange())
    yaml += fmt::format("range: [{}, {}]\n", reading.range.low, reading.range.high);
  return yaml;
}

void require_new_dataset(const fs::path& out, const WriteOptions& options) {
  if (options.to == DatasetFormat::kFolders || options.to == DatasetFormat::kDota)
    throw Error(ErrorKind::kUsage, "datasets are written as yolo, coco or voc");
  if (options.to == DatasetFormat::kVoc && options.task != Task::kDetect)
    throw Error(ErrorKind::kUsage,
                fmt::format("--to voc: its files hold boxes alone; to {}, write yolo or coco",
                            task_name(options.task)));
  std::error_code ignored;
  if (fs::exists(out / "data.yaml", ignored))
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: there is a dataset already; name another folder", shown(out / "data.yaml")));
}

void write_dataset(const fs::path& out, const std::vector<std::string>& names, std::vector<NewSplit> splits,
                   const ImageReading& reading, const WriteOptions& options) {
  require_new_dataset(out, options);
  const std::vector<std::string> classes = with_ignore(names, splits, options.to);
  const Task rows = options.task == Task::kDetect && options.polygons ? Task::kSegment : options.task;
  UniqueNames all_names;  // VOC keeps all splits in one folder
  for (NewSplit& split : splits) {
    UniqueNames split_names;
    UniqueNames& unique = options.to == DatasetFormat::kVoc ? all_names : split_names;
    std::vector<NamedImage> pictures;
    // Labels are found by the stem.
    for (LabelledImage& image : split.images) {
      const std::string suffix = image.path.extension().string();
      pictures.push_back({unique.take(image.path.stem().string()) + suffix, std::move(image)});
    }
    const fs::path folder =
        options.to == DatasetFormat::kVoc ? out / "JPEGImages" : out / "images" / split.name;
    transfer_all(pictures, folder, options);
    switch (options.to) {
      case DatasetFormat::kCoco:
        make_folder(out / "annotations");
        write_coco(out / "annotations" / fmt::format("instances_{}.json", split.name), classes, pictures,
                   options.task == Task::kPose ? options.skeleton : Skeleton());
        break;
      case DatasetFormat::kVoc:
        make_folder(out / "Annotations");
        make_folder(out / "ImageSets/Main");
        write_voc(out, split.name, classes, pictures);
        break;
      default:
        make_folder(out / "labels" / split.name);
        for (const NamedImage& picture : pictures)
          write_plainly(out / "labels" / split.name / fs::path(picture.name).replace_extension(".txt"),
                        yolo_label_lines(picture.image, rows, options.skeleton.shape));
    }
  }
  write_yamls(out, classes, splits, reading, options);  // data.yaml last: a folder with it is whole
}

}  // namespace marrow::data
