#include "marrow/loader/detection_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "loader/all_batches.h"
#include "loader/temporary_images.h"
#include "marrow/base/error.h"
#include "support/environment.h"
#include "support/message_of.h"

namespace marrow::loader {
namespace {

using testing::all_batches;
using testing::TemporaryImages;

constexpr int kImageSize = 64;

AugmentSettings everything() {
  AugmentSettings settings;
  settings.mosaic = 0.7;
  settings.mixup = settings.cutmix = settings.flipud = settings.bgr = 0.5;
  settings.copy_paste = 0.5;
  settings.perspective = {
      .degrees = 20, .translate = 0.2, .zoom = {0.5, 1.5}, .shear = 5, .perspective = 0.0005};
  return settings;
}

std::shared_ptr<ImageStore> labelled_store(const TemporaryImages& folder,
                                           ImageCache cache = ImageCache::kRecent,
                                           std::vector<std::string>* named = nullptr) {
  ImageStoreOptions options{.image_size = kImageSize, .cache = cache};
  if (named != nullptr) options.report = [named](const std::string& message) { named->push_back(message); };
  return std::make_shared<ImageStore>(folder.images, options);
}

DetectionLoaderOptions detection_options(int workers) {
  return {.batch = 4,
          .workers = workers,
          .seed = 11,
          .augment = everything(),
          .close_mosaic_epoch = 2,
          .epochs = 3};
}

bool equal(const DetectionBatch& a, const DetectionBatch& b) {
  const auto same = [](const Tensor& x, const Tensor& y) {
    return x.shape() == y.shape() && std::equal(x.bytes(), x.bytes() + x.byte_size(), y.bytes());
  };
  return a.epoch == b.epoch && a.number == b.number && same(a.images, b.images) &&
         same(a.targets, b.targets) && same(a.ignored, b.ignored);
}

void expect_equal(const std::vector<DetectionBatch>& a, const std::vector<DetectionBatch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(equal(a[i], b[i])) << "batch " << i;
}

TEST(DetectionLoader, BytesDoNotDependOnWorkersOrCache) {
  TemporaryImages folder;
  folder.add_some(10, true);
  DetectionLoader alone(labelled_store(folder), detection_options(0));
  EXPECT_EQ(alone.batches_per_epoch(), 3);
  const std::vector<DetectionBatch> wanted = all_batches(alone);
  ASSERT_EQ(wanted.size(), 9u);
  EXPECT_EQ(wanted[2].images.dim(0), 2);  // the last batch of an epoch is kept
  EXPECT_FALSE(equal(wanted[0], wanted[3]));
  for (const int workers : {1, 2, 5})
    for (const ImageCache cache : {ImageCache::kRecent, ImageCache::kAll}) {
      SCOPED_TRACE(workers);
      DetectionLoader loader(labelled_store(folder, cache), detection_options(workers));
      expect_equal(all_batches(loader), wanted);
    }
}

// Not reported image by image, as if the images were broken.
TEST(DetectionLoader, AnUnknownSimdLevelEndsTheLoading) {
  TemporaryImages folder;
  folder.add_some(4);
  const testing::Environment environment("MARROW_SIMD", "avx521");
  for (const int workers : {0, 2}) {
    std::vector<std::string> named;
    DetectionLoader loader(labelled_store(folder, ImageCache::kRecent, &named), detection_options(workers));
    EXPECT_TRUE(
        testing::message_of([&] { loader.next(); }).starts_with("MARROW_SIMD: unknown SIMD level 'avx521'"));
    EXPECT_TRUE(named.empty()) << named.front();
  }
}

TEST(DetectionLoader, StartsAnywhereAsIfItHadNeverStopped) {
  TemporaryImages folder;
  folder.add_some(10, true);
  DetectionLoader whole(labelled_store(folder), detection_options(2));
  const std::vector<DetectionBatch> wanted = all_batches(whole);
  for (const int64_t start : {1, 2, 3, 5, 8}) {
    DetectionLoader resumed(labelled_store(folder), detection_options(2), start / 3, start % 3);
    expect_equal(all_batches(resumed), {wanted.begin() + start, wanted.end()});
  }
}

TEST(DetectionLoader, TheSeedChangesTheSamples) {
  TemporaryImages folder;
  folder.add_some(10);
  DetectionLoaderOptions other = detection_options(0);
  other.seed = 12;
  DetectionLoader a(labelled_store(folder), detection_options(0)), b(labelled_store(folder), other);
  EXPECT_FALSE(equal(*a.next(), *b.next()));
}

TEST(DetectionLoader, TargetsAreInsideAndNumbered) {
  TemporaryImages folder;
  folder.add_some(10);
  DetectionLoader loader(labelled_store(folder), detection_options(2));
  int64_t rows = 0;
  for (const DetectionBatch& batch : all_batches(loader)) {
    float last = 0;
    for (int64_t i = 0; i < batch.targets.dim(0); ++i, ++rows) {
      const auto row = batch.targets.values().subspan(static_cast<size_t>(i) * 6, 6);
      EXPECT_GE(row[0], last);
      last = row[0];
      EXPECT_LT(row[0], static_cast<float>(batch.images.dim(0)));
      EXPECT_LT(row[1], 2.0f);
      for (const int axis : {2, 3}) {
        EXPECT_GE(row[static_cast<size_t>(axis)] - row[static_cast<size_t>(axis) + 2] / 2, -1e-5f);
        EXPECT_LE(row[static_cast<size_t>(axis)] + row[static_cast<size_t>(axis) + 2] / 2, 1 + 1e-5f);
      }
    }
  }
  EXPECT_GT(rows, 30);
}

// A region that reaches a little outside, as labels may; a broken image in front of it.
TEST(DetectionLoader, RegionsToIgnoreAreRowsOfTheirImages) {
  TemporaryImages folder;
  for (int i = 0; i < 3; ++i) folder.add(64, 32);
  folder.spoil(0);
  folder.images[2].ignored = {{{0, {.25, .5, .52, 1.01}}, data::IgnoredLabel::Reason::kCrowd},
                              {{data::kIgnoreClass, {.75, .25, .5, .5}}, data::IgnoredLabel::Reason::kClass}};
  DetectionLoader loader(labelled_store(folder), {.batch = 3, .workers = 2});
  const std::optional<DetectionBatch> batch = loader.next();
  ASSERT_EQ(batch->images.shape(), (Shape{2, 3, kImageSize, kImageSize}));
  // The image lies in the middle half of the square.
  const float wanted[] = {1, .255f, .5f, .51f, .5f, 1, .75f, .375f, .5f, .25f};
  ASSERT_EQ(batch->ignored.shape(), (Shape{2, 5}));
  for (size_t i = 0; i < std::size(wanted); ++i)
    EXPECT_NEAR(batch->ignored.values()[i], wanted[i], 1e-6) << i;
  EXPECT_EQ(batch->targets.dim(0), 3);
}

TEST(DetectionLoader, RegionsToIgnoreChangeNoImageAndNoTarget) {
  TemporaryImages folder;
  folder.add_some(10, true);
  DetectionLoader without(labelled_store(folder), detection_options(0));
  for (size_t i = 0; i < folder.images.size(); ++i)
    folder.images[i].ignored = {{{0, {.3 + .04 * static_cast<double>(i), .5, .3, .3}}}};
  DetectionLoader with(labelled_store(folder), detection_options(2));
  int64_t regions = 0;
  while (std::optional<DetectionBatch> batch = with.next()) {
    regions += batch->ignored.dim(0);
    DetectionBatch wanted = *without.next();
    EXPECT_EQ(wanted.ignored.shape(), (Shape{0, 5}));
    wanted.ignored = batch->ignored;
    EXPECT_TRUE(equal(*batch, wanted));
  }
  EXPECT_GT(regions, 50);
}

TEST(DetectionLoader, NamesABrokenImageOnceAndTrainsOnTheNextOne) {
  TemporaryImages folder;
  folder.add_some(6);
  folder.spoil(2);
  for (const int workers : {0, 3}) {
    std::vector<std::string> named;
    const auto store = labelled_store(folder, ImageCache::kRecent, &named);
    DetectionLoader loader(store, detection_options(workers));
    for (const DetectionBatch& batch : all_batches(loader))
      EXPECT_EQ(batch.images.dim(0), batch.number == 0 ? 4 : 2);
    ASSERT_EQ(named.size(), 1u);
    EXPECT_NE(named[0].find(folder.path(2).string()), std::string::npos) << named[0];
    EXPECT_EQ(store->broken(), 1u);
  }
}

TEST(DetectionLoader, LeavesBrokenImagesOutOfValidation) {
  TemporaryImages folder;
  folder.add_some(6);
  for (const size_t broken : {0u, 4u, 5u}) folder.spoil(broken);
  DetectionLoader loader(labelled_store(folder), {.batch = 4, .workers = 2});
  const std::vector<DetectionBatch> batches = all_batches(loader);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].images.shape(), (Shape{3, 3, kImageSize, kImageSize}));
  EXPECT_EQ(batches[0].origin[0].index, 1u);
  EXPECT_EQ(batches[0].origin[2].index, 3u);
  EXPECT_EQ(batches[1].images.dim(0), 0);
  EXPECT_EQ(batches[1].targets.dim(0), 0);
  for (int64_t i = 0; i < batches[0].targets.dim(0); ++i)
    EXPECT_LT(batches[0].targets.values()[static_cast<size_t>(i) * 6], 3.0f);
}

TEST(DetectionLoader, FailsWhenNoImageCanBeRead) {
  TemporaryImages folder;
  folder.add_some(3);
  for (size_t i = 0; i < 3; ++i) folder.spoil(i);
  for (const int workers : {0, 2}) {
    DetectionLoader loader(labelled_store(folder), detection_options(workers));
    try {
      loader.next();
      FAIL() << "no exception";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFile);
    }
    EXPECT_THROW(loader.next(), Error);
  }
}

TEST(DetectionLoader, EndsCleanlyWhenAbandoned) {
  TemporaryImages folder;
  folder.add_some(8);
  for (int taken = 0; taken < 4; ++taken) {
    DetectionLoaderOptions options = detection_options(3);
    options.epochs = 1000;
    DetectionLoader loader(labelled_store(folder), options);
    for (int i = 0; i < taken; ++i) EXPECT_TRUE(loader.next().has_value());
  }
}

TEST(DetectionLoader, RectangularTrainingNeitherShufflesNorJoins) {
  TemporaryImages folder;
  for (const auto& [width, height] : {std::pair{20, 60}, {40, 40}, {60, 20}})
    for (int i = 0; i < 3; ++i) folder.add(width, height);
  DetectionLoaderOptions options = detection_options(2);
  options.batch = 3;
  options.rectangular = true;
  options.pad = 0;
  options.stride = 16;
  DetectionLoader loader(labelled_store(folder), options);
  const std::vector<DetectionBatch> batches = all_batches(loader);
  ASSERT_EQ(batches.size(), 9u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(batches[i].images.shape(), batches[i + 3].images.shape());
    for (size_t k = 0; k < batches[i].origin.size(); ++k)
      EXPECT_EQ(batches[i].origin[k].index, batches[i + 3].origin[k].index);
  }
  EXPECT_EQ(batches[0].images.shape(), (Shape{3, 3, 32, 64}));  // the widest first
  EXPECT_EQ(batches[1].images.shape(), (Shape{3, 3, 64, 64}));
  EXPECT_EQ(batches[2].images.shape(), (Shape{3, 3, 64, 32}));
}

TEST(DetectionLoader, AcceptsASingleImageOfOnePixel) {
  TemporaryImages folder;
  folder.add(1, 1);
  DetectionLoader training(labelled_store(folder), detection_options(2));
  EXPECT_EQ(all_batches(training).size(), 3u);
  DetectionLoader validation(labelled_store(folder), {.rectangular = true});
  EXPECT_EQ(validation.next()->images.shape(), (Shape{1, 3, 96, 96}));
}

TEST(DetectionLoader, RefusesOptionsWithoutMeaning) {
  TemporaryImages folder;
  folder.add_some(2);
  const auto store = labelled_store(folder);
  EXPECT_THROW(DetectionLoader(store, {.batch = 0}), Error);
  EXPECT_THROW(DetectionLoader(store, {.workers = -1}), Error);
  EXPECT_THROW(DetectionLoader(store, {.ahead = 0}), Error);
  EXPECT_THROW(DetectionLoader(store, {}, 0, 1), Error);
  EXPECT_THROW(DetectionLoader(
                   std::make_shared<ImageStore>(std::vector<data::LabelledImage>{}, ImageStoreOptions{}), {}),
               Error);
}

TEST(ImageStore, KeepsNoMoreThanItIsTold) {
  TemporaryImages folder;
  for (int i = 0; i < 6; ++i) folder.add(32, 32);
  const auto recent = labelled_store(folder, ImageCache::kRecent);
  recent->keep_recent(2);
  for (size_t i = 0; i < 6; ++i) recent->load(i);
  EXPECT_EQ(recent->bytes_kept(), 2u * kImageSize * kImageSize * 3);
  const auto fits = labelled_store(folder, ImageCache::kWhenItFits);
  EXPECT_TRUE(fits->keeps_all());
  for (int again = 0; again < 2; ++again)
    for (size_t i = 0; i < 6; ++i) fits->load(i);
  EXPECT_EQ(fits->bytes_kept(), 6u * kImageSize * kImageSize * 3);
}

TEST(ImageStore, RefusesToKeepMoreThanTheMemoryHolds) {
  const data::LabelledImage image{{}, "a.jpg", 4000, 4000};
  const std::vector<data::LabelledImage> many(100'000, image);  // 80 TB
  const ImageStoreOptions all{.image_size = 16384, .cache = ImageCache::kAll};
  const std::string refusal = testing::message_of([&] { ImageStore(many, all); });
  EXPECT_NE(refusal.find("cache: ram: 100000 images of 16384 px take 80530.6 GB of memory"),
            std::string::npos)
      << refusal;
  EXPECT_NE(refusal.find("marrow data shard"), std::string::npos);
  EXPECT_FALSE(ImageStore(many, {.image_size = 16384}).keeps_all());
}

TEST(ImageStore, KeepsWithinALimit) {
  TemporaryImages folder;
  folder.add_some(6);
  const ImageStoreOptions limited{.image_size = kImageSize, .limit = 3 * kImageSize * kImageSize};
  EXPECT_FALSE(ImageStore(folder.images, limited).keeps_all());
  ImageStoreOptions enough = limited;
  enough.limit = 6 * 3 * kImageSize * kImageSize;
  EXPECT_TRUE(ImageStore(folder.images, enough).keeps_all());
}

TEST(ImageStore, CountsTheBytesOfItsImagesFormat) {
  TemporaryImages folder;
  for (int i = 0; i < 3; ++i) folder.add(32, 32);
  const auto grey = std::make_shared<ImageStore>(
      folder.images, ImageStoreOptions{.image_size = kImageSize, .reading = {{1, 16}, {}}});
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(grey->load(i)->format(), (SampleFormat{1, 16}));
  EXPECT_EQ(grey->bytes_kept(), 3u * kImageSize * kImageSize * 2);
  DetectionLoader loader(grey, {.batch = 3});
  const Tensor images = loader.next()->images;
  EXPECT_EQ(images.shape(), (Shape{3, 1, kImageSize, kImageSize}));
  EXPECT_EQ(images.dtype(), DType::kInt32);
}

TEST(ImageStore, ThreadsMayLoadTheSameImage) {
  TemporaryImages folder;
  folder.add_some(4);
  folder.spoil(1);
  std::vector<std::string> named;
  const auto store = labelled_store(folder, ImageCache::kRecent, &named);
  store->keep_recent(2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (size_t i = 0; i < 40; ++i) store->load_readable(i % 4);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(named.size(), 1u);
}

}  // namespace
}  // namespace marrow::loader
