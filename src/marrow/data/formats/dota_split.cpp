#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/data/formats/dota_format.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

class DotaReader : public SplitReader {
 public:
  DotaReader(const Dataset& dataset, const Split& split) : split_(split), classes_(dataset.names) {}

  void list() override {
    std::map<fs::path, fs::path> folders;  // of labels, by that of the images
    for (fs::path& image : list_images(split_)) {
      const auto [found, is_new] = folders.try_emplace(image.parent_path());
      if (is_new) found->second = dota_label_folder(found->first);
      if (found->second.empty())
        throw Error(ErrorKind::kFile, fmt::format("{}: no folder labelTxt beside it", shown(found->first)));
      const fs::path name = fs::path(image.filename()).replace_extension(".txt");
      pictures_.push_back({std::move(image), found->second / name, {}});
    }
  }

  ParsedLabels parse(size_t i, Size size) const override {
    const fs::path& path = pictures_[i].annotation;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return {};
    return parse_dota(read_file(path, kMaxLabelFileBytes), shown(path), classes_, size);
  }

 private:
  const Split& split_;
  ClassIndex classes_;
};

}  // namespace

std::unique_ptr<SplitReader> make_dota_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<DotaReader>(dataset, split);
}

}  // namespace marrow::data
