// The C++ API as a program uses it.
#include <algorithm>
#include <functional>
#include <limits>
#include <marrow/marrow.hpp>
#include <thread>

#include "api/files.h"

namespace {

using marrow::testing::api_file;
using marrow::testing::bytes_of;
using Found = std::vector<marrow::Detection>;

// Of a small input, so that a test takes moments; a low threshold, since the weights are random.
marrow::DetectorOptions small_input() {
  return {
      .engine = {.threads = 2, .tune = false}, .input_width = 64, .confidence = 0.01f, .max_detections = 20};
}

const marrow::Model& detector_model() {
  static const marrow::Model model(api_file("detector.safetensors"));
  return model;
}

const marrow::Detector& detector() {
  static const marrow::Detector made(detector_model(), small_input());
  return made;
}

void expect_same(const Found& found, const Found& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].box.x1, expected[i].box.x1);
    EXPECT_EQ(found[i].box.y1, expected[i].box.y1);
    EXPECT_EQ(found[i].box.x2, expected[i].box.x2);
    EXPECT_EQ(found[i].box.y2, expected[i].box.y2);
    EXPECT_EQ(found[i].confidence, expected[i].confidence);
    EXPECT_EQ(found[i].class_id, expected[i].class_id);
    EXPECT_EQ(found[i].label, expected[i].label);
  }
}

// The pixels of an image in another layout: rows `stride` bytes apart, bytes between them set.
struct Pixels {
  std::vector<uint8_t> bytes;
  marrow::ImageView view;
};

Pixels laid_out(const marrow::Image& image, marrow::PixelFormat format, int padding, bool bottom_up) {
  const marrow::ImageView from = image.view();
  const int channels = format == marrow::PixelFormat::kGray ? 1 : 3;
  const auto stride = static_cast<ptrdiff_t>(from.width) * channels + padding;
  Pixels made;
  made.bytes.assign(static_cast<size_t>(stride * from.height), 0xa5);
  uint8_t* top = made.bytes.data() + (bottom_up ? stride * (from.height - 1) : 0);
  const ptrdiff_t step = bottom_up ? -stride : stride;
  for (int y = 0; y < from.height; ++y)
    for (int x = 0; x < from.width; ++x) {
      const uint8_t* bgr = from.data + y * from.stride + static_cast<ptrdiff_t>(x) * 3;
      uint8_t* to = top + y * step + static_cast<ptrdiff_t>(x) * channels;
      for (int c = 0; c < channels; ++c) to[c] = bgr[format == marrow::PixelFormat::kRgb ? 2 - c : c];
    }
  made.view = {top, from.width, from.height, padding == 0 && !bottom_up ? 0 : step, format};
  return made;
}

// The error that an action ends with.
struct Failure {
  marrow::ErrorKind kind = {};
  std::string message = "nothing was thrown";
};

Failure failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const marrow::Error& error) {
    return {error.kind(), error.what()};
  }
  return {};
}

void expect_refused(const std::function<void()>& action, marrow::ErrorKind kind, const std::string& says) {
  const Failure failure = failure_of(action);
  EXPECT_EQ(failure.kind, kind) << failure.message;
  EXPECT_NE(failure.message.find(says), std::string::npos) << failure.message;
}

constexpr auto kUsage = marrow::ErrorKind::kUsage;

TEST(CppApi, SaysWhatAModelIs) {
  const marrow::Model& model = detector_model();
  EXPECT_EQ(model.task(), marrow::Task::kDetect);
  EXPECT_EQ(model.class_names(), (std::vector<std::string>{"red box", "green/disc", "bar"}));
  EXPECT_EQ(model.input_width(), 640);
  EXPECT_EQ(model.input_height(), 640);
  EXPECT_TRUE(model.warnings().empty());
  const marrow::Model classifier(api_file("classifier.safetensors"));
  EXPECT_EQ(classifier.task(), marrow::Task::kClassify);
  EXPECT_EQ(classifier.input_width(), 224);
  EXPECT_STREQ(marrow::version(), MARROW_VERSION);
}

TEST(CppApi, EveryWayToGiveAnImageGivesTheSame) {
  for (const char* name : {"a.jpg", "b.png"}) {
    const marrow::Image image = marrow::Image::read(api_file(name));
    EXPECT_EQ(image.warning(), "");
    const Found expected = detector().detect(image);
    ASSERT_FALSE(expected.empty());
    expect_same(detector().detect(marrow::Image::decode(bytes_of(api_file(name)))), expected);
    for (const auto format : {marrow::PixelFormat::kRgb, marrow::PixelFormat::kBgr})
      for (const int padding : {0, 1, 37})
        for (const bool bottom_up : {false, true})
          expect_same(detector().detect(laid_out(image, format, padding, bottom_up).view), expected);
  }
  const marrow::Image grey = marrow::Image::read(api_file("grey.png"));
  for (const int padding : {0, 5})
    expect_same(detector().detect(laid_out(grey, marrow::PixelFormat::kGray, padding, false).view),
                detector().detect(grey));
}

TEST(CppApi, BoxesLieInTheImage) {
  const marrow::Image image = marrow::Image::read(api_file("b.png"));
  const Found found = detector().detect(image);
  ASSERT_FALSE(found.empty());
  float before = 1;
  for (const marrow::Detection& each : found) {
    EXPECT_GE(each.box.x1, 0);
    EXPECT_GE(each.box.y1, 0);
    EXPECT_LE(each.box.x2, static_cast<float>(image.width()));
    EXPECT_LE(each.box.y2, static_cast<float>(image.height()));
    EXPECT_LE(each.confidence, before);
    before = each.confidence;
    EXPECT_EQ(each.label, detector_model().class_names().at(static_cast<size_t>(each.class_id)));
  }
}

TEST(CppApi, ABatchGivesWhatItsImagesGiveAlone) {
  const marrow::Image a = marrow::Image::read(api_file("a.jpg")), b = marrow::Image::read(api_file("b.png"));
  const std::vector<marrow::ImageView> views = {a, b, a};
  const auto found = detector().detect(views);
  ASSERT_EQ(found.size(), 3u);
  expect_same(found[0], detector().detect(a));
  expect_same(found[1], detector().detect(b));
  expect_same(found[2], found[0]);
  EXPECT_TRUE(detector().detect(std::span<const marrow::ImageView>()).empty());

  std::vector<marrow::ImageView> broken = views;
  broken[1].data = nullptr;
  expect_refused([&] { detector().detect(broken); }, kUsage, "image 1 of the batch: ");
}

TEST(CppApi, ClassifiesImages) {
  const marrow::Classifier classifier(marrow::Model(api_file("classifier.safetensors")),
                                      {.engine = {.threads = 1, .tune = false}, .input_size = 64});
  EXPECT_EQ(classifier.input_size(), 64);
  const marrow::Image image = marrow::Image::read(api_file("a.jpg"));
  const auto all = classifier.classify(image, 100);
  ASSERT_EQ(all.size(), 7u);
  float sum = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    sum += all[i].probability;
    if (i > 0) {
      EXPECT_LE(all[i].probability, all[i - 1].probability);
    }
  }
  EXPECT_NEAR(sum, 1, 1e-5);
  const std::vector<marrow::ImageView> twice = {image, image};
  const auto both = classifier.classify(twice, 2);
  ASSERT_EQ(both.size(), 2u);
  ASSERT_EQ(both[1].size(), 2u);
  EXPECT_EQ(both[1][1].label, all[1].label);
  EXPECT_EQ(both[1][1].probability, all[1].probability);
  expect_refused([&] { classifier.classify(image, 0); }, kUsage, "top 0 classes");
}

TEST(CppApi, OptionsAreHeeded) {
  const marrow::Image image = marrow::Image::read(api_file("a.jpg"));
  const auto with = [&](const std::function<void(marrow::DetectorOptions&)>& change) {
    marrow::DetectorOptions options = small_input();
    change(options);
    return marrow::Detector(detector_model(), options).detect(image);
  };
  const Found all = with([](auto&) {});
  EXPECT_EQ(with([](auto& o) { o.max_detections = 2; }).size(), 2u);
  const float middle = all[all.size() / 2].confidence;
  for (const auto& each : with([&](auto& o) { o.confidence = middle; })) EXPECT_GT(each.confidence, middle);
  for (const auto& each : with([](auto& o) { o.class_ids = {1}; })) EXPECT_EQ(each.class_id, 1);
  EXPECT_LT(with([](auto& o) { o.iou = 0.01f, o.max_detections = 1000; }).size(),
            with([](auto& o) { o.iou = 0.9f, o.max_detections = 1000; }).size());
  const Found narrow = with([](auto& o) { o.engine.precision = marrow::Precision::kBfloat16; });
  EXPECT_TRUE(narrow.size() != all.size() || narrow[0].confidence != all[0].confidence);

  marrow::DetectorOptions odd = small_input();
  odd.input_width = 65;
  odd.input_height = 33;
  const marrow::Detector rounded(detector_model(), odd);
  EXPECT_EQ(rounded.input_width(), 96);
  EXPECT_EQ(rounded.input_height(), 64);
}

TEST(CppApi, ThreadsShareADetector) {
  const std::vector<marrow::Image> images = {marrow::Image::read(api_file("a.jpg")),
                                             marrow::Image::read(api_file("b.png")),
                                             marrow::Image::read(api_file("c.jpg"))};
  std::vector<Found> alone;
  for (const marrow::Image& image : images) alone.push_back(detector().detect(image));

  // One detector that none of them has used before, and one of a thread's own from the shared model.
  const marrow::Detector shared(detector_model(), small_input());
  constexpr size_t kThreads = 6, kRounds = 5;
  std::vector<std::vector<Found>> found(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      const marrow::Detector own(detector_model(), small_input());
      for (size_t i = 0; i < kRounds; ++i) {
        const marrow::Image& image = images[(t + i) % images.size()];
        found[t].push_back(shared.detect(image));
        found[t].push_back(own.detect(image));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < kThreads; ++t)
    for (size_t i = 0; i < kRounds; ++i)
      for (const size_t which : {2 * i, 2 * i + 1})
        expect_same(found[t][which], alone[(t + i) % images.size()]);
}

TEST(CppApi, RefusesPixelsThatCannotBe) {
  const std::vector<uint8_t> bytes(64 * 64 * 3);
  const marrow::ImageView good = {bytes.data(), 64, 64};
  EXPECT_NO_THROW(detector().detect(good));
  const auto refused = [&](const std::function<void(marrow::ImageView&)>& change, const std::string& says) {
    marrow::ImageView view = good;
    change(view);
    expect_refused([&] { detector().detect(view); }, kUsage, says);
  };
  constexpr int kMost = std::numeric_limits<int>::max();
  constexpr ptrdiff_t kFarthest = std::numeric_limits<ptrdiff_t>::max();
  refused([](auto& v) { v.data = nullptr; }, "null pointer");
  refused([](auto& v) { v.width = 0; }, "0 x 64 pixels");
  refused([](auto& v) { v.height = -1; }, "64 x -1 pixels");
  refused([](auto& v) { v.width = kMost, v.height = kMost; }, "pixels; wanted");
  refused([](auto& v) { v.width = 65500, v.height = 65500; }, "200 million");
  refused([](auto& v) { v.stride = 191; }, "stride of 191 bytes; a row of 64 pixels has 192");
  refused([](auto& v) { v.stride = -191; }, "stride of -191 bytes");
  refused([](auto& v) { v.stride = kFarthest; }, "do not fit into memory");
  refused([](auto& v) { v.stride = -kFarthest; }, "do not fit into memory");
  refused([](auto& v) { v.stride = std::numeric_limits<ptrdiff_t>::min(); }, "do not fit into memory");
  refused([](auto& v) { v.format = static_cast<marrow::PixelFormat>(7); }, "pixel format 7");
}

TEST(CppApi, RefusesOptionsThatMakeNoSense) {
  const auto refused = [&](const std::function<void(marrow::DetectorOptions&)>& change,
                           const std::string& says) {
    marrow::DetectorOptions options = small_input();
    change(options);
    const marrow::Image image = marrow::Image::read(api_file("a.jpg"));
    expect_refused([&] { marrow::Detector(detector_model(), options).detect(image); }, kUsage, says);
  };
  refused([](auto& o) { o.engine.threads = -1; }, "-1 threads");
  refused([](auto& o) { o.engine.threads = 1'000'000; }, "1000000 threads");
  refused([](auto& o) { o.engine.precision = static_cast<marrow::Precision>(9); }, "precision 9");
  refused([](auto& o) { o.input_width = -1; }, "wanted 1 to 16384");
  refused([](auto& o) { o.input_height = 16385; }, "wanted 1 to 16384");
  refused([](auto& o) { o.confidence = 1.5f; }, "confidence 1.5");
  refused([](auto& o) { o.confidence = std::numeric_limits<float>::quiet_NaN(); }, "confidence");
  refused([](auto& o) { o.iou = -0.1f; }, "iou -0.1");
  refused([](auto& o) { o.tile = -1; }, "tile -1; wanted 0 to 16384 pixels");
  refused([](auto& o) { o.tile_overlap = 0.95f; }, "tile_overlap 0.95; wanted 0 to 0.9");
  refused([](auto& o) { o.end2end = true; }, "no end-to-end head");
  refused([](auto& o) { o.max_detections = 0; }, "max_detections 0");
  refused([](auto& o) { o.class_ids = {3}; }, "class id 3, but the model has 3 classes (0..2)");
}

TEST(CppApi, RefusesTheOtherTask) {
  expect_refused([] { marrow::Classifier made(detector_model()); }, kUsage, "wanted is Detector");
  const marrow::Model classifier(api_file("classifier.safetensors"));
  expect_refused([&] { marrow::Detector made(classifier); }, kUsage, "wanted is Classifier");
}

TEST(CppApi, RefusesFilesThatAreMissingOrBroken) {
  using marrow::ErrorKind;
  expect_refused([] { marrow::Image::read("no/such.jpg"); }, ErrorKind::kFile, "no/such.jpg");
  expect_refused([] { marrow::Model("no/such.safetensors"); }, ErrorKind::kFile, "no/such.safetensors");
  expect_refused([] { marrow::Model{api_file("a.jpg")}; }, ErrorKind::kFormat, "a.jpg");
  expect_refused([] { marrow::Image::read(api_file("detector.safetensors")); }, ErrorKind::kFormat,
                 "detector.safetensors");
  expect_refused([] { marrow::Image::decode({}); }, ErrorKind::kFormat, "empty");
  expect_refused(
      [] {
        marrow::Image::decode({static_cast<const std::byte*>(nullptr), 5});
      },
      kUsage, "null pointer");
  expect_refused([] { marrow::Model(api_file("detector.safetensors"), {.as = "yolov8s"}); }, kUsage,
                 "a Marrow checkpoint");

  // What is cut off is an error, or for a JPEG an image with a warning; never a crash.
  for (const char* name : {"c.jpg", "b.png"}) {
    const std::vector<std::byte> whole = bytes_of(api_file(name));
    for (size_t size = 0; size < whole.size(); size += 1 + size / 8) {
      const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      try {
        EXPECT_NE(marrow::Image::decode(part).warning(), "");
      } catch (const marrow::Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kFormat) << error.what();
      }
    }
  }
  const std::vector<std::byte> model = bytes_of(api_file("detector.safetensors"));
  const marrow::testing::TemporaryFolder folder;
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, model.size() / 2, model.size() - 1}) {
    const auto path = folder / "cut.safetensors";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(model.data()), static_cast<std::streamsize>(size));
    expect_refused([&] { marrow::Model{path}; }, ErrorKind::kFormat, "cut.safetensors");
  }
}

TEST(CppApi, ADamagedJpegIsReadWithAWarning) {
  std::vector<std::byte> bytes = bytes_of(api_file("a.jpg"));
  bytes.resize(bytes.size() * 3 / 4);
  const marrow::Image image = marrow::Image::decode(bytes);
  EXPECT_NE(image.warning().find("damaged JPEG"), std::string::npos) << image.warning();
  EXPECT_EQ(image.width(), 80);
}

TEST(CppApi, WhatWasMovedFromSaysSo) {
  marrow::Detector first(detector_model(), small_input());
  const marrow::Detector second = std::move(first);
  const marrow::Image image = marrow::Image::read(api_file("a.jpg"));
  expect_same(second.detect(image), detector().detect(image));
  expect_refused([&] { first.detect(image); }, kUsage, "moved from");  // NOLINT(bugprone-use-after-move)
  marrow::Image moved = image;
  const marrow::Image kept = std::move(moved);
  expect_refused([&] { moved.view(); }, kUsage, "moved from");  // NOLINT(bugprone-use-after-move)
}

TEST(CppApi, ObjectsOutliveWhatTheyWereMadeFrom) {
  std::unique_ptr<marrow::Detector> detector_of_gone;
  {
    const marrow::Model model(api_file("detector.safetensors"));
    detector_of_gone = std::make_unique<marrow::Detector>(model, small_input());
  }
  const marrow::Image image = marrow::Image::read(api_file("a.jpg"));
  expect_same(detector_of_gone->detect(image), detector().detect(image));
}

Found found_by(const std::string& model, const marrow::DetectorOptions& options) {
  return marrow::Detector(marrow::Model(api_file(model)), options)
      .detect(marrow::Image::read(api_file("a.jpg")));
}

TEST(CppApi, SaysWhatTasksFindBesideBoxes) {
  EXPECT_EQ(marrow::Model(api_file("segment.safetensors")).task(), marrow::Task::kSegment);
  EXPECT_EQ(marrow::Model(api_file("pose.safetensors")).task(), marrow::Task::kPose);
  EXPECT_EQ(marrow::Model(api_file("obb.safetensors")).task(), marrow::Task::kObb);
  const Found poses = found_by("pose.safetensors", small_input());
  ASSERT_FALSE(poses.empty());
  for (const marrow::Detection& each : poses) {
    EXPECT_EQ(each.keypoints.size(), 17u);
    EXPECT_TRUE(each.mask.pixels.empty() && each.outline.empty() && !each.turned);
  }
  const Found turned = found_by("obb.safetensors", small_input());
  ASSERT_FALSE(turned.empty());
  for (const marrow::Detection& each : turned) {
    ASSERT_TRUE(each.turned);
    float right = 0, bottom = 0;
    for (const auto& [x, y] : each.turned->corners())
      right = std::max(right, x), bottom = std::max(bottom, y);
    EXPECT_EQ(right, std::max(each.box.x2, 0.f));
    EXPECT_EQ(bottom, std::max(each.box.y2, 0.f));
  }
}

TEST(CppApi, MasksSayWhereTheyLieInTheImage) {
  for (const auto size : {marrow::MaskSize::kInput, marrow::MaskSize::kImage}) {
    marrow::DetectorOptions options = small_input();
    options.masks = size;
    const Found found = found_by("segment.safetensors", options);
    ASSERT_FALSE(found.empty());
    for (const auto& [box, confidence, class_id, label, mask, outline, keypoints, turned] : found) {
      EXPECT_EQ(mask.whole_width, size == marrow::MaskSize::kInput ? 64 : 80);
      EXPECT_EQ(mask.whole_height, size == marrow::MaskSize::kInput ? 64 : 60);
      ASSERT_EQ(mask.pixels.size(), static_cast<size_t>(mask.width) * static_cast<size_t>(mask.height));
      EXPECT_FALSE(outline.empty());
      // No row or column around it is empty, and the whole has its pixels where it says.
      const std::vector<uint8_t> whole = mask.whole();
      ASSERT_EQ(whole.size(), static_cast<size_t>(mask.whole_width) * static_cast<size_t>(mask.whole_height));
      EXPECT_EQ(std::ranges::count(whole, 1), std::ranges::count(mask.pixels, 1));
      const auto in_whole = [&](int x, int y) {
        return whole[static_cast<size_t>((mask.y + y) * mask.whole_width + mask.x + x)];
      };
      int first_row = 0, last_column = 0;
      for (int x = 0; x < mask.width; ++x) first_row += in_whole(x, 0);
      for (int y = 0; y < mask.height; ++y) last_column += in_whole(mask.width - 1, y);
      EXPECT_GT(first_row, 0);
      EXPECT_GT(last_column, 0);
      // Its pixels lie in the box, or in the padding beside it.
      for (int y = 0; y < mask.height; ++y)
        for (int x = 0; x < mask.width; ++x) {
          if (mask.pixels[static_cast<size_t>(y * mask.width + x)] == 0) continue;
          const double image_x = (x + 0.5 - mask.left) / mask.scale_x,
                       image_y = (y + 0.5 - mask.top) / mask.scale_y;
          if (image_x < 0 || image_y < 0 || image_x > 80 || image_y > 60) continue;
          const double pixel = 1 / mask.scale_x;
          EXPECT_GE(image_x + pixel, box.x1);
          EXPECT_LE(image_x - pixel, box.x2);
          EXPECT_GE(image_y + pixel, box.y1);
          EXPECT_LE(image_y - pixel, box.y2);
        }
    }
    options.outlines = false;
    for (const marrow::Detection& each : found_by("segment.safetensors", options))
      EXPECT_TRUE(each.outline.empty());
  }
}

TEST(CppApi, RefusesMasksOfAModelThatHasNone) {
  marrow::DetectorOptions options = small_input();
  options.masks = marrow::MaskSize::kImage;
  const auto message = [&](const std::string& model) -> std::string {
    try {
      found_by(model, options);
    } catch (const marrow::Error& error) {
      EXPECT_EQ(error.kind(), marrow::ErrorKind::kUsage);
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("pose.safetensors")
                .find("a model for 'pose', which finds no masks; wanted is one for 'segment'"),
            std::string::npos);
  options.masks = static_cast<marrow::MaskSize>(7);
  EXPECT_NE(message("segment.safetensors").find("mask size 7"), std::string::npos);
}

}  // namespace
