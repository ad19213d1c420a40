// From a dataset's YAML and the name of a split to images that a loader takes, with everything said on the
// way that a person should know.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "marrow/data/dataset_split.h"
#include "marrow/loader/image_store.h"
#include "marrow/loader/sharded_images.h"

namespace marrow::evaluate {

struct OpenSplitOptions {
  int image_size = 640;
  TileOptions tiles = {};  // each tile of an image becomes an image
  loader::ImageCache cache = loader::ImageCache::kWhenItFits;
  std::optional<ImageReading> reading = {};  // the model's; empty: the dataset's
  bool single_class = false;                 // every object becomes class 0
  bool use_cache = true;                     // of the labels, beside them
  bool keep_cache = true;                    // write one where there is none that fits
  bool need_objects = false;  // throw Error{kFormat} for a split of boxes without any; otherwise it is said
  std::vector<int> class_map =
      {};                     // what each of the dataset's classes becomes (class_match.h); empty: itself
  bool coco_numbers = false;  // are wanted
  bool fingerprint = false;   // is wanted
  // How many of n images are used: of boxes the first ones of the sorted list, of folders some from all over
  // it. Empty: all.
  std::function<size_t(size_t n)> kept = {};
  // Shards are read one after another, as training does; otherwise all of their labels are held.
  bool stream = false;
  // Bytes of images that all workers of the run keep together; 0: the images' own default.
  uint64_t cache_limit = 0;
  int workers = 1, workers_here = 1;  // of the run, and on this machine
  std::vector<int> classes = {};      // of the dataset, whose objects are kept; empty: all
  int threads = 0;
  std::function<void(const std::string& line)>
      say;  // talk; may be called from any thread, one call at a time
};

struct OpenedSplit {
  std::string fingerprint;  // data/fingerprint.h, where it is wanted
  std::shared_ptr<loader::ImageStore> images;
  std::shared_ptr<const loader::ShardedImages> shards;  // in place of these, where they are streamed
  int64_t objects = 0;      // of shards that are streamed: rows, before any is left out
  int64_t backgrounds = 0;  // images without objects; both of whole images
  int64_t regions = 0;      // to ignore
  data::CocoNumbers
      numbers;  // where they are wanted, and no classes are taken as one; categories by class_map
};

// A dataset of boxes; or folders of classes, whose images keep their size. Throws what load_split,
// list_images and list_classified throw.
OpenedSplit open_split(const data::Dataset& dataset, std::string_view split, const OpenSplitOptions& options);

// How many there are, and of an epoch of training (loader::training_images).
size_t images_of(const OpenedSplit& split);
size_t images_of_epoch(const OpenedSplit& split);

// What to say of a validation of such a split; nothing without regions.
std::string note_of_regions(const OpenedSplit& split);

}  // namespace marrow::evaluate
