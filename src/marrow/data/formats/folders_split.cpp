#include <algorithm>

#include "marrow/data/dataset_folders.h"
#include "marrow/data/split_reader.h"

namespace marrow::data {
namespace {

// Each image is one object of its class, as large as itself.
class FoldersReader : public SplitReader {
 public:
  FoldersReader(const Dataset& dataset, const Split& split) : dataset_(dataset), split_(split) {}

  void list() override {
    std::vector<ClassifiedImage> images = list_classified(dataset_, split_.name);
    std::ranges::sort(images, {}, [](const ClassifiedImage& image) { return image.path.native(); });
    for (ClassifiedImage& image : images) {
      pictures_.push_back({std::move(image.path), {}, {}});
      classes_.push_back(image.class_id);
    }
  }

  ParsedLabels parse(size_t i, Size) const override {
    ParsedLabels result;
    result.labels.push_back({classes_.at(i), .5, .5, 1, 1});
    return result;
  }

 private:
  const Dataset& dataset_;
  const Split& split_;
  std::vector<int> classes_;
};

}  // namespace

std::unique_ptr<SplitReader> make_folders_reader(const Dataset& dataset, const Split& split) {
  return std::make_unique<FoldersReader>(dataset, split);
}

}  // namespace marrow::data
