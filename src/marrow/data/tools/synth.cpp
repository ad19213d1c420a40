#include "marrow/data/tools/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/dataset.h"
#include "marrow/data/split_scan.h"
#include "marrow/data/tools/synth_object.h"
#include "marrow/data/tools/write_dataset.h"
#include "marrow/data/tools/write_plainly.h"
#include "marrow/image/convert.h"
#include "marrow/image/encode.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

void check(const SynthOptions& options) {
  const auto require = [](bool good, const std::string& message) {
    if (!good) throw Error(ErrorKind::kUsage, message);
  };
  require(options.images >= 1 && options.images <= kMostSynthImages,
          fmt::format("{} images; 1 to {} can be drawn", options.images, kMostSynthImages));
  require(options.image_size >= kSmallestSynthSide && options.image_size <= kLargestSynthSide,
          fmt::format("images of {} pixels; {} to {} can be drawn", options.image_size, kSmallestSynthSide,
                      kLargestSynthSide));
  require(options.objects >= 1 && options.objects <= kMostSynthObjects,
          fmt::format("{} objects an image; 1 to {} can be drawn", options.objects, kMostSynthObjects));
  require(
      options.val_share >= 0 && options.val_share <= kMostValShare,
      fmt::format("a share of {} for validation; 0 to {} are possible", options.val_share, kMostValShare));
  require(!options.classes.empty(), "no classes are given");
  require(options.samples.channels >= 1 && options.samples.channels <= kMaxSampleChannels,
          fmt::format("{} channels; 1 to {} can be drawn", options.samples.channels, kMaxSampleChannels));
  require(options.samples.bits == 8 || options.samples.bits == 16,
          fmt::format("{} bits; 8 or 16 can be drawn", options.samples.bits));
  for (auto name = options.classes.begin(); name != options.classes.end(); ++name) {
    require(std::ranges::find(synth_classes(), *name) != synth_classes().end(),
            unknown_name_message("shape", *name, synth_classes()));
    require(std::find(options.classes.begin(), name, *name) == name,
            fmt::format("class {} is there twice", *name));
  }
}

Skeleton skeleton_of(const SynthOptions& options) {
  return options.task == Task::kPose ? synth_skeleton(options.classes.size()) : Skeleton();
}

void write_yaml(const fs::path& folder, const SynthOptions& options) {
  std::string yaml = fmt::format(
      "# Drawn by 'marrow data synth' (images {}, seed {}). Paths are relative to this file.\n"
      "train: images/train\nval: images/val\n{}names:\n",
      options.images, options.seed, reading_yaml({options.samples, {}}));
  for (size_t i = 0; i < options.classes.size(); ++i)
    yaml += fmt::format("  {}: {}\n", i, options.classes[i]);
  yaml += skeleton_yaml(skeleton_of(options));
  write_file_atomically(folder / "data.yaml", yaml);
}

}  // namespace

const std::vector<std::string>& synth_classes() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (int i = 0; i < kSynthShapes; ++i) result.emplace_back(synth_shape_name(static_cast<SynthShape>(i)));
    return result;
  }();
  return names;
}

SynthSummary write_synth_dataset(const fs::path& folder, const SynthOptions& options) {
  check(options);
  std::error_code error;
  if (fs::exists(folder / "data.yaml", error))
    throw Error(ErrorKind::kUsage, fmt::format("{}: there is a dataset already; name another folder",
                                               shown(folder / "data.yaml")));
  SynthSummary summary;
  summary.val_images = static_cast<int64_t>(options.images * options.val_share + 0.5);
  if (options.images > 1 && options.val_share > 0)
    summary.val_images = std::max<int64_t>(summary.val_images, 1);
  summary.val_images = std::min<int64_t>(summary.val_images, options.images - 1);
  summary.train_images = options.images - summary.val_images;
  summary.objects.resize(options.classes.size());
  for (const char* kind : {"images", "labels"})
    for (const char* split : {"train", "val"}) {
      fs::create_directories(folder / kind / split, error);
      if (error)
        throw Error(ErrorKind::kFile, fmt::format("{}: cannot make the folder: {}",
                                                  shown(folder / kind / split), error.message()));
    }

  const Skeleton skeleton = skeleton_of(options);
  std::mutex mutex;
  std::string failure;
  cpu::ThreadPool pool(options.threads);
  SharedProgress progress(options.progress, options.images);
  pool.parallel_for(options.images, [&](int64_t index, int) {
    try {
      const bool is_val = index >= summary.train_images;
      const fs::path split = is_val ? "val" : "train";
      const std::string name = fmt::format("{:06}", is_val ? index - summary.train_images : index);
      SynthImage picture = draw_synth_image(options, index);
      const fs::path file = folder / "images" / split / name;
      if (options.samples == SampleFormat())
        write_plainly(file.string() + ".jpg", image::encode_jpeg(picture.image.pixels()));
      else
        write_plainly(file.string() + ".tif",
                      image::encode_tiff(image::stand_in(picture.image, options.samples).pixels()));
      LabelledImage labelled;
      labelled.width = picture.image.width();
      labelled.height = picture.image.height();
      static_cast<ImageLabels&>(labelled) = std::move(picture);
      write_plainly(folder / "labels" / split / (name + ".txt"),
                    yolo_label_lines(labelled, options.task, skeleton.shape));
      const std::lock_guard lock(mutex);
      for (const Label& label : labelled.labels) ++summary.objects[static_cast<size_t>(label.class_id)];
    } catch (const std::exception& exception) {
      const std::lock_guard lock(mutex);
      if (failure.empty()) failure = exception.what();
    }
    progress.advance();
  });
  if (!failure.empty()) throw Error(ErrorKind::kFile, failure);
  write_yaml(folder, options);  // last: a folder with it is whole
  return summary;
}

}  // namespace marrow::data
