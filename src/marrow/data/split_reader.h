// One split as its format stores it: which images there are, and how to read the labels of each. One
// implementation a format; the scan and the cache above do not know which.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "marrow/data/dataset_split.h"
#include "marrow/data/labels.h"
#include "marrow/image/decode.h"

namespace marrow::data {

struct ListedImage {
  std::filesystem::path image;       // empty: an annotation names an image that was not found
  std::filesystem::path annotation;  // the file with this image's labels; need not exist (kYolo)
  std::string missing = {};          // with an empty image: what was looked for
  // Of a member of a tar: where it is, and what its index says. `labels`: bytes, -1 where there are none.
  std::shared_ptr<const ArchivePart> part = {};
  Size size = {};
  int64_t labels = -1;
};

class SplitReader {
 public:
  virtual ~SplitReader() = default;

  // Files that hold annotations of many images. Known before list().
  virtual std::vector<std::filesystem::path> shared_files() const { return {}; }

  // Finds the images, sorted by path, in shards in their order. Throws Error when the split as a whole cannot
  // be read.
  virtual void list() = 0;
  const std::vector<ListedImage>& pictures() const { return pictures_; }
  const std::vector<Problem>& problems() const { return problems_; }  // found by list()

  // The labels of images()[i], whose upright size is known. Any thread. Throws Error{kFile} when the
  // annotation cannot be read.
  virtual ParsedLabels parse(size_t i, Size size) const = 0;

  // After list().
  virtual CocoNumbers coco_numbers() const { return {}; }

 protected:
  std::vector<ListedImage> pictures_;
  std::vector<Problem> problems_;
};

// Of the dataset's format. The dataset and the split outlive the reader.
std::unique_ptr<SplitReader> make_split_reader(const Dataset& dataset, const Split& split);
std::unique_ptr<SplitReader> make_yolo_reader(const Dataset& dataset, const Split& split);
std::unique_ptr<SplitReader> make_coco_reader(const Dataset& dataset, const Split& split);
std::unique_ptr<SplitReader> make_voc_reader(const Dataset& dataset, const Split& split);
std::unique_ptr<SplitReader> make_dota_reader(const Dataset& dataset, const Split& split);
std::unique_ptr<SplitReader> make_shards_reader(const Dataset& dataset, const Split& split);
// As if each image were one object of its class that fills it.
std::unique_ptr<SplitReader> make_folders_reader(const Dataset& dataset, const Split& split);

// The XML files of a VOC source, as they are listed or found. Throws Error{kFile}.
std::vector<std::filesystem::path> voc_annotation_files(const Dataset& dataset, const Split& split,
                                                        const SplitSource& source);

}  // namespace marrow::data
