#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"
#include "marrow/data/formats/voc_format.h"
#include "marrow/data/split_reader.h"
#include "marrow/detect/sources.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSplitBytes = size_t{256} << 20;

bool is_xml(const fs::path& path) {
  return to_lower(path.extension().string()) == ".xml";
}

// The folder that Annotations, ImageSets and JPEGImages lie in.
fs::path base_of(const Dataset& dataset, const SplitSource& source) {
  std::error_code ignored;
  if (fs::is_directory(source.path, ignored)) return source.path;
  for (fs::path folder = source.path.parent_path(); folder != folder.parent_path();
       folder = folder.parent_path())
    if (fs::is_directory(folder / "Annotations", ignored)) return folder;
  return dataset.root;
}

// The annotation of a line: a file's stem, perhaps followed by 1, 0 or -1 (whether a class is in the image).
// Names may hold blanks, so a file that is there decides. Also "images/a.jpg" and "a.xml": the stem counts.
fs::path listed_file(std::string_view line, const fs::path& annotations) {
  const auto annotation = [&](std::string_view name) {
    fs::path path(name);
    if (detect::has_image_suffix(path) || is_xml(path)) path = path.stem();
    return annotations / (path.filename().string() + ".xml");
  };
  const fs::path whole = annotation(line);
  const size_t blank = line.find_last_of(" \t");
  const std::string_view last = blank == std::string_view::npos ? "" : line.substr(blank + 1);
  std::error_code ignored;
  if ((last != "1" && last != "0" && last != "-1") || fs::exists(whole, ignored)) return whole;
  return annotation(trimmed(line.substr(0, blank)));
}

std::vector<fs::path> listed_files(const fs::path& list, const fs::path& annotations) {
  const std::string content = read_file(list, kMaxSplitBytes);
  std::vector<fs::path> files;
  for (const std::string_view line : listed_lines(utf8_content(content, shown(list)))) {
    if (line.find('\0') != std::string_view::npos)
      throw Error(ErrorKind::kFormat, fmt::format("{}: not a list: it holds zero bytes", shown(list)));
    files.push_back(listed_file(line, annotations));
  }
  return files;
}

class VocReader : public SplitReader {
 public:
  VocReader(const Dataset& dataset, const Split& split)
      : dataset_(dataset), split_(split), classes_(dataset.names) {}

  void list() override {
    for (const SplitSource& source : split_.sources) {
      const auto files = voc_annotation_files(dataset_, split_, source);
      const fs::path folder = images_folder(source, files);
      const std::map<std::string, fs::path> images = index_images(folder);
      for (const fs::path& file : files) add(file, images, folder);
    }
    if (pictures_.empty())
      throw Error(ErrorKind::kFile, fmt::format("{}: split '{}' has no annotations (.xml)",
                                                shown(split_.sources[0].path), split_.name));
    std::ranges::stable_sort(pictures_, {},
                             [](const ListedImage& picture) { return picture.image.native(); });
  }

  ParsedLabels parse(size_t i, Size size) const override {
    const fs::path& path = pictures_[i].annotation;
    const std::string name = shown(path);
    return voc_labels(parse_voc(read_file(path, kMaxVocBytes), name), classes_, size.width, size.height,
                      name);
  }

 private:
  using Index = std::map<std::string, fs::path>;  // by stem

  static Index index_images(const fs::path& folder) {
    Index index;
    std::error_code ignored;
    if (fs::is_directory(folder, ignored))
      for (const fs::path& path : list_files(folder, detect::has_image_suffix))
        index.emplace(path.stem().string(), path);
    return index;
  }

  // Where the images lie: as stated, or the first likely folder that has the image of an annotation.
  fs::path images_folder(const SplitSource& source, const std::vector<fs::path>& files) const {
    if (!source.images.empty()) return source.images;
    const fs::path base = base_of(dataset_, source);
    const fs::path candidates[] = {base / "JPEGImages",
                                   base / "images",
                                   base,
                                   dataset_.root / "images",
                                   base.parent_path() / "images",
                                   base.parent_path() / "JPEGImages"};
    for (const fs::path& folder : candidates) {
      const Index index = index_images(folder);
      constexpr size_t kTried = 20;
      for (size_t i = 0; i < std::min(kTried, files.size()); ++i)
        if (index.contains(files[i].stem().string())) return folder;
    }
    return candidates[0];
  }

  void add(const fs::path& file, const Index& images, const fs::path& folder) {
    auto found = images.find(file.stem().string());
    if (found == images.end()) {  // the file may name an image of another stem
      try {
        const VocFile voc = parse_voc(read_file(file, kMaxVocBytes), shown(file));
        found = images.find(fs::path(voc.file_name).stem().string());
      } catch (const Error& error) {
        pictures_.push_back({{}, file, error.what()});
        return;
      }
    }
    if (found != images.end())
      pictures_.push_back({found->second, file, {}});
    else
      pictures_.push_back({{}, file, fmt::format("{}: its image is not in {}", shown(file), shown(folder))});
  }

  const Dataset& dataset_;
  const Split& split_;
  ClassIndex classes_;
};

}  // namespace

std::vector<fs::path> voc_annotation_files(const Dataset& dataset, const Split& split,
                                           const SplitSource& source) {
  std::error_code ignored;
  const fs::path base = base_of(dataset, source);
  const fs::path annotations = !dataset.voc_annotations.empty()                  ? dataset.voc_annotations
                               : fs::is_directory(base / "Annotations", ignored) ? base / "Annotations"
                                                                                 : base;
  if (fs::is_regular_file(source.path, ignored)) return listed_files(source.path, annotations);
  if (!fs::is_directory(source.path, ignored))
    throw Error(ErrorKind::kFile, fmt::format("{}: no such folder or list; split '{}' names it",
                                              shown(source.path), split.name));
  const fs::path list = base / "ImageSets" / "Main" / (split.name + ".txt");
  if (fs::is_regular_file(list, ignored)) return listed_files(list, annotations);
  return list_files(annotations, is_xml);
}

std::unique_ptr<SplitReader> make_voc_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<VocReader>(dataset, split);
}

}  // namespace marrow::data
