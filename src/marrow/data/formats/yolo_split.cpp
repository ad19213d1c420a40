#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

class YoloReader : public SplitReader {
 public:
  YoloReader(const Dataset& dataset, const Split& split) : dataset_(dataset), split_(split) {}

  void list() override {
    for (std::filesystem::path& image : list_images(split_))
      pictures_.push_back({image, yolo_label_path(image), {}});
  }

  ParsedLabels parse(size_t i, Size) const override {
    const std::filesystem::path& path = pictures_[i].annotation;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return {};  // a background
    return parse_yolo_labels(read_file(path, kMaxLabelFileBytes), shown(path), dataset_.classes());
  }

 private:
  const Dataset& dataset_;
  const Split& split_;
};

}  // namespace

std::unique_ptr<SplitReader> make_yolo_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<YoloReader>(dataset, split);
}

}  // namespace marrow::data
