#include "marrow/evaluate/task_image.h"

#include <gtest/gtest.h>

namespace marrow::evaluate {
namespace {

constexpr Size kPicture = {40, 40};

MaskPart square(int x, int y, int side) {
  MaskPart part = {x, y, Mask({side, side})};
  std::ranges::fill(part.mask.pixels, uint8_t{1});
  return part;
}

data::Polygon corners(double low, double high) {
  return {{low, low}, {high, low}, {high, high}, {low, high}};
}

// A crowd counts for detections of its own class, whatever the classes of the objects are.
TEST(TaskImage, CrowdsOfMasksHaveAClassOfTheirOwn) {
  data::LabelledImage labels;
  labels.width = kPicture.width;
  labels.height = kPicture.height;
  labels.labels = {{0, 0.25, 0.25, 0.25, 0.25}};  // pixels 5 to 15
  labels.polygons = {corners(0.125, 0.375)};
  labels.ignored = {{.label = {1, 0.75, 0.75, 0.5, 0.5}, .polygon = corners(0.5, 1)}};  // 20 to 40
  loader::DetectionBatch batch;
  batch.targets = Tensor::from({1, 6}, std::vector<float>{0, 0, 0.25f, 0.25f, 0.25f, 0.25f});
  batch.masks = Tensor({1, kPicture.height, kPicture.width}, DType::kInt32);

  ValidatedHead head;
  head.decode.classes = 2;
  head.decode.extra = DetectExtra::kCoefficients;
  predict::DetectionResult found;
  const MaskPart in_crowd = square(20, 20, 10), at_object = square(5, 5, 10);
  for (const auto& [part, class_id] :
       {std::pair{in_crowd, 1}, {in_crowd, 0}, {at_object, 0}, {at_object, 1}}) {
    const auto x = static_cast<float>(part.x), y = static_cast<float>(part.y);
    found.detections.push_back({Box<ImagePixels>::from_corners({x, y, x + 10, y + 10}), 0.5f, class_id});
    found.extras.masks.push_back(part);
  }
  found.extras.mask_size = kPicture;
  const ImageOfBatch image = {
      .batch = batch, .image = 0, .labels = labels, .ratio_pad = {}, .network = kPicture};
  const auto overlaps = TaskImage(image, head, found).coco();
  ASSERT_TRUE(overlaps);
  std::vector<std::pair<size_t, size_t>> pairs;
  for (const CocoOverlaps::Entry& entry : overlaps->entries) pairs.emplace_back(entry.detection, entry.truth);
  EXPECT_EQ(pairs, (std::vector<std::pair<size_t, size_t>>{{0, 1}, {2, 0}}));
}

}  // namespace
}  // namespace marrow::evaluate
