#include "marrow/data/split_reader.h"

#include "marrow/data/shards/shard_files.h"

namespace marrow::data {

std::unique_ptr<SplitReader> make_split_reader(const Dataset& dataset, const Split& split) {
  if (is_sharded(split)) return make_shards_reader(dataset, split);
  switch (dataset.format) {
    case DatasetFormat::kCoco:
      return make_coco_reader(dataset, split);
    case DatasetFormat::kVoc:
      return make_voc_reader(dataset, split);
    case DatasetFormat::kDota:
      return make_dota_reader(dataset, split);
    case DatasetFormat::kFolders:
      return make_folders_reader(dataset, split);
    case DatasetFormat::kYolo:
      break;
  }
  return make_yolo_reader(dataset, split);
}

}  // namespace marrow::data
