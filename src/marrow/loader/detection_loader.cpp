#include "marrow/loader/detection_loader.h"

#include <algorithm>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/geometry/rect_batches.h"
#include "marrow/loader/augment/network_planes.h"

namespace marrow::loader {
namespace {

void check(const ImageFacts& images, const DetectionLoaderOptions& options, int64_t first_batch,
           int64_t batches_per_epoch) {
  if (images.count == 0) throw Error(ErrorKind::kFile, "the loader has no images");
  const auto at_least = [](const char* name, int64_t value, int64_t smallest) {
    if (value < smallest)
      throw Error(ErrorKind::kUsage, std::string("loader: ") + name + " is " + std::to_string(value) +
                                         ", the least is " + std::to_string(smallest));
  };
  at_least("batch", options.batch, 1);
  at_least("workers", options.workers, 0);
  at_least("ahead", options.ahead, 1);
  at_least("stride", options.stride, 1);
  at_least("image size", images.image_size, 2);
  at_least("mask ratio", options.masks.ratio, 1);
  if (images.task == Task::kSegment && options.masks.ratio > images.image_size)
    throw Error(ErrorKind::kUsage, "loader: mask ratio " + std::to_string(options.masks.ratio) +
                                       " is above the image size, " + std::to_string(images.image_size));
  if (first_batch < 0 || first_batch >= batches_per_epoch)
    throw Error(ErrorKind::kUsage, "loader: batch " + std::to_string(first_batch) + " of an epoch of " +
                                       std::to_string(batches_per_epoch));
  if (options.augment && !options.rectangular && images.image_size % 2 != 0)
    throw Error(ErrorKind::kUsage, "loader: image size " + std::to_string(images.image_size) +
                                       " is odd; mosaics need an even one");
}

// The images of an epoch.
EpochImages images_of(const ImageStore& images, const DetectionLoaderOptions& options) {
  return options.augment ? training_images(images) : EpochImages::all(images.size());
}

ImageFacts facts_of(const ImageStore& images) {
  return {images.size(), images.image_size(), images.task(), images.reading()};
}

}  // namespace

EpochImages training_images(const ImageStore& images) {
  if (!images.is_tiled()) return EpochImages::all(images.size());
  EpochImages chosen;
  for (size_t i = 0; i < images.size(); ++i)
    (images.labels(i).labels.empty() ? chosen.sometimes : chosen.always).push_back(i);
  chosen.drawn = std::min(chosen.always.size(), chosen.sometimes.size());
  return chosen;
}

DetectionLoader::DetectionLoader(const ImageFacts& facts, const DetectionLoaderOptions& options,
                                 size_t epoch_images, int64_t first_epoch, int64_t first_batch)
    : facts_(facts), options_(options), epoch_images_(epoch_images) {
  const auto count = static_cast<int64_t>(epoch_images);
  batches_per_epoch_ = options_.batch > 0 ? (count + options_.batch - 1) / options_.batch : 0;
  check(facts_, options_, first_batch, batches_per_epoch_);
  if (options_.rectangular && options_.augment) options_.augment = options_.augment->without_joining();
  if (options_.augment) options_.augment->forbid_flips_without_indices(facts_.task);
  slots_.resize(static_cast<size_t>(options_.ahead));
  next_ = first_epoch * batches_per_epoch_ + first_batch;
}

DetectionLoader::DetectionLoader(std::shared_ptr<ImageStore> images, DetectionLoaderOptions options,
                                 int64_t first_epoch, int64_t first_batch)
    : DetectionLoader(facts_of(*images), options, images_of(*images, options).count(), first_epoch,
                      first_batch) {
  images_ = std::move(images);
  EpochImages epoch = images_of(*images_, options_);
  if (options_.rectangular) {
    // The batches are the same in every epoch, and so are the images.
    const std::vector<size_t> chosen = epoch.of_epoch(options_.seed, 0);
    std::vector<Size> sizes;
    for (const size_t i : chosen)
      sizes.push_back({std::max(images_->labels(i).width, 1), std::max(images_->labels(i).height, 1)});
    RectBatches plan = rect_batches(sizes, options_.batch, facts_.image_size, options_.stride, options_.pad);
    for (size_t& place : plan.order) place = chosen[place];
    rectangles_ = std::move(plan.batch_sizes);
    order_ = std::make_shared<const EpochOrder>(std::move(plan.order));
  } else if (options_.augment) {
    order_ = std::make_shared<const EpochOrder>(std::move(epoch), options_.seed);
  } else {
    order_ = std::make_shared<const EpochOrder>(std::move(epoch.always));
  }
  if (options_.augment) {
    const size_t window = mosaic_window(order_->count(), static_cast<size_t>(options_.batch));
    // Workers may be a few batches ahead of the oldest position that is still being worked on.
    images_->keep_recent(window + static_cast<size_t>(options_.ahead) * static_cast<size_t>(options_.batch));
    training_ =
        std::make_unique<StoredTrainingImages>(images_, order_, options_.partners_from_all ? 0 : window);
  }
  start();
}

DetectionLoader::DetectionLoader(std::shared_ptr<const ShardedImages> shards, DetectionLoaderOptions options,
                                 int64_t first_epoch, int64_t first_batch)
    : DetectionLoader(shards->facts(), options, shards->size(), first_epoch, first_batch) {
  if (!options_.augment || options_.rectangular || options_.partners_from_all)
    throw Error(ErrorKind::kUsage, "loader: shards are read in the order of training, for squares");
  training_ = open_shard_stream(std::move(shards), stream_options(options_, first_epoch, first_batch));
  start();
}

void DetectionLoader::start() {
  const int64_t end = std::max(options_.epochs * batches_per_epoch_, next_);
  work_ = std::make_unique<OrderedWork>(
      options_.workers, next_, end, options_.ahead,
      OrderedWork::Tasks{[this](int64_t batch) { return open(batch); },
                         [this](int64_t batch, int64_t item) { run(batch, item); }});
}

DetectionLoader::~DetectionLoader() = default;

Size DetectionLoader::batch_size(int64_t number) const {
  if (options_.rectangular) return rectangles_[static_cast<size_t>(number)];
  return {facts_.image_size, facts_.image_size};
}

BatchShare::Places DetectionLoader::places(int64_t number) const {
  return options_.share.places(static_cast<int64_t>(epoch_images_), options_.batch, number);
}

int64_t DetectionLoader::open(int64_t batch) {
  const int64_t number = batch % batches_per_epoch_;
  const int64_t items = places(number).count;
  Slot& slot = slots_[static_cast<size_t>(batch % options_.ahead)];
  slot.size = batch_size(number);
  slot.images = batch_tensor(items, slot.size, facts_.reading.samples);
  slot.made.assign(static_cast<size_t>(items), {});
  return items;
}

Sample DetectionLoader::training_sample(int64_t epoch, size_t position, Size size, Made& made,
                                        bool& keep_bgr) const {
  const size_t index = training_->at(epoch, position);
  made.origin.index = index;
  SampleSource source;
  source.load = [&](size_t wanted) {
    FoundImage found = training_->load(epoch, wanted);
    if (wanted == index) made.origin.original = found.original;
    return std::move(found.sample);
  };
  source.partner = [&](Random& random) { return training_->partner(epoch, position, random); };
  const AugmentSettings& settings = *options_.augment;
  AugmentedSample augmented =
      augment(epoch >= options_.close_mosaic_epoch ? settings.without_joining() : settings,
              {options_.seed, epoch, static_cast<int64_t>(position)}, index, size, source);
  made.present = true;
  keep_bgr = augmented.keep_bgr;
  return std::move(augmented.sample);
}

bool DetectionLoader::validation_sample(size_t index, Size size, Sample& sample, Made& made) const {
  const std::shared_ptr<const image::Image> image = images_->load(index);
  if (image == nullptr) return false;
  const data::LabelledImage& labels = images_->labels(index);
  const Size loaded = size_of(*image);
  sample = letterbox_sample(
      {image, objects_of(labels, loaded, facts_.task), regions_of(labels, loaded), facts_.task}, size, false);
  const Letterbox geometry = letterbox_geometry(loaded, size, {.scale_up = false});
  made.present = true;
  made.origin = {index,
                 {labels.width, labels.height},
                 static_cast<double>(geometry.resized.height) / labels.height,
                 static_cast<double>(geometry.resized.width) / labels.width,
                 static_cast<double>(geometry.left),
                 static_cast<double>(geometry.top)};
  return true;
}

void DetectionLoader::run(int64_t batch, int64_t item) {
  Slot& slot = slots_[static_cast<size_t>(batch % options_.ahead)];
  Made& made = slot.made[static_cast<size_t>(item)];
  const int64_t epoch = batch / batches_per_epoch_, number = batch % batches_per_epoch_;
  const auto position = static_cast<size_t>(places(number).first + item);
  Sample sample;
  bool keep_bgr = false;
  if (options_.augment)
    sample = training_sample(epoch, position, slot.size, made, keep_bgr);
  else if (!validation_sample(order_->at(epoch, position), slot.size, sample, made))
    return;
  write_planes(sample.image, keep_bgr, slot.images, static_cast<size_t>(item));
  if (facts_.task == Task::kSegment)
    made.masks = draw_masks(sample.objects, size_of(sample.image), options_.masks);
  made.objects = std::move(sample.objects);
  made.ignored = std::move(sample.ignored);
}

// The slot's tensor is handed over; images that could not be read are closed up.
DetectionBatch DetectionLoader::assemble(int64_t batch) {
  Slot& slot = slots_[static_cast<size_t>(batch % options_.ahead)];
  DetectionBatch result;
  result.epoch = batch / batches_per_epoch_;
  result.number = batch % batches_per_epoch_;
  const size_t bytes = slot.images.byte_size() / std::max<size_t>(slot.made.size(), 1);
  BatchRows rows(facts_.task);
  size_t present = 0;
  std::byte* pixels = slot.images.bytes();
  for (size_t i = 0; i < slot.made.size(); ++i) {
    const Made& made = slot.made[i];
    if (!made.present) continue;
    if (present != i) std::copy_n(pixels + i * bytes, bytes, pixels + present * bytes);
    rows.add(made.objects, made.ignored, slot.size, made.masks);
    result.origin.push_back(made.origin);
    ++present;
  }
  if (present == slot.made.size()) {
    result.images = std::move(slot.images);
  } else {
    result.images = batch_tensor(static_cast<int64_t>(present), slot.size, facts_.reading.samples);
    std::copy_n(pixels, present * bytes, result.images.bytes());
  }
  std::move(rows).move_into(result, slot.size, options_.masks);
  slot = {};
  return result;
}

std::optional<DetectionBatch> DetectionLoader::next() {
  if (work_->finished()) return std::nullopt;
  work_->wait();
  DetectionBatch batch = assemble(next_++);
  work_->release();
  return batch;
}

}  // namespace marrow::loader
