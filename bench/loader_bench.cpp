// How many augmented images the loader makes: mosaic, perspective, colours and flip with the default
// settings, on drawn images of 640 x 480 that are cached after the first epoch, and how fast they are read
// in that one. Then, of 512 such images that are not kept, how fast they are read as files and from shards,
// in turns.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target loader_bench
//   build/release/bench/loader_bench 320 0     (image size; workers, 0: in the consumer's thread)
//
// A time is that of a batch of 16 from next() to next(), with everything but the network. MARROW_SIMD=plain
// turns the vector loops off.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <vector>

#include "marrow/cpu/thread_pool.h"
#include "marrow/data/tools/shard.h"
#include "marrow/image/encode.h"
#include "marrow/image/row_kernels.h"
#include "marrow/image/scene.h"
#include "marrow/loader/detection_loader.h"

namespace marrow {
namespace {

constexpr int kImages = 64, kBatch = 16, kEpochs = 30;
constexpr int kManyImages = 512, kTurns = 3;

std::vector<data::LabelledImage> draw_images(const std::filesystem::path& folder, int count = kImages) {
  std::vector<data::LabelledImage> images;
  for (int i = 0; i < count; ++i) {
    const image::Image image = image::draw_scene(640, 480, static_cast<uint64_t>(i));
    data::LabelledImage labelled{{}, folder / (std::to_string(i) + ".jpg"), image.width(), image.height()};
    image::write_image(labelled.path, image.pixels());
    for (int k = 0; k < 8; ++k) labelled.labels.push_back({k, 0.1 + 0.1 * k, 0.5, 0.2, 0.3});
    images.push_back(std::move(labelled));
  }
  return images;
}

void measure(const std::filesystem::path& folder, int image_size, int workers) {
  const auto store = std::make_shared<loader::ImageStore>(
      draw_images(folder),
      loader::ImageStoreOptions{.image_size = image_size, .cache = loader::ImageCache::kAll});
  loader::DetectionLoader loader(
      store, {.batch = kBatch, .workers = workers, .augment = loader::AugmentSettings(), .epochs = kEpochs});
  std::vector<double> first_epoch_ms, later_ms;
  auto last = std::chrono::steady_clock::now();
  while (const auto batch = loader.next()) {
    const auto now = std::chrono::steady_clock::now();
    (batch->epoch == 0 ? first_epoch_ms : later_ms)
        .push_back(std::chrono::duration<double, std::milli>(now - last).count());
    last = now;
  }
  fmt::print("image size {}, batch {}, workers {} (of {} threads), rows: {}, {}\n", image_size, kBatch,
             workers, cpu::available_threads(), image::row_kernels().name,
#ifdef NDEBUG
             "release"
#else
             "debug"
#endif
  );
  for (auto& [name, times] : {std::pair{"decoding", &first_epoch_ms}, {"cached", &later_ms}}) {
    std::ranges::sort(*times);
    const double median = (*times)[times->size() / 2], p95 = (*times)[times->size() * 95 / 100];
    fmt::print("{:9} batch median {:6.1f} ms, p95 {:6.1f} ms: {:5.0f} images/s\n", name, median, p95,
               kBatch * 1e3 / median);
  }
}

struct Speed {
  double images_per_second = 0, cpu_ms = 0;  // the latter of an image, by all threads
};

template <class Images>
Speed speed_of(const std::shared_ptr<Images>& images, int workers) {
  loader::DetectionLoader loader(
      images, {.batch = kBatch, .workers = workers, .augment = loader::AugmentSettings(), .epochs = 2});
  int64_t made = 0;
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  while (const auto batch = loader.next()) made += batch->images.dim(0);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  return {static_cast<double>(made) / seconds, 1e3 * cpu_seconds / static_cast<double>(made)};
}

void compare_with_shards(const std::filesystem::path& folder, int image_size, int workers) {
  std::filesystem::create_directories(folder / "images/train");
  std::filesystem::create_directories(folder / "labels/train");
  const std::vector<data::LabelledImage> images = draw_images(folder / "images/train", kManyImages);
  for (const data::LabelledImage& image : images)
    std::ofstream(data::yolo_label_path(image.path)) << data::yolo_label_lines(image, Task::kDetect);
  std::ofstream(folder / "data.yaml") << "train: images/train\nval: images/train\nnc: 8\n";
  data::shard_dataset(data::read_dataset(folder / "data.yaml"), folder / "shards", {.megabytes = 5});
  const data::Dataset dataset = data::read_dataset(folder / "shards/data.yaml");
  loader::ShardedImagesOptions how;
  how.image_size = image_size;
  how.limit = 80'000'000;  // as many decoded ones as are kept of files
  for (int turn = 0; turn < kTurns; ++turn) {
    const Speed files = speed_of(std::make_shared<loader::ImageStore>(
                                     images, loader::ImageStoreOptions{.image_size = image_size,
                                                                       .cache = loader::ImageCache::kRecent}),
                                 workers);
    const Speed shards = speed_of(std::make_shared<const loader::ShardedImages>(
                                      dataset, data::open_shards(dataset.split("train")), how),
                                  workers);
    for (const auto& [name, speed] : {std::pair{"files", files}, {"shards", shards}})
      fmt::print("not kept, from {:6} {:5.0f} images/s, {:.2f} ms of CPU an image\n", name,
                 speed.images_per_second, speed.cpu_ms);
  }
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("marrow_loader_bench_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const int image_size = argc > 1 ? std::atoi(argv[1]) : 320, workers = argc > 2 ? std::atoi(argv[2]) : 0;
  marrow::measure(folder, image_size, workers);
  marrow::compare_with_shards(folder, image_size, workers);
  std::filesystem::remove_all(folder);
}
