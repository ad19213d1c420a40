// DOTA's windows against golden-2/tasks/labels/dota_windows.json.
#include <gtest/gtest.h>

#include "marrow/geometry/tiles.h"
#include "tensors.h"

namespace marrow {
namespace {

TEST(DotaWindows, LieAsRecorded) {
  testing::for_each_golden("tasks/labels/dota_windows.json", [](const auto& path) {
    for (const nlohmann::json& one : testing::read_json(path)) {
      nlohmann::json found = nlohmann::json::array();
      const int side = one["crop"];
      for (const Tile& tile : windows_of(testing::size_of_hw(one["image_hw"]), side, one["gap"]))
        found.push_back({tile.x, tile.y, tile.x + tile.size.width, tile.y + tile.size.height});
      EXPECT_EQ(found, one["windows_x1y1x2y2"]);
    }
  });
}

}  // namespace
}  // namespace marrow
