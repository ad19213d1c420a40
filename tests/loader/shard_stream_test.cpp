// Batches from shards: a function of the shards, the options and the place alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "loader/all_batches.h"
#include "loader/written_shards.h"
#include "marrow/loader/classification_loader.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/loader/shard_read_ahead.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::loader {
namespace {

using testing::all_batches;
using testing::TemporaryImages;
using testing::WrittenShards;

constexpr int kSize = 64;
constexpr uint64_t kSmallLimit = 100'000;  // a few images

DetectionLoaderOptions options_of(int batch, int64_t epochs) {
  DetectionLoaderOptions options = {.batch = batch, .seed = 3, .epochs = epochs};
  options.augment = AugmentSettings();
  options.augment->mosaic = 0.7;
  options.augment->mixup = 0.5;
  return options;
}

void expect_same(const DetectionBatch& a, const DetectionBatch& b) {
  ASSERT_EQ(a.epoch, b.epoch);
  ASSERT_EQ(a.number, b.number);
  ASSERT_EQ(a.images.shape(), b.images.shape());
  EXPECT_TRUE(std::equal(a.images.bytes(), a.images.bytes() + a.images.byte_size(), b.images.bytes()));
  ASSERT_EQ(a.targets.shape(), b.targets.shape());
  EXPECT_TRUE(std::ranges::equal(a.targets.values(), b.targets.values()));
}

TEST(ShardStream, AnEpochHasEveryImageOnce) {
  TemporaryImages folder;
  folder.add_some(23);
  const WrittenShards shards(folder.images, 5);
  for (const int batch : {1, 4, 8, 23})
    for (const uint64_t limit : {kSmallLimit, kDefaultShardLimit}) {
      DetectionLoader loader(shards.open(kSize, limit), options_of(batch, 3));
      std::vector<std::vector<size_t>> epochs(3);
      for (const DetectionBatch& made : all_batches(loader))
        for (const BatchImage& image : made.origin)
          epochs[static_cast<size_t>(made.epoch)].push_back(image.index);
      for (std::vector<size_t>& images : epochs) {
        EXPECT_EQ(images.size(), 23u);
        EXPECT_EQ(std::set(images.begin(), images.end()).size(), 23u);
      }
      EXPECT_NE(epochs[0], epochs[1]);
    }
}

// What a plain dataset's image and labels become.
TEST(ShardStream, ImagesAndLabelsAreThoseOfThePlainDataset) {
  for (const bool outlines : {false, true}) {
    TemporaryImages folder;
    folder.add_some(10, outlines);
    const WrittenShards shards(folder.images, 4);
    DetectionLoaderOptions options = options_of(1, 1);
    options.augment = AugmentSettings::none();
    const auto store = std::make_shared<ImageStore>(folder.images, ImageStoreOptions{.image_size = kSize});
    DetectionLoader plain(store, options), sharded(shards.open(kSize), options);
    std::vector<DetectionBatch> wanted = all_batches(plain), found = all_batches(sharded);
    const auto by_index = [](const DetectionBatch& a, const DetectionBatch& b) {
      return a.origin.at(0).index < b.origin.at(0).index;
    };
    std::ranges::sort(wanted, by_index);
    std::ranges::sort(found, by_index);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(found[i].origin[0].original, wanted[i].origin[0].original);
      EXPECT_TRUE(std::ranges::equal(found[i].targets.values(), wanted[i].targets.values())) << i;
      EXPECT_TRUE(std::equal(found[i].images.bytes(), found[i].images.bytes() + found[i].images.byte_size(),
                             wanted[i].images.bytes()))
          << i;
    }
  }
}

TEST(ShardStream, ThreadsAndResumesChangeNothing) {
  TemporaryImages folder;
  folder.add_some(23);
  const WrittenShards shards(folder.images, 5);
  for (const uint64_t limit : {kSmallLimit, kDefaultShardLimit}) {
    DetectionLoaderOptions options = options_of(8, 3);
    DetectionLoader whole(shards.open(kSize, limit), options);
    const std::vector<DetectionBatch> wanted = all_batches(whole);
    ASSERT_EQ(wanted.size(), 9u);
    for (const int workers : {0, 3})
      for (const int64_t first : {0, 1, 4, 8}) {
        options.workers = workers;
        DetectionLoader part(shards.open(kSize, limit), options, first / 3, first % 3);
        const std::vector<DetectionBatch> found = all_batches(part);
        ASSERT_EQ(found.size(), wanted.size() - static_cast<size_t>(first));
        for (size_t i = 0; i < found.size(); ++i)
          expect_same(found[i], wanted[i + static_cast<size_t>(first)]);
      }
  }
}

TEST(ShardStream, SharesOfABatchAreTheWhole) {
  TemporaryImages folder;
  folder.add_some(23);
  const WrittenShards shards(folder.images, 5);
  DetectionLoader whole(shards.open(kSize), options_of(8, 2));
  for (const int64_t workers : {2, 3, 5}) {
    DetectionLoader again(shards.open(kSize), options_of(8, 2));
    std::vector<std::unique_ptr<DetectionLoader>> shares;
    for (int64_t worker = 0; worker < workers; ++worker) {
      DetectionLoaderOptions options = options_of(8, 2);
      options.share = {worker, workers};
      shares.push_back(std::make_unique<DetectionLoader>(shards.open(kSize), options));
    }
    while (const std::optional<DetectionBatch> batch = again.next()) {
      const std::byte* pixels = batch->images.bytes();
      for (const auto& share : shares) {
        const DetectionBatch part = *share->next();
        EXPECT_TRUE(std::equal(part.images.bytes(), part.images.bytes() + part.images.byte_size(), pixels));
        pixels += part.images.byte_size();
      }
      EXPECT_EQ(pixels, batch->images.bytes() + batch->images.byte_size());
    }
  }
}

TEST(ShardStream, AWorkerReadsTheShardsOfItsPlacesAlone) {
  TemporaryImages folder;
  folder.add_some(64);
  const WrittenShards shards(folder.images, 8);
  std::vector<std::string> said;
  const auto images =
      shards.open(kSize, kDefaultShardLimit, [&](const std::string& line) { said.push_back(line); });
  DetectionLoaderOptions options = options_of(16, 1);
  const ShardPlan plan = plan_of(*images, options.batch, options.seed);
  ASSERT_EQ(plan.streams, 4u);
  const std::vector<std::vector<size_t>> dealt = deal_shards(plan, 0);
  for (const size_t stream : {2, 3})
    for (const size_t shard : dealt[stream]) std::filesystem::remove(images->shards()[shard].tar);
  options.share = {0, 2};
  DetectionLoader first(images, options);
  EXPECT_EQ(all_batches(first).size(), 4u);
  EXPECT_TRUE(said.empty());
  options.share = {1, 2};
  DetectionLoader second(images, options);
  EXPECT_SAYS(testing::message_of([&] { all_batches(second); }), "none of its 8 images can be read");
}

TEST(ShardStream, ABrokenImageIsNamedAndAnotherStandsInForIt) {
  TemporaryImages folder;
  folder.add_some(12);
  WrittenShards shards(folder.images, 4);
  const auto opened = data::open_shards(shards.dataset.splits[0]);
  // Its header stays, so that the index, which is newer then, has it still.
  const data::ShardSample sample = data::load_index(opened[1])->samples[1];
  std::fstream(opened[1].tar, std::ios::binary | std::ios::in | std::ios::out)
      .seekp(static_cast<std::streamoff>(sample.image.offset + 60))
      .write(std::string(sample.image.bytes - 60, '!').data(),
             static_cast<std::streamsize>(sample.image.bytes - 60));
  std::filesystem::last_write_time(opened[1].index, std::filesystem::file_time_type::clock::now());
  std::vector<std::string> said;
  DetectionLoader loader(
      shards.open(kSize, kDefaultShardLimit, [&](const std::string& line) { said.push_back(line); }),
      options_of(4, 2));
  EXPECT_EQ(all_batches(loader).size(), 6u);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_SAYS(said[0], "4.tar/5.png");
  EXPECT_SAYS(said[0], "; the image is left out");
}

TEST(ShardStream, AShardThatIsAnotherThanItsIndexSaysIsNamed) {
  TemporaryImages folder;
  folder.add_some(4);
  WrittenShards shards(folder.images, 4);
  const auto opened = data::open_shards(shards.dataset.splits[0]);
  const std::filesystem::path tar = opened[0].tar;
  std::filesystem::resize_file(tar, 2048);
  EXPECT_SAYS(testing::message_of([&] {
                DetectionLoader loader(std::make_shared<const ShardedImages>(
                                           shards.dataset, opened, ShardedImagesOptions{.image_size = kSize}),
                                       options_of(4, 1));
                all_batches(loader);
              }),
              "none of its 4 images can be read");
}

TEST(ShardStream, ClassifiersReadThemToo) {
  TemporaryImages folder;
  folder.add_some(23);
  const WrittenShards shards(folder.images, 5, true);
  ClassificationLoaderOptions options{.classes = 3, .size = 32, .batch = 4, .seed = 1, .epochs = 2};
  options.augment = ClassificationAugment();
  ClassificationLoader loader(shards.open(0), options);
  std::multiset<size_t> seen;
  while (const std::optional<ClassificationBatch> batch = loader.next())
    for (size_t i = 0; i < batch->index.size(); ++i) {
      seen.insert(batch->index[i]);
      EXPECT_EQ(batch->class_ids[i], static_cast<int>(batch->index[i] % 3));
    }
  EXPECT_EQ(seen.size(), 46u);
  for (size_t i = 0; i < 23; ++i) EXPECT_EQ(seen.count(i), 2u);
}

// Shards are opened in the order of their names here, so an image's number is its key.
TEST(ShardStream, ReadsAheadWithinItsLimit) {
  TemporaryImages folder;
  folder.add_some(40);
  const WrittenShards shards(folder.images, 8);
  const auto images = shards.open(kSize, 1'000'000);
  const ShardPlan plan = plan_of(*images, 8, 1);
  OpenShards open(*images, 4);
  ShardReadAhead::Options options;
  options.streams = std::vector<bool>(plan.streams, true);
  options.bytes_of_stream = 20'000;
  options.first_read.assign(plan.streams, 0);
  ShardReadAhead ahead(*images, plan, open, options);
  ShardEpoch epoch(plan, 0, 8);
  size_t found = 0;
  for (size_t position = 0; position < images->size(); ++position) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const uint64_t largest = 41 * 37 * 8;
    EXPECT_LE(ahead.bytes_held(),
              plan.streams * (options.bytes_of_stream + options.bytes_of_stream / 4 + largest));
    epoch.advance(position, [&](size_t, const ShardEpoch::Place& place) { ahead.visited(0, place, true); });
    const ShardEpoch::Sample sample = epoch.at(position).sample;
    const size_t index = images->index_of(sample.shard, sample.number);
    if (const auto raw = ahead.find(0, index)) {
      ++found;
      EXPECT_EQ(raw->image, data::read_image_bytes(folder.images[index]));
    }
    ahead.done(0, index);
    EXPECT_EQ(ahead.find(0, index), nullptr);
  }
  EXPECT_GT(found, 0u);
  EXPECT_EQ(ahead.bytes_held(), 0u);
}

}  // namespace
}  // namespace marrow::loader
