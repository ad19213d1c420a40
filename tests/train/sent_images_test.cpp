// What workers send of a validation is measured as if one had seen it all.
#include "marrow/evaluate/sent_images.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/random.h"

namespace marrow::evaluate {
namespace {

struct DrawnImage {
  std::vector<TruthBox> truth;
  std::vector<detect::InputDetection> detections;
  ValidatedImage image;
};

// Everything that an image may have, some of it in some of them only.
void draw(DrawnImage& drawn, uint64_t seed) {
  Random random(seed, "image");
  const auto box = [&] {
    const auto x = static_cast<float>(random.uniform() * 50), y = static_cast<float>(random.uniform() * 50);
    return Box<InputPixels>{x, y, x + 10, y + 12};
  };
  for (uint64_t i = 0; i < seed % 4; ++i) {
    drawn.truth.push_back({box(), static_cast<int>(random.below(3))});
    drawn.detections.push_back({.box = drawn.truth.back().box,
                                .confidence = static_cast<float>(0.9 - 0.1 * static_cast<double>(i)),
                                .class_id = static_cast<int>(random.below(3))});
  }
  ValidatedImage& image = drawn.image;
  image.file_name = std::to_string(seed) + ".jpg";
  image.picture = {128, 96};
  image.network = {64, 48};
  image.ratio_pad = {0.5, 0.5, 1, 2};
  image.truth = drawn.truth;
  image.detections = drawn.detections;
  image.overlap = overlap_of_boxes(image.truth, image.detections);
  image.second_overlap = [seed](size_t t, size_t d) {
    return static_cast<float>((7 * t + 3 * d + seed) % 10) / 10;
  };
  if (seed % 3 == 0) image.image_id = static_cast<int64_t>(seed);
  if (seed % 3 == 1) image.image_id = "picture" + std::to_string(seed);
  if (seed % 5 == 0) image.coco_truth = {{0, {1, 2, 3, 4}, 12, seed % 2 == 0}};
  CocoOverlaps coco;
  const size_t annotations = image.coco_truth ? image.coco_truth->size() : image.truth.size();
  coco.truth_areas.assign(annotations, 90);
  coco.ignored.assign(annotations, seed % 2 == 1);
  coco.found_areas.assign(image.detections.size(), 80);
  if (annotations > 0 && !image.detections.empty()) coco.entries.push_back({0, annotations - 1, 0.75});
  image.coco = coco;
  for (size_t d = 0; d < image.detections.size(); ++d)
    image.fields.push_back("\"segmentation\": " + std::to_string(d));
}

DetectionValidator validator() {
  return DetectionValidator({"a", "b", "c"}, {.second = SecondBlock::kMasks});
}

TEST(SentImages, AreMeasuredAsIfOneHadSeenThemAll) {
  constexpr int64_t kBatch = 5, kImages = 23;
  for (const int64_t workers : {1, 2, 4, 7}) {
    DetectionValidator whole = validator(), sent = validator();
    std::vector<std::string> bytes(static_cast<size_t>(workers));
    for (int64_t i = 0; i < kImages; ++i) {
      DrawnImage drawn;
      draw(drawn, static_cast<uint64_t>(i));
      whole.add(drawn.image);
      const int64_t worker = i % kBatch * workers / kBatch;  // neighbours of a batch
      append_image(bytes[static_cast<size_t>(worker)], i / kBatch, drawn.image);
    }
    visit_images(bytes, [&](const ValidatedImage& image) { sent.add(image); });
    EXPECT_EQ(report_json(sent.report()), report_json(whole.report()));
    EXPECT_EQ(coco_predictions_json(sent.predictions()), coco_predictions_json(whole.predictions()));
  }
}

TEST(SentImages, BytesThatEndTooSoonAreRefused) {
  DrawnImage drawn;
  draw(drawn, 3);
  std::string bytes;
  append_image(bytes, 0, drawn.image);
  for (const size_t size : {bytes.size() - 1, bytes.size() / 2, size_t{12}, size_t{3}}) {
    const std::vector<std::string> cut = {bytes.substr(0, size)};
    EXPECT_THROW(visit_images(cut, [](const ValidatedImage&) {}), Error);
  }
}

}  // namespace
}  // namespace marrow::evaluate
