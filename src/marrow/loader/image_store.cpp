#include "marrow/loader/image_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/outline_parts.h"
#include "marrow/geometry/rect_batches.h"
#include "marrow/image/resize.h"
#include "marrow/loader/memory.h"
#include "marrow/outline/resample.h"

namespace marrow::loader {
namespace {

uint64_t bytes_when_resized(const data::LabelledImage& image, int image_size, const SampleFormat& format) {
  const Size size = validation_size({std::max(image.width, 1), std::max(image.height, 1)}, image_size);
  return uint64_t{format.pixel_bytes()} * static_cast<uint64_t>(size.width) *
         static_cast<uint64_t>(size.height);
}

std::vector<std::vector<Point<Normalised>>> outlines_of(const data::LabelledImage& labels, Task task) {
  constexpr size_t kPoints = 1000, kPointsOfTurnedBoxes = 100;
  std::vector<std::vector<Point<Normalised>>> outlines;
  size_t longest = 0;
  for (size_t i = 0; i < labels.polygons.size(); ++i) {
    outlines.emplace_back();
    for (const auto& [x, y] : data::joined_parts(labels, i))
      outlines.back().push_back({static_cast<float>(x), static_cast<float>(y)});
    longest = std::max(longest, outlines.back().size());
  }
  const size_t usual = task == Task::kObb ? kPointsOfTurnedBoxes : kPoints;
  const size_t count = outline::common_count(outlines.size(), longest, usual);
  for (std::vector<Point<Normalised>>& points : outlines)
    points = outline::resampled(std::span<const Point<Normalised>>(points), count);
  return outlines;
}

}  // namespace

std::vector<Object> objects_of(const data::LabelledImage& labels, Size picture, Task task) {
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  std::vector<Object> objects;
  objects.reserve(labels.labels.size());
  for (const data::Label& label : labels.labels)
    objects.push_back({label.class_id, to_pixels(label.box.in_single_precision(), picture)});
  if (!labels.polygons.empty()) {
    const std::vector<std::vector<Point<Normalised>>> outlines = outlines_of(labels, task);
    for (size_t i = 0; i < objects.size(); ++i)
      for (const auto& [x, y] : outlines[i]) objects[i].polygon.push_back({x * w, y * h});
  }
  const size_t each = objects.empty() ? 0 : labels.keypoints.size() / objects.size();
  for (size_t k = 0; k < objects.size() * each; ++k) {
    const auto& [x, y, visibility] = labels.keypoints[k];
    objects[k / each].keypoints.push_back(
        {static_cast<float>(x) * w, static_cast<float>(y) * h, static_cast<float>(visibility)});
  }
  return objects;
}

std::vector<Box<ImagePixels>> regions_of(const data::LabelledImage& labels, Size picture) {
  std::vector<Box<ImagePixels>> regions;
  for (const data::IgnoredLabel& ignored : labels.ignored)
    regions.push_back(to_pixels(ignored.label.box.in_single_precision(), picture));
  clip_and_drop(regions, picture);
  return regions;
}

ImageStore::ImageStore(std::vector<data::LabelledImage> images, ImageStoreOptions options)
    : images_(std::move(images)), options_(std::move(options)), slots_(images_.size()) {
  if (options_.cache == ImageCache::kRecent) return;
  const uint64_t available = available_memory() / static_cast<uint64_t>(options_.processes);
  const uint64_t half = options_.limit > 0 ? options_.limit : available / 2;
  if (options_.image_size == 0) {
    budget_ = half;
    return;
  }
  uint64_t bytes = 0;
  for (const data::LabelledImage& image : images_)
    bytes += bytes_when_resized(image, options_.image_size, options_.reading.samples);
  keeps_all_ = options_.cache == ImageCache::kAll || bytes <= half;
  if (options_.cache == ImageCache::kAll && available > 0 && bytes > available)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("cache: ram: {} of {} px take {:.1f} GB of memory, and {:.1f} GB are free. Without it "
                    "images are read again in every epoch, as far as they do not fit; what is larger "
                    "than the disk, too, is read from shards ('marrow data shard')",
                    counted(static_cast<int64_t>(images_.size()), "image"), options_.image_size,
                    static_cast<double>(bytes) / 1e9, static_cast<double>(available) / 1e9));
}

ImageStore::ImageStore(TiledImages tiles, const ImageStoreOptions& options)
    : images_(std::move(tiles.tiles)),
      options_(options),
      whole_(std::make_unique<ImageStore>(std::move(tiles.whole),
                                          ImageStoreOptions{.image_size = 0,
                                                            .cache = options.cache,
                                                            .limit = options.limit,
                                                            .processes = options.processes,
                                                            .reading = options.reading,
                                                            .report = options.report})),
      places_(std::move(tiles.places)),
      slots_(images_.size()) {}

void ImageStore::keep_recent(size_t count) {
  const std::lock_guard lock(mutex_);
  recent_ = std::max(recent_, count);
}

void ImageStore::name_once(size_t index, const std::string& message) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(slots_[index].named, true)) return;
  }
  if (!options_.report) return;
  const std::lock_guard lock(report_mutex_);
  options_.report(message);
}

std::shared_ptr<const image::Image> resized(image::Image image, int image_size) {
  Size size = size_of(image);
  if (image_size > 0) size = validation_size(size, image_size);
  if (size == size_of(image)) return std::make_shared<const image::Image>(std::move(image));
  // What it throws (an unknown SIMD level) is not about this image.
  return std::make_shared<const image::Image>(image::resize_linear(image, size.width, size.height));
}

std::shared_ptr<const image::Image> ImageStore::decode(size_t index) {
  image::DecodedImage decoded;
  try {
    decoded = data::decode_image(images_[index], {.fit = {}, .reading = options_.reading});
  } catch (const Error& error) {
    name_once(index, std::string(error.what()) + "; the image is left out");
    return nullptr;
  }
  if (!decoded.warning.empty()) name_once(index, decoded.warning);
  return resized(std::move(decoded.image), options_.image_size);
}

std::shared_ptr<const image::Image> ImageStore::cut(size_t index) {
  const auto& [number, tile] = places_[index];
  const std::shared_ptr<const image::Image> image = whole_->load(number);
  if (image == nullptr) return nullptr;
  if (tile.x + tile.size.width > image->width() || tile.y + tile.size.height > image->height()) {
    name_once(index, images_[index].path.string() + ": has become smaller; a tile of it is left out");
    return nullptr;
  }
  return resized(image::copy_image(image->region(tile.x, tile.y, tile.size.width, tile.size.height)),
                 options_.image_size);
}

std::shared_ptr<const image::Image> ImageStore::load(size_t index) {
  {
    const std::lock_guard lock(mutex_);
    const Slot& slot = slots_[index];
    if (slot.image != nullptr || slot.broken) return slot.image;
  }
  // Two threads may decode the same image; the first result is kept, and both are equal.
  std::shared_ptr<const image::Image> image = is_tiled() ? cut(index) : decode(index);
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[index];
  if (slot.image != nullptr || slot.broken) return slot.image;
  if (image == nullptr) {
    slot.broken = true;
    ++broken_;
    return nullptr;
  }
  const bool for_good = keeps_all_ || bytes_kept_ + image->byte_size() <= budget_;
  if (!for_good && recent_ == 0) return image;
  slot.image = image;
  bytes_kept_ += image->byte_size();
  if (for_good) return image;
  kept_.push_back(index);
  while (kept_.size() > recent_) {
    Slot& oldest = slots_[kept_.front()];
    bytes_kept_ -= oldest.image->byte_size();
    oldest.image.reset();
    kept_.pop_front();
  }
  return image;
}

FoundImage ImageStore::load_readable(size_t index) {
  for (size_t step = 0; step < images_.size(); ++step) {
    const size_t candidate = (index + step) % images_.size();
    if (std::shared_ptr<const image::Image> image = load(candidate); image != nullptr)
      return {candidate,
              {images_[candidate].width, images_[candidate].height},
              {image, objects_of(images_[candidate], size_of(*image), options_.task),
               regions_of(images_[candidate], size_of(*image)), options_.task}};
  }
  throw Error(ErrorKind::kFile,
              "none of the " + std::to_string(images_.size()) + " images can be read" +
                  (images_.empty() ? "" : "; the first is " + images_.front().path.string()));
}

size_t ImageStore::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

uint64_t ImageStore::bytes_kept() const {
  const std::lock_guard lock(mutex_);
  return bytes_kept_;
}

}  // namespace marrow::loader
