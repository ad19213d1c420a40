#include <fmt/format.h>

#include <map>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/split_reader.h"
#include "marrow/data/split_scan.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

class YoloReader : public SplitReader {
 public:
  YoloReader(const Dataset& dataset, const Split& split) : dataset_(dataset), split_(split) {}

  void list() override {
    for (fs::path& image : list_images(split_)) {
      fs::path labels = label_file(label_path(dataset_, image));
      pictures_.push_back({std::move(image), std::move(labels), {}});
    }
  }

  ParsedLabels parse(size_t i, Size) const override {
    const fs::path& path = pictures_[i].annotation;
    if (stamp_of(path).bytes < 0) return background(pictures_[i]);
    return parse_yolo_labels(read_file(path, kMaxLabelFileBytes), shown(path), dataset_.yolo_rows());
  }

 private:
  using Variants = std::map<std::string, fs::path>;  // by stem

  // The label file as it is spelled: cameras and old disks write .TXT.
  fs::path label_file(fs::path wanted) {
    const auto [found, is_new] = variants_.try_emplace(wanted.parent_path());
    if (is_new) found->second = variants_in(found->first);
    const auto variant = found->second.find(wanted.stem().string());
    std::error_code ignored;
    if (variant == found->second.end() || fs::exists(wanted, ignored)) return wanted;
    return variant->second;
  }

  static Variants variants_in(const fs::path& folder) {
    Variants variants;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string suffix = entry->path().extension().string();
      if (suffix != ".txt" && to_lower(suffix) == ".txt")
        variants.emplace(entry->path().stem().string(), entry->path());
    }
    if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
      throw Error(ErrorKind::kFile, fmt::format("{}: cannot be listed: {}", shown(folder), error.message()));
    return variants;
  }

  // An image without a label file. One that lies beside it is likely to be meant.
  static ParsedLabels background(const ListedImage& picture) {
    ParsedLabels none;
    for (const char* suffix : {".txt", ".TXT"}) {
      const fs::path beside = fs::path(picture.image).replace_extension(suffix);
      std::error_code ignored;
      if (beside == picture.annotation || !fs::exists(beside, ignored)) continue;
      none.problems.push_back({Problem::Severity::kWarning, Problem::Kind::kOrphanLabel, shown(beside),
                               fmt::format("lies beside its image and is not read: the labels of this image "
                                           "are looked for in {}",
                                           shown(picture.annotation))});
      break;
    }
    return none;
  }

  std::map<fs::path, Variants> variants_;  // by folder
  const Dataset& dataset_;
  const Split& split_;
};

}  // namespace

std::unique_ptr<SplitReader> make_yolo_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<YoloReader>(dataset, split);
}

}  // namespace marrow::data
