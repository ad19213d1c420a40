#include "marrow/train/make_task.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "marrow/base/class_numbers.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/geometry/input_format.h"
#include "marrow/graph/shapes.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/loader/memory.h"
#include "marrow/train/classification_task.h"
#include "marrow/train/detection_task.h"
#include "marrow/train/dropout.h"
#include "marrow/train/feature_loader.h"
#include "marrow/train/same_run.h"

namespace marrow::train {
namespace {

constexpr int kSmallestMultiple = 32;  // of a detector's image size

// Of the options that `concerned` names, those that are not at their default.
std::vector<std::string> changed(const TrainOptions& options,
                                 const std::function<bool(const TrainOption&)>& concerned) {
  const TrainOptions defaults;
  std::vector<std::string> names;
  for (const TrainOption& row : train_option_table())
    if (concerned(row) && row.text(options) != row.text(defaults)) names.push_back(row.key);
  return names;
}

std::vector<std::string> changed(const TrainOptions& options, TrainOption::Suits suits) {
  return changed(options, [=](const TrainOption& row) { return row.suits == suits; });
}

void say_ineffective(const std::vector<std::string>& keys, const std::string& kind,
                     const std::function<void(std::string_view)>& say) {
  if (!keys.empty()) say(fmt::format("without effect on a {}: {}", kind, join(keys, ", ")));
}

void refuse_other_kind(const TrainOptions& options, const model::Model& model, const data::Dataset& dataset) {
  const bool classifies = model.task == "classify", folders = dataset.format == data::DatasetFormat::kFolders;
  if (classifies == folders) return;
  if (classifies)
    throw Error(ErrorKind::kUsage,
                fmt::format("{} is a classifier, but {} is a dataset of boxes. A classifier is trained on a "
                            "folder with train/CLASS/*.jpg and val/CLASS/*.jpg; for a detector give --model "
                            "yolov8n --backbone {}",
                            options.model, options.data, model.layers.empty() ? options.model : "NAME"));
  throw Error(
      ErrorKind::kUsage,
      fmt::format("{} is a detector, but {} is a folder of classes, without boxes. A classifier is "
                  "trained on it, such as --model {}",
                  options.model, options.data, options.backbone.empty() ? "starnet_s050" : options.backbone));
}

// What is left out of the augmentation where images are not three channels of 8 bits.
void say_without_colours(const TrainOptions& options, const model::Model& model,
                         const std::function<void(std::string_view)>& say) {
  const ImageReading reading = image_reading(model.graph);
  if (reading.samples == SampleFormat()) return;
  std::string keys = "hsv_h, hsv_s, hsv_v";
  if (model.task == "classify") {
    if (options.auto_augment != "none") keys = "the colours of auto_augment";
  } else if (!reading.samples.is_colour()) {
    keys += ", bgr";
  }
  say(fmt::format("images are read with {}; without effect on them: {}", to_string(reading), keys));
}

void refuse_other_metric(const TrainOptions& options, const model::Model& model) {
  const bool classifies = model.task == "classify", of_classes = options.best_metric.starts_with("top");
  if (options.best_metric == "fitness" || classifies == of_classes) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("best_metric: '{}' is not measured of a {}; wanted fitness, {}",
                          options.best_metric, classifies ? "classifier" : "detector",
                          classifies ? "top1 or top5" : "mAP50-95, mAP50, precision or recall"));
}

// What is made of an image once must be made of it every time.
void refuse_feature_cache(const TrainOptions& options, const model::Model& model) {
  if (options.cache != kFeatureCache) return;
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorKind::kUsage, "cache: features: " + why);
  };
  if (model.task == "classify") refuse("only of detectors");
  if (options.freeze.empty()) refuse("no layer is frozen, so nothing stays as it is; --freeze backbone");
  if (options.rect) refuse("of squares alone, not with rect");
  if (multi_scale_share(options) > 0) refuse("of one size alone, not with multi_scale");
  if (options.act_decay_epochs > 0) refuse("not with act_decay_epochs, which changes frozen layers too");
}

// What is for boxes alone, and keypoints that the dataset does not have.
void refuse_beside_boxes(const TrainOptions& options, const model::Model& model,
                         const data::Dataset& dataset) {
  if (model.task == "detect") return;
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kUsage, fmt::format("{}: a model for '{}': {}", options.model, model.task, what));
  };
  if (options.tile > 0 && model.task == "pose") refuse("tile: keypoints of tiles are not joined");
  if (options.cache == kFeatureCache) refuse("cache: features is for detectors of boxes");
  if (model.task == "pose" && dataset.skeleton.shape.count == 0)
    refuse(options.data + " has no kpt_shape: how many keypoints an object has, and of how many numbers");
}

// What needs all labels of an epoch before it begins, or images in another order.
void refuse_beside_shards(const TrainOptions& options, const data::Dataset& dataset) {
  if (!data::is_sharded(dataset.split("train"))) return;
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: not with {}, whose training images lie in shards", what, options.data));
  };
  if (options.tile > 0) refuse("tile");
  if (options.rect) refuse("rect");
  if (options.cls_pw > 0) refuse("cls_pw");
  if (options.fraction.front() != 1) refuse("fraction (name fewer shards)");
  if (options.cache == kFeatureCache) refuse("cache: features");
  if (options.cache == "ram" || options.cache == "true")
    refuse("cache: ram (cache_limit says how much is held)");
}

void settle_classifier(TrainOptions& options, model::Model& model) {
  if (model.classes() < 2)
    throw Error(ErrorKind::kUsage, options.data + ": one class; a classifier tells at least two apart");
  InputFormat& format = std::get<Input>(model.graph.nodes.at(0).operation).format;
  format = classifier_format(format, options.imgsz);
  options.imgsz = format.crop;
  if (options.dropout > 0) set_dropout(model, options.dropout);
}

// What a step of training holds for an image: every map and its gradient.
double bytes_per_image(const model::Model& model, int size) {
  const Shape image = {1, model.graph.nodes.at(0).channels, size, size};
  double values = 0;
  for (const Shape& shape : infer_shapes(model.graph, image))
    values += static_cast<double>(element_count(shape));
  return 2 * values * sizeof(float);
}

void settle_batch(TrainOptions& options, const model::Model& model,
                  const std::function<void(std::string_view)>& say) {
  if (options.batch >= 1) return;
  options.batch = kDefaultBatch;
  const auto free_bytes = static_cast<double>(loader::available_memory());
  if (options.batch_memory <= 0 || free_bytes <= 0) return;
  const double each = bytes_per_image(model, options.imgsz);
  options.batch = static_cast<int>(std::clamp(options.batch_memory * free_bytes / each, 1.0,
                                              static_cast<double>(std::max(options.nbs, 1))));
  const double share = std::exchange(options.batch_memory, 0);  // a resumed run keeps the batch
  say(fmt::format("batch {}: {} at about {:.0f} MB each, of {:.1f} GB of free memory; at most nbs, {}", share,
                  counted(options.batch, "image"), each / 1e6, free_bytes / 1e9, options.nbs));
}

// They share the memory of the machine.
int workers_here(distributed::Communicator& communicator) {
  std::string host(256, '\0');
  gethostname(host.data(), host.size() - 1);
  host.resize(host.find('\0'));
  const std::string hosts = text_of_first(communicator, join(communicator.gather(host), "\n"));
  int count = 0;
  std::istringstream lines(hosts);
  for (std::string line; std::getline(lines, line);) count += line == host;
  return std::max(count, 1);
}

int size_multiple(const model::Model& model) {
  return std::max(model.largest_stride, kSmallestMultiple);
}

}  // namespace

void settle(TrainOptions& options, model::Model& model, const data::Dataset& dataset,
            const std::function<void(std::string_view)>& say) {
  refuse_other_kind(options, model, dataset);
  refuse_other_metric(options, model);
  refuse_beside_shards(options, dataset);
  refuse_feature_cache(options, model);
  say_without_colours(options, model, say);
  if (model.task == "classify") {
    settle_classifier(options, model);
    std::vector<std::string> keys = changed(options, TrainOption::Suits::kDetectors);
    if (options.auto_augment != "none") {
      const auto colour = [](const TrainOption& row) { return row.key.starts_with("hsv_"); };
      for (const std::string& key : changed(options, colour))
        keys.push_back(key + " (auto_augment has its own)");
    }
    say_ineffective(keys, "classifier", say);
    return;
  }
  refuse_beside_boxes(options, model, dataset);
  if (model.task == "pose" && dataset.skeleton.flip_idx.empty() && (options.fliplr > 0 || options.flipud > 0))
    say(options.data + " has no flip_idx, which keypoints change places in a mirror: images are not flipped");
  say_ineffective(changed(options, TrainOption::Suits::kClassifiers), "detector", say);
  if (options.imgsz == 0) options.imgsz = options.tile > 0 ? options.tile : kDetectionSize;
  const int multiple = size_multiple(model), size = (options.imgsz + multiple - 1) / multiple * multiple;
  if (size != options.imgsz)
    say(fmt::format("imgsz {} becomes {}, a multiple of {}", options.imgsz, size, multiple));
  options.imgsz = size;
  std::get<Input>(model.graph.nodes.at(0).operation).format.crop = size;
  if (options.tile == 0 && model.tiles.side > 0)
    say(fmt::format(
        "{} was trained on tiles of {} px; this run takes whole images. --tile {} --overlap {} cuts "
        "them as before",
        options.model, model.tiles.side, model.tiles.side, model.tiles.overlap));
  model.tiles = {};
  if (options.tile > 0) model.tiles = {options.tile, options.overlap};
}

std::unique_ptr<Task> make_task(TrainOptions& options, const model::Model& model,
                                const data::Dataset& dataset,
                                const std::function<void(std::string_view)>& say,
                                std::optional<FrozenPart> frozen, distributed::Communicator* communicator) {
  if (communicator != nullptr && communicator->size() > 1) {
    if (frozen) throw Error(ErrorKind::kUsage, "cache: features: not with several workers");
    if (options.batch < 1 && options.batch_memory > 0)
      throw Error(ErrorKind::kUsage,
                  "batch: a share of the memory is not for several workers; give a number");
  }
  evaluate::OpenSplitOptions open;
  open.image_size = options.imgsz;
  open.cache = options.cache == "ram" || options.cache == "true" ? loader::ImageCache::kAll
                                                                 : loader::ImageCache::kWhenItFits;
  open.reading = image_reading(model.graph);
  open.single_class = options.single_cls;
  open.kept = [&options](size_t n) { return images_kept(options, "train", n); };
  open.classes = class_numbers(options.classes, dataset.names, "classes");
  open.need_objects = open.fingerprint = true;
  if (communicator != nullptr) {
    open.workers = communicator->size();
    open.workers_here = workers_here(*communicator);
  }
  open.stream = true;
  open.cache_limit = static_cast<uint64_t>(options.cache_limit * 1e6);
  open.keep_cache = communicator == nullptr || communicator->is_first();
  if (model.task != "classify") open.tiles = {options.tile, options.overlap};
  open.threads = options.threads;
  open.say = say;
  data::Dataset labelled = dataset;
  labelled.task = task_named(model.task).value_or(marrow::Task::kDetect);
  evaluate::OpenedSplit train = evaluate::open_split(labelled, "train", open);
  open.need_objects = false;
  open.stream = false;
  open.kept = [&options](size_t n) { return images_kept(options, options.split, n); };
  open.cache = loader::ImageCache::kWhenItFits;
  // Where memory is bounded, training has it.
  if (train.shards != nullptr || options.cache_limit > 0) open.cache = loader::ImageCache::kRecent;
  if (open.tiles.side > 0) {
    // Validation cuts the images itself, and joins what it finds.
    open.tiles = {};
    open.image_size = 0;
    open.cache = loader::ImageCache::kRecent;
  }
  open.coco_numbers = options.save_json;
  evaluate::OpenedSplit val = evaluate::open_split(labelled, options.split, open);
  if (const std::string note = note_of_regions(val); !note.empty())
    say(fmt::format("{}: {}", options.split, note));

  settle_batch(options, model, say);
  options.batch =
      static_cast<int>(std::min(static_cast<size_t>(options.batch), evaluate::images_of_epoch(train)));
  if (train.shards != nullptr) say(loader::shards_text(*train.shards, options.batch));
  const std::string fingerprint = train.fingerprint + val.fingerprint;
  std::unique_ptr<FeatureLoader> features;
  if (frozen) {
    features = std::make_unique<FeatureLoader>(train.images, std::move(*frozen),
                                               std::min(options.cache_variants, options.epochs));
    say(features->summary());
  }
  std::unique_ptr<Task> task;
  if (model.task == "classify")
    task = std::make_unique<ClassificationTask>(options, model.graph, model.names, std::move(train),
                                                std::move(val), communicator);
  else
    task = std::make_unique<DetectionTask>(
        options, DetectorKind(model.graph, dataset.skeleton, rules_named(options.rules)),
        input_format(model.graph), model.names, options.imgsz, size_multiple(model), std::move(train),
        std::move(val), communicator, std::move(features));
  task->data_fingerprint = fingerprint;
  return task;
}

}  // namespace marrow::train
