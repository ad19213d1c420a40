// Outlines resampled, boxed and filled, against golden-2/tasks/labels and masks.
#include <gtest/gtest.h>

#include "marrow/outline/clipped.h"
#include "marrow/outline/raster.h"
#include "marrow/outline/resample.h"
#include "tensors.h"

namespace marrow {
namespace {

using testing::for_each_case;

TEST(Outlines, AreResampledAsRecorded) {
  for_each_case("tasks/labels/resample.json", [](auto& recorded, auto& one, auto& name) {
    const auto points = testing::points_of<Normalised>(recorded.at(name + ".in").values());
    const auto result =
        outline::resampled(std::span<const Point<Normalised>>(points), one["to"].template get<size_t>());
    const auto wanted = testing::points_of<Normalised>(recorded.at(name + ".out").values());
    ASSERT_EQ(result.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(result[i].x, wanted[i].x, 1e-5) << i;
      EXPECT_NEAR(result[i].y, wanted[i].y, 1e-5) << i;
    }
  });
}

TEST(Outlines, HaveTheRecordedBoxes) {
  for_each_case("tasks/labels/boxes_of_polygons.json", [](auto& recorded, auto& one, auto& name) {
    const auto polygon = testing::points_of<ImagePixels>(recorded.at(name + ".polygon").values());
    const auto box = outline::clipped_bounds(
        polygon, {one["width"].template get<int>(), one["height"].template get<int>()});
    const auto wanted = recorded.at(name + ".xyxy").values();
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(box.corners()[i], wanted[i], 1e-5) << i;
  });
}

TEST(Outlines, FillTheRecordedPixels) {
  for_each_case("tasks/masks/raster.json", [](auto& recorded, auto& one, auto& name) {
    const auto polygon = testing::points_of<ImagePixels>(recorded.at(name + ".polygon").values());
    for (const int ratio : one["ratios"]) {
      const Mask mask = outline::fill_small(polygon, testing::size_of_hw(one["hw"]), ratio);
      EXPECT_EQ(mask.pixels, testing::bytes_of(recorded.at(name + ".mask_ratio" + std::to_string(ratio))))
          << name << " at " << ratio;
    }
  });
}

TEST(Outlines, OverlapAsRecorded) {
  for_each_case("tasks/masks/overlap.json", [](auto& recorded, auto& one, auto& name) {
    const Size canvas = testing::size_of_hw(one["hw"]);
    const int ratio = one["mask_ratio"];
    outline::OverlappingMasks masks({canvas.width / ratio, canvas.height / ratio});
    std::vector<uint8_t> separate;
    for (size_t i = 0; i < one["polygons"].template get<size_t>(); ++i) {
      const auto polygon = recorded.at(name + ".polygon" + std::to_string(i)).values();
      const Mask mask = outline::fill_small(testing::points_of<ImagePixels>(polygon), canvas, ratio);
      separate.insert(separate.end(), mask.pixels.begin(), mask.pixels.end());
      masks.add(mask);
    }
    EXPECT_EQ(separate, testing::bytes_of(recorded.at(name + ".separate")));
    const outline::Overlapped overlapped = std::move(masks).take();
    EXPECT_EQ(overlapped.order, one["order"].template get<std::vector<size_t>>());
    const std::vector<uint8_t> wanted = testing::bytes_of(recorded.at(name + ".overlap"));
    EXPECT_EQ(overlapped.pixels, (std::vector<int32_t>(wanted.begin(), wanted.end())));
  });
}

}  // namespace
}  // namespace marrow
