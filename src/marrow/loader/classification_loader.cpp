#include "marrow/loader/classification_loader.h"

#include <algorithm>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/loader/augment/blend.h"
#include "marrow/loader/augment/network_planes.h"

namespace marrow::loader {
namespace {

void check(const ImageFacts& images, const ClassificationLoaderOptions& options, int64_t first_batch,
           int64_t batches_per_epoch) {
  if (images.count == 0) throw Error(ErrorKind::kFile, "the loader has no images");
  for (const auto& [name, value, least] : {std::tuple{"classes", options.classes, 1},
                                           {"size", options.size, 1},
                                           {"batch", options.batch, 1},
                                           {"workers", options.workers, 0},
                                           {"ahead", options.ahead, 1},
                                           {"shorter_side", options.shorter_side, 1}})
    if (value < least)
      throw Error(ErrorKind::kUsage, std::string("loader: ") + name + " is " + std::to_string(value) +
                                         ", the least is " + std::to_string(least));
  if (first_batch < 0 || first_batch >= batches_per_epoch)
    throw Error(ErrorKind::kUsage, "loader: batch " + std::to_string(first_batch) + " of an epoch of " +
                                       std::to_string(batches_per_epoch));
  if (options.share.workers > 1 && options.augment &&
      (options.augment->mixup > 0 || options.augment->cutmix > 0))
    throw Error(
        ErrorKind::kUsage,
        "mixup and cutmix of a classifier mix the images of a whole batch, of which each worker has a "
        "part; without them, or with one worker");
}

void check_classes(const ImageStore& images, int classes) {
  for (size_t i = 0; i < images.size(); ++i) {
    const data::LabelledImage& image = images.labels(i);
    if (image.labels.size() != 1 || image.labels[0].class_id < 0 || image.labels[0].class_id >= classes)
      throw Error(ErrorKind::kUsage,
                  image.path.string() + ": wanted one class from 0 to " + std::to_string(classes - 1));
  }
}

}  // namespace

std::vector<data::LabelledImage> as_labelled(std::span<const data::ClassifiedImage> images) {
  std::vector<data::LabelledImage> result;
  for (const data::ClassifiedImage& image : images)
    result.push_back({{.labels = {{image.class_id, 0.5, 0.5, 1, 1}}}, image.path});
  return result;
}

ClassificationLoader::ClassificationLoader(const ImageFacts& facts,
                                           const ClassificationLoaderOptions& options, int64_t first_epoch,
                                           int64_t first_batch)
    : facts_(facts), options_(options) {
  const auto count = static_cast<int64_t>(facts_.count);
  batches_per_epoch_ = options_.batch > 0 ? (count + options_.batch - 1) / options_.batch : 0;
  check(facts_, options_, first_batch, batches_per_epoch_);
  slots_.resize(static_cast<size_t>(options_.ahead));
  next_ = first_epoch * batches_per_epoch_ + first_batch;
}

ClassificationLoader::ClassificationLoader(std::shared_ptr<ImageStore> images,
                                           ClassificationLoaderOptions options, int64_t first_epoch,
                                           int64_t first_batch)
    : ClassificationLoader({images->size(), images->image_size(), images->task(), images->reading()}, options,
                           first_epoch, first_batch) {
  check_classes(*images, options_.classes);
  images_ = std::move(images);
  if (options_.augment) {
    auto order = std::make_shared<const EpochOrder>(EpochImages::all(images_->size()), options_.seed);
    training_ = std::make_unique<StoredTrainingImages>(images_, std::move(order), 0);
  }
  start();
}

ClassificationLoader::ClassificationLoader(std::shared_ptr<const ShardedImages> shards,
                                           ClassificationLoaderOptions options, int64_t first_epoch,
                                           int64_t first_batch)
    : ClassificationLoader(shards->facts(), options, first_epoch, first_batch) {
  if (!options_.augment) throw Error(ErrorKind::kUsage, "loader: shards are read in the order of training");
  training_ = open_shard_stream(std::move(shards), stream_options(options_, first_epoch, first_batch));
  start();
}

void ClassificationLoader::start() {
  const int64_t end = std::max(options_.epochs * batches_per_epoch_, next_);
  work_ = std::make_unique<OrderedWork>(
      options_.workers, next_, end, options_.ahead,
      OrderedWork::Tasks{[this](int64_t batch) { return open(batch); },
                         [this](int64_t batch, int64_t item) { run(batch, item); }});
}

ClassificationLoader::~ClassificationLoader() = default;

BatchShare::Places ClassificationLoader::places(int64_t number) const {
  return options_.share.places(static_cast<int64_t>(facts_.count), options_.batch, number);
}

int64_t ClassificationLoader::open(int64_t batch) {
  const int64_t items = places(batch % batches_per_epoch_).count;
  Slot& slot = slots_[static_cast<size_t>(batch % options_.ahead)];
  slot.images = batch_tensor(items, {options_.size, options_.size}, facts_.reading.samples);
  slot.index.assign(static_cast<size_t>(items), std::nullopt);
  slot.class_ids.assign(static_cast<size_t>(items), 0);
  return items;
}

void ClassificationLoader::run(int64_t batch, int64_t item) {
  Slot& slot = slots_[static_cast<size_t>(batch % options_.ahead)];
  const int64_t epoch = batch / batches_per_epoch_;
  const int64_t position = places(batch % batches_per_epoch_).first + item;
  const auto number = static_cast<size_t>(item);
  size_t index = static_cast<size_t>(position);
  image::Image square;
  if (options_.augment) {
    const FoundImage found = training_->load(epoch, training_->at(epoch, index));
    index = found.index;
    slot.class_ids[number] = found.sample.objects.at(0).class_id;
    square = augment_for_classifier(*found.sample.image, *options_.augment, {options_.seed, epoch, position},
                                    options_.size);
  } else {
    const std::shared_ptr<const image::Image> image = images_->load(index);
    if (image == nullptr) return;
    slot.class_ids[number] = images_->labels(index).labels[0].class_id;
    square = image::resize_for_classifier(*image, options_.shorter_side, options_.size, options_.filter);
  }
  write_planes(square, false, slot.images, number);
  slot.index[number] = index;
}

// Each image with its mirror partner of the batch, all in the same way, as timm does.
void ClassificationLoader::mix(ClassificationBatch& batch) const {
  const RandomKey key{options_.seed, batch.epoch, batch.number};
  const BatchMix kind = chosen_mix(*options_.augment, key.at("mixup").uniform());
  if (kind == BatchMix::kNone) return;
  Random random = key.at("mixup share"), place = key.at("cutmix");
  double share = draw_beta(kClassificationMixupAlpha, kClassificationMixupAlpha, random);
  const Size size = {options_.size, options_.size};
  const PixelPart rectangle = draw_cutmix(size, place);
  Tensor images = batch.images.clone();
  const Tensor targets = batch.targets.clone();
  const size_t count = batch.index.size();
  const auto part = [&](auto values, size_t i) {
    return values.subspan(i * (values.size() / count), values.size() / count);
  };
  for (size_t i = 0; i < count; ++i) {
    const auto join = [&](auto all, auto partners) {
      const auto image = part(all, i), partner = part(partners, count - 1 - i);
      if (kind == BatchMix::kMixup)
        mix_samples<typename decltype(image)::element_type>(image, partner, share);
      else
        share = paste_rectangle<typename decltype(image)::element_type>(image, partner, size, rectangle);
    };
    if (images.dtype() == DType::kInt32)
      join(batch.images.values<int32_t>(), images.values<int32_t>());
    else
      join(batch.images.values<uint8_t>(), images.values<uint8_t>());
    mix_targets(part(batch.targets.values(), i), part(targets.values(), count - 1 - i), share);
  }
}

ClassificationBatch ClassificationLoader::assemble(int64_t batch) {
  Slot& slot = slots_[static_cast<size_t>(batch % options_.ahead)];
  ClassificationBatch result;
  result.epoch = batch / batches_per_epoch_;
  result.number = batch % batches_per_epoch_;
  const size_t bytes = slot.images.byte_size() / std::max<size_t>(slot.index.size(), 1);
  std::byte* pixels = slot.images.bytes();
  for (size_t i = 0; i < slot.index.size(); ++i) {
    if (!slot.index[i]) continue;
    if (result.index.size() != i)
      std::copy_n(pixels + i * bytes, bytes, pixels + result.index.size() * bytes);
    result.index.push_back(*slot.index[i]);
    result.class_ids.push_back(slot.class_ids[i]);
  }
  const auto present = static_cast<int64_t>(result.index.size());
  if (present == slot.images.dim(0)) {
    result.images = std::move(slot.images);
  } else {
    result.images = batch_tensor(present, {options_.size, options_.size}, facts_.reading.samples);
    std::copy_n(pixels, result.images.byte_size(), result.images.bytes());
  }
  result.targets = Tensor({present, options_.classes});
  const auto classes = static_cast<size_t>(options_.classes);
  for (size_t i = 0; i < result.index.size(); ++i)
    smooth_target(result.class_ids[i], options_.augment ? options_.augment->label_smoothing : 0.0,
                  result.targets.values().subspan(i * classes, classes));
  if (options_.augment && present > 0) mix(result);
  slot = {};
  return result;
}

std::optional<ClassificationBatch> ClassificationLoader::next() {
  if (work_->finished()) return std::nullopt;
  work_->wait();
  ClassificationBatch batch = assemble(next_++);
  work_->release();
  return batch;
}

}  // namespace marrow::loader
