// The images of a split, decoded, turned upright and resized for the network, kept in memory while that is
// wanted. What is kept never changes what is returned.
//
// Any thread may load.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/geometry/size.h"
#include "marrow/loader/augment/sample.h"
#include "marrow/loader/tiled_images.h"

namespace marrow::loader {

enum class ImageCache {
  kRecent,      // the latest ones: what mosaics are made of
  kWhenItFits,  // all, when they take at most half of the memory that is available now; otherwise as kRecent.
                // Images that are not resized are kept as they come, as far as that half reaches.
  kAll,  // refused where they take more than is available; images that are not resized as for kWhenItFits
};

struct ImageStoreOptions {
  int image_size = 640;  // the longer side becomes this, also upwards. 0: images keep their size
  ImageCache cache = ImageCache::kWhenItFits;
  uint64_t limit = 0;  // bytes of images, for kWhenItFits; 0: that half of the memory
  int processes = 1;   // of the run on this machine, which share its memory
  ImageReading reading = {};
  Task task = Task::kDetect;  // of the labels
  // Gets a message that names an image that cannot be read, once for each; one call at a time. Empty: no
  // messages.
  std::function<void(const std::string& message)> report;
};

struct FoundImage {
  size_t index = 0;  // the one asked for, or the next one that can be read
  Size original;     // as its labels have it
  SharedSample sample;
};

class ImageStore {
 public:
  // The images stay as they are for the life of the store. Throws Error{kUsage} where all are to be kept and
  // do not fit into the memory.
  ImageStore(std::vector<data::LabelledImage> images, ImageStoreOptions options);
  // Of tiles. What is kept by options.cache are the whole images, at their own size, so that a file is
  // decoded once for all of its tiles as far as the memory reaches; of tiles the recent ones are kept.
  ImageStore(TiledImages tiles, const ImageStoreOptions& options);

  bool is_tiled() const { return whole_ != nullptr; }
  size_t size() const { return images_.size(); }
  const data::LabelledImage& labels(size_t index) const { return images_[index]; }
  int image_size() const { return options_.image_size; }
  Task task() const { return options_.task; }
  const ImageReading& reading() const { return options_.reading; }
  bool keeps_all() const { return keeps_all_; }

  // How many of the latest images to keep, when not all are. At least the largest number asked for so far.
  void keep_recent(size_t count);

  // The image; null, and named, when it cannot be read.
  std::shared_ptr<const image::Image> load(size_t index);

  // Throws Error{kFile} when none of the images can be read.
  FoundImage load_readable(size_t index);

  size_t broken() const;        // images that could not be read, so far
  uint64_t bytes_kept() const;  // of pixels

 private:
  struct Slot {
    std::shared_ptr<const image::Image> image;
    bool broken = false;
    bool named = false;
  };

  std::shared_ptr<const image::Image> decode(size_t index);
  std::shared_ptr<const image::Image> cut(size_t index);
  void name_once(size_t index, const std::string& message);

  const std::vector<data::LabelledImage> images_;
  const ImageStoreOptions options_;
  std::unique_ptr<ImageStore> whole_;             // of the images that the tiles are of
  const std::vector<TiledImages::Place> places_;  // of the tiles
  bool keeps_all_ = false;
  uint64_t budget_ = 0;  // bytes of images that are kept for good when not all are

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  std::deque<size_t> kept_;  // oldest first, when not all are kept
  size_t recent_ = 0;
  size_t broken_ = 0;
  uint64_t bytes_kept_ = 0;
  std::mutex report_mutex_;
};

// With its longer side of so many pixels, also upwards; 0: as it is.
std::shared_ptr<const image::Image> resized(image::Image image, int image_size);

// The labels in pixels of an image of this size. Outlines have their parts joined and are of one number of
// points (outline/resample.h): 1000, for turned boxes 100.
std::vector<Object> objects_of(const data::LabelledImage& labels, Size picture, Task task = Task::kDetect);

// The regions to ignore, clipped to the image.
std::vector<Box<ImagePixels>> regions_of(const data::LabelledImage& labels, Size picture);

}  // namespace marrow::loader
