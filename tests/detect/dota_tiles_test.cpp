#include "marrow/detect/dota_tiles.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "support/temporary_folder.h"

namespace marrow::detect {
namespace {

TEST(DotaTile, ItsNameSaysWhereItLies) {
  const auto tile = dota_tile("P0006__1024__824___1648");
  ASSERT_TRUE(tile);
  EXPECT_EQ(tile->image, "P0006");
  EXPECT_EQ(tile->x, 824);
  EXPECT_EQ(tile->y, 1648);
  EXPECT_EQ(dota_tile("P_1__0.5__0___12").value().image, "P_1");
  for (const char* name : {"P0006", "P0006__1024__824", "__1024__8___9", "P__1024__-8___9", "P__1024__8___9x",
                           "P__1024__8___99999999999", "P___8___9", ""})
    EXPECT_FALSE(dota_tile(name)) << name;
}

TEST(DotaPredictions, WhatTwoTilesSeeIsOneObject) {
  const std::vector<std::string> names = {"ship", "plane"};
  DotaPredictions predictions(names);
  predictions.add("P1__100__0___0", 0, 0.6, {80, 20, 30, 10, 0.2f});
  predictions.add("P1__100__60___0", 0, 0.8, {20, 20, 30, 10, 0.2f});  // the same one
  predictions.add("P1__100__60___0", 1, 0.5, {20, 20, 30, 10, 0.2f});  // of another class
  predictions.add("P2__100__60___0", 0, 0.5, {20, 20, 30, 10, 0});     // in another image
  predictions.add("P3", 0, 0.9, {20, 20, 30, 10, 0});                  // no tile
  EXPECT_EQ(predictions.merged().files()[0].text,
            "P1 0.8 93.708 27.88 95.694 18.08 66.292 12.12 64.306 21.92\n"
            "P2 0.5 95 25 95 15 65 15 65 25\n");
  EXPECT_EQ(predictions.merged().files()[1].text,
            "P1 0.5 93.708 27.88 95.694 18.08 66.292 12.12 64.306 21.92\n");

  const testing::TemporaryFolder folder;
  predictions.write(folder.path());
  const auto lines = [&](const char* name) {
    std::ifstream file(folder / name);
    return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  };
  EXPECT_EQ(lines("predictions_txt/Task1_ship.txt"), 4);
  EXPECT_EQ(lines("predictions_merged_txt/Task1_ship.txt"), 2);
}

TEST(DotaPredictions, WithoutTilesNothingIsMerged) {
  const testing::TemporaryFolder folder;
  DotaPredictions predictions(std::vector<std::string>{"ship"});
  predictions.add("P3", 0, 0.9, {20, 20, 30, 10, 0});
  predictions.write(folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder / "predictions_merged_txt"));
}

}  // namespace
}  // namespace marrow::detect
