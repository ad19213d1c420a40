#include "marrow/track/camera_motion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "marrow/image/decode.h"
#include "marrow/track/similarity.h"
#include "track/recorded_sequences.h"

namespace marrow::track {
namespace {

using nlohmann::json;

// The farthest that the two maps take a corner of the picture apart, in pixels.
double corner_distance(const CameraMap& a, const CameraMap& b, double width, double height) {
  double most = 0;
  for (const double x : {0.0, width})
    for (const double y : {0.0, height})
      most = std::max(most, std::hypot((a.a - b.a) * x + (a.b - b.b) * y + a.c - b.c,
                                       (a.d - b.d) * x + (a.e - b.e) * y + a.f - b.f));
  return most;
}

TEST(CameraMotion, EqualsTheRecordedMaps) {
  const auto files = testing::golden_files("track/gmc", {"gmc.json"});
  MARROW_NEEDS_GOLDEN(files, "recorded camera motion");
  for (const auto& file : files)
    for (const json& recorded : testing::read_json(file)) {
      const std::string name = recorded.at("name");
      const auto stack =
          image::decode_image_file(file.parent_path() / recorded.at("file").get<std::string>());
      const int width = recorded.at("width"), height = recorded.at("height");
      CameraMotion motion;
      for (int i = 0; i < recorded.at("frames").get<int>(); ++i) {
        const CameraMap map =
            motion.next(image::copy_image(stack.image.region(0, i * height, width, height)));
        const auto& check = recorded.at("check");
        if (std::find(check.begin(), check.end(), i) == check.end()) continue;
        // Where parts of the picture move by themselves the choice among the points matters.
        const double tolerance = name == "movers" ? 2 : 0.05;
        const double distance = corner_distance(
            map, testing::recorded_map(recorded["reference"][static_cast<size_t>(i)]), width, height);
        EXPECT_LE(distance, tolerance) << name << " frame " << i;
      }
    }
}

TEST(CameraMotion, IsNoneForFlatSmallAndChangingPictures) {
  CameraMotion motion;
  for (const auto& [width, height] : {std::pair{64, 48}, {64, 48}, {1, 1}, {3, 2}, {3, 2}, {64, 48}})
    EXPECT_EQ(motion.next(image::Image(width, height, 90)), CameraMap());
}

TEST(CommonSimilarity, IgnoresPointsThatGoTheirOwnWays) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> place(0, 500);
  const CameraMap wanted = {0.99, -0.05, 12, 0.05, 0.99, -7};
  std::vector<FlowPoint> from, to;
  for (int i = 0; i < 100; ++i) {
    const FlowPoint point = {place(random), place(random)};
    from.push_back(point);
    if (i % 5 < 2)
      to.push_back({place(random), place(random)});
    else
      to.push_back({static_cast<float>(wanted.a * point.x + wanted.b * point.y + wanted.c),
                    static_cast<float>(wanted.d * point.x + wanted.e * point.y + wanted.f)});
  }
  const auto found = common_similarity(from, to);
  ASSERT_TRUE(found);
  EXPECT_LT(corner_distance(*found, wanted, 500, 500), 0.5);
  EXPECT_FALSE(common_similarity(std::vector<FlowPoint>(9), std::vector<FlowPoint>(9)));
}

}  // namespace
}  // namespace marrow::track
