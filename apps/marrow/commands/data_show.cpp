// marrow data show: batches as the network will see them, drawn with their boxes or classes.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/dataset.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/geometry/input_format.h"
#include "marrow/image/encode.h"
#include "marrow/loader/augment_options.h"
#include "marrow/loader/batch_sheet.h"
#include "marrow/loader/classification_loader.h"
#include "marrow/train/recipe/train_options.h"
#include "support/common_options.h"
#include "support/open_data.h"
#include "training/train_flags.h"

namespace marrow::cli {
namespace {

// Without those that only matter to a whole run.
bool concerns_a_batch(const train::TrainOption& option) {
  constexpr std::string_view kOthers[] = {"label_smoothing", "close_mosaic"};
  if (option.key == "tile" || option.key == "overlap") return true;
  return option.group == "Augmentation" && std::ranges::find(kOthers, option.key) == std::end(kOthers);
}

struct Options {
  std::string data;
  std::string task = "detect";
  std::string split;  // empty: the one that is seen so
  int imgsz = 0;
  int batch = train::kDefaultBatch;
  int64_t epoch = 0;
  int64_t first = 0;
  int64_t count = 1;
  uint64_t seed = 0;
  bool validation = false;
  bool rect = false;
  RunFolderOptions folder{.project = "runs/data", .name = "show"};
  train::TrainOptions train;  // tiles and augmentation
};

int image_size(const Options& options) {
  constexpr int kMultiple = 32;
  if (options.imgsz > 0) return options.imgsz;
  if (options.train.tile == 0) return train::kDetectionSize;
  return (options.train.tile + kMultiple - 1) / kMultiple * kMultiple;
}

loader::DetectionLoaderOptions loader_options(const Options& options, const data::Dataset& dataset,
                                              int64_t images) {
  loader::DetectionLoaderOptions loader;
  loader.batch = static_cast<int>(std::clamp<int64_t>(images, 1, options.batch));
  loader.seed = options.seed;
  loader.rectangular = options.rect;
  loader.pad = options.validation ? 0.5 : 0;
  if (!options.validation)
    loader.augment = loader::augment_settings_of(options.train, dataset.skeleton.flip_idx);
  loader.epochs = options.epoch + 1;
  return loader;
}

std::string contents(const loader::DetectionBatch& batch) {
  std::string text = counted(batch.targets.dim(0), "box");
  if (const int64_t regions = batch.ignored.dim(0); regions > 0)
    text += fmt::format(", {} to ignore", counted(regions, "region"));
  return text;
}

std::string contents(const loader::ClassificationBatch& batch) {
  const std::set<int> classes(batch.class_ids.begin(), batch.class_ids.end());
  return counted(static_cast<int64_t>(classes.size()), "class");
}

loader::ClassificationLoaderOptions class_loader_options(const Options& options, const data::Dataset& dataset,
                                                         int64_t images) {
  loader::ClassificationLoaderOptions loader;
  loader.classes = dataset.classes();
  loader.size = loader.shorter_side = options.imgsz > 0 ? options.imgsz : kDefaultCrop;
  loader.batch = static_cast<int>(std::clamp<int64_t>(images, 1, options.batch));
  loader.seed = options.seed;
  if (!options.validation) loader.augment = loader::classification_augment_of(options.train);
  loader.epochs = options.epoch + 1;
  return loader;
}

template <class Loader, class LoaderOptions>
std::unique_ptr<Loader> make_loader(const evaluate::OpenedSplit& opened, const LoaderOptions& settings,
                                    const Options& options) {
  if (opened.shards != nullptr)
    return std::make_unique<Loader>(opened.shards, settings, options.epoch, options.first);
  return std::make_unique<Loader>(opened.images, settings, options.epoch, options.first);
}

// Batches of either kind.
template <class Loader, class Draw>
int show_batches(const Options& options, Loader& loader, int batch_size, const Draw& draw) {
  const auto folder = options.folder.make();
  for (int64_t i = 0; i < options.count; ++i) {
    const auto batch = loader.next();
    if (!batch) {
      talk(fmt::format("the epoch has {} of {}", counted(loader.batches_per_epoch(), "batch"), batch_size));
      break;
    }
    const auto path =
        folder / fmt::format("{}_epoch{}_batch{}.png", options.split, batch->epoch, batch->number);
    if (batch->images.dim(0) > 0) image::write_image(path, draw(*batch).pixels());
    fmt::print("{}: {} of {}x{}, {}\n", path.string(), counted(batch->images.dim(0), "image"),
               batch->images.dim(3), batch->images.dim(2), contents(*batch));
  }
  return 0;
}

int show_classes(const Options& options, const data::Dataset& dataset) {
  if (options.rect)
    throw Error(ErrorKind::kUsage, "--rect: " + options.data + " is for a classifier, which sees squares");
  const evaluate::OpenedSplit opened = evaluate::open_split(
      dataset, options.split,
      {.cache = loader::ImageCache::kRecent, .stream = !options.validation, .say = talk});
  const loader::ClassificationLoaderOptions settings =
      class_loader_options(options, dataset, static_cast<int64_t>(evaluate::images_of(opened)));
  const auto loader = make_loader<loader::ClassificationLoader>(opened, settings, options);
  return show_batches(options, *loader, settings.batch, [&](const loader::ClassificationBatch& batch) {
    return loader::class_sheet(batch.images, batch.class_ids, dataset.names);
  });
}

int run(Options options) {
  if (options.split.empty()) options.split = options.validation ? "val" : "train";
  const data::Dataset dataset = open_dataset(options.data, {}, options.task);
  if (dataset.format == data::DatasetFormat::kFolders) return show_classes(options, dataset);
  const evaluate::OpenedSplit opened =
      evaluate::open_split(dataset, options.split,
                           {.image_size = image_size(options),
                            .tiles = {options.train.tile, options.train.overlap},
                            .cache = loader::ImageCache::kRecent,
                            .stream = !options.validation && !options.rect && options.train.tile == 0,
                            .say = talk});
  const loader::DetectionLoaderOptions settings =
      loader_options(options, dataset, static_cast<int64_t>(evaluate::images_of(opened)));
  const auto loader = make_loader<loader::DetectionLoader>(opened, settings, options);
  return show_batches(options, *loader, settings.batch, [&](const loader::DetectionBatch& batch) {
    return loader::batch_sheet(batch, dataset.names);
  });
}

}  // namespace

void declare_data_show(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Draw batches as the network will see them");
  add_data_argument(command, "DATA", options->data);
  add_label_task(command, options->task);
  command.option("--split", &options->split, "Split to draw").type("SPLIT").without("train; val with --val");
  command
      .option(
          "--imgsz", &options->imgsz,
          "Longer side of the images, for class folders the side of the square (pixels), a multiple of 32")
      .type("PIXELS")
      .check([](const std::string& text) {
        const int size = std::atoi(text.c_str());
        return size >= 32 && size <= 8192 && size % 32 == 0
                   ? std::string()
                   : fmt::format("'{}' is no multiple of 32 from 32 to 8192", text);
      })
      .without(fmt::format("that of --tile, or {}; {}", train::kDetectionSize, kDefaultCrop));
  command.option("--batch", &options->batch, "Images a batch; the first 16 are drawn").range(1, 1024);
  command.option("--epoch", &options->epoch, "Epoch whose batches are drawn, from 0").range(0, 1'000'000);
  command.option("--first", &options->first, "First batch of the epoch, from 0").range(0, 1'000'000'000);
  command.option("--count", &options->count, "Batches to draw").range(1, 1000);
  add_seed(command, options->seed);
  command.flag("--val", &options->validation, "As validation sees them: in order, not augmented");
  command.flag("--rect", &options->rect, "Rectangular batches of images of like shape");
  add_run_folder(command, options->folder);
  for (const train::TrainOption& row : train::train_option_table()) {
    if (!concerns_a_batch(row)) continue;
    command.group(row.group);
    declare_train_option(command, row,
                         [options, &row](const std::string& text) { row.set(options->train, text); });
  }
  command.example("marrow data show data.yaml --imgsz 320 --mosaic 0.5 --degrees 10");
  command.action([options] { return run(*options); });
}

}  // namespace marrow::cli
