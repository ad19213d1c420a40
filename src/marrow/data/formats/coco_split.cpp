#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <unordered_set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/data/foreign_paths.h"
#include "marrow/data/formats/coco_format.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

// A file name that an annotation gives, as a path that can be looked for.
bool is_usable_name(const std::string& name) {
  return name.size() <= kLongestPath && name.find('\0') == std::string::npos &&
         !fs::path(name).filename().empty();
}

// "instances_train2017.json" -> "train2017", which is what COCO calls the folder of these images.
std::string last_word(const fs::path& file) {
  const std::string stem = file.stem().string();
  return stem.substr(stem.rfind('_') + 1);
}

class CocoReader : public SplitReader {
 public:
  CocoReader(const Dataset& dataset, const Split& split) : dataset_(dataset), split_(split) {}

  std::vector<fs::path> shared_files() const override {
    std::vector<fs::path> files;
    for (const SplitSource& source : split_.sources) files.push_back(source.path);
    return files;
  }

  void list() override {
    const ClassIndex index(dataset_.names);
    std::map<std::string, std::vector<Part>> parts;  // by path
    std::vector<ListedImage> missing;
    for (const SplitSource& source : split_.sources) {
      files_.push_back({shown(source.path), read_coco(source.path), {}});
      map_classes(files_.back(), index);
      const CocoFile& coco = files_.back().content;
      const fs::path folder = images_folder(source, coco);
      std::set<std::pair<std::string, int64_t>> listed;  // one picture, by path and id, has its objects once
      for (const CocoImage& image : coco.images) {
        fs::path path = is_usable_name(image.file_name) ? (folder / image.file_name).lexically_normal() : "";
        std::error_code ignored;
        bool is_there = !path.empty() && fs::exists(path, ignored);
        if (!path.empty() && !is_there)
          if (const auto end = end_below(folder, image.file_name)) {
            path = end->lexically_normal();
            is_there = true;
          }
        if (is_there && listed.emplace(path.native(), image.id).second)
          parts[path.native()].push_back({files_.size() - 1, &image - coco.images.data()});
        else if (!is_there)
          missing.push_back({{},
                             source.path,
                             fmt::format("{}:{}: the image '{}' is not in {}", files_.back().name, image.line,
                                         printable(image.file_name), shown(folder))});
      }
      report_strays(files_.back());
    }
    for (auto& [path, its_parts] : parts) {
      pictures_.push_back({path, split_.sources[its_parts[0].file].path, {}});
      parts_.push_back(std::move(its_parts));
    }
    for (ListedImage& picture : missing) pictures_.push_back(std::move(picture));
    if (pictures_.empty())
      throw Error(ErrorKind::kFormat, fmt::format("{}: no images are listed", shown(split_.sources[0].path)));
  }

  ParsedLabels parse(size_t i, Size size) const override {
    ParsedLabels result;
    for (const Part& part : parts_.at(i)) {
      const File& file = files_[part.file];
      const CocoImage& image = file.content.images[static_cast<size_t>(part.image)];
      const std::vector<CocoObject>& all = file.content.objects;
      const std::span objects(std::ranges::lower_bound(all, image.id, {}, &CocoObject::image_id),
                              std::ranges::upper_bound(all, image.id, {}, &CocoObject::image_id));
      result.append(coco_labels(file.content, image, objects, file.classes, size.width, size.height,
                                file.name, {dataset_.task, dataset_.skeleton.shape}));
    }
    return result;
  }

  CocoNumbers coco_numbers() const override {
    CocoNumbers numbers;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const Part& part = parts_[i].front();
      const CocoFile& file = files_[part.file].content;
      const CocoImage& image = file.images[static_cast<size_t>(part.image)];
      CocoImageId& id = numbers.pictures[pictures_[i].image.native()];
      if (image.id_is_text)
        id = file.id_text(image.id);
      else
        id = image.id;
    }
    std::map<int, int64_t> categories;  // by class
    std::set<int64_t> taken;
    for (const File& file : files_) {
      for (const auto& [category, class_id] : file.classes.class_of) categories.emplace(class_id, category);
      for (const CocoCategory& category : file.content.categories) taken.insert(category.id);
    }
    int64_t unused = 1;
    for (int class_id = 0; class_id < dataset_.classes(); ++class_id) {
      const auto found = categories.find(class_id);
      while (found == categories.end() && !taken.insert(unused).second) ++unused;
      numbers.categories.push_back(found == categories.end() ? unused : found->second);
    }
    return numbers;
  }

 private:
  struct File {
    std::string name;
    CocoFile content;
    CocoClasses classes;
  };
  struct Part {  // an image's entry in a file
    size_t file;
    std::ptrdiff_t image;
  };

  void map_classes(File& file, const ClassIndex& index) {
    bool any = false;
    for (const CocoCategory& category : file.content.categories) {
      const int class_id = is_ignore_name(category.name) ? kIgnoreClass : index.find(category.name);
      any |= class_id != -1;
      if (class_id != -1)
        file.classes.class_of.emplace_back(category.id, class_id);
      else
        problems_.push_back(
            {Problem::Severity::kNote, Problem::Kind::kUnknownClass, file.name,
             fmt::format("category '{}' is not among the names of the dataset; its objects are left out",
                         printable(category.name, 60))});
    }
    if (!any && !file.content.objects.empty())
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: none of its {} categories is among the names of the dataset ({}, ...)",
                              file.name, file.content.categories.size(), printable(dataset_.names[0], 60)));
  }

  // Where the images lie: as stated, or the first likely folder that has one of them.
  fs::path images_folder(const SplitSource& source, const CocoFile& coco) const {
    if (!source.images.empty()) return source.images;
    constexpr size_t kTried = 20;
    const fs::path& root = dataset_.root;
    const fs::path here = source.path.parent_path();
    const std::string word = last_word(source.path);
    const fs::path candidates[] = {here,
                                   root,
                                   root / "images",
                                   root / word,
                                   root / "images" / word,
                                   root / split_.name,
                                   root / "images" / split_.name,
                                   here.parent_path(),
                                   here.parent_path() / "images",
                                   here.parent_path() / word,
                                   here.parent_path() / "images" / word};
    std::error_code ignored;
    for (const fs::path& folder : candidates)
      for (size_t i = 0; i < std::min(kTried, coco.images.size()); ++i)
        if (is_usable_name(coco.images[i].file_name) &&
            (fs::is_regular_file(folder / coco.images[i].file_name, ignored) ||
             end_below(folder, coco.images[i].file_name)))
          return folder.lexically_normal();
    return root.lexically_normal();
  }

  void report_strays(const File& file) {
    std::ranges::copy(file.content.problems, std::back_inserter(problems_));
    std::unordered_set<int64_t> ids;
    for (const CocoImage& image : file.content.images)
      if (!ids.insert(image.id).second)
        problems_.push_back({Problem::Severity::kWarning, Problem::Kind::kDuplicateImage,
                             fmt::format("{}:{}", file.name, image.line),
                             fmt::format("{}: the image id {} is there twice", printable(image.file_name),
                                         printable(file.content.id_text(image.id), 60))});
    ProblemList strays;
    for (const CocoObject& object : file.content.objects)
      if (!ids.contains(object.image_id))
        strays.add(Problem::Severity::kWarning, Problem::Kind::kMissingImage,
                   fmt::format("{}:{}", file.name, object.line),
                   fmt::format("{}: there is no image with id {}", file.content.name_of(object),
                               printable(file.content.id_text(object.image_id), 60)));
    for (Problem& problem : strays.take(file.name)) problems_.push_back(std::move(problem));
  }

  const Dataset& dataset_;
  const Split& split_;
  std::vector<File> files_;
  std::vector<std::vector<Part>> parts_;  // as many as images that were found, which come first
};

}  // namespace

std::unique_ptr<SplitReader> make_coco_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<CocoReader>(dataset, split);
}

}  // namespace marrow::data
