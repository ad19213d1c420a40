// The golden folders themselves: which are walked, and that the tree's own has what a clone alone is tested
// by.
#include <gtest/gtest.h>

#include <string>

#include "support/environment.h"
#include "support/golden.h"
#include "support/temporary_folder.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

// MARROW_GOLDEN has this value as long as the object lives.
testing::Environment named_folders(const std::string& folders) {
  return {"MARROW_GOLDEN", folders.c_str()};
}

TEST(parity_golden_set, EveryNamedFolderIsWalkedAfterTheTrees) {
  const testing::TemporaryFolder a, b;
  fs::create_directories(b / "kind");
  const fs::path tree = fs::path(MARROW_SOURCE_DIR) / "tests" / "golden";
  const auto named = named_folders(a.path().string() + "::/no/such/folder:" + b.path().string());
  EXPECT_EQ(testing::golden_folders(), (std::vector<fs::path>{tree, a.path(), b.path()}));
  EXPECT_EQ(testing::golden_parts("kind"), (std::vector<fs::path>{b / "kind"}));
  EXPECT_TRUE(testing::golden_parts("no kind").empty());
}

TEST(parity_golden_set, WhatLiesBesideIsThatOfTheFirstFolderWithIt) {
  const testing::TemporaryFolder a, b;
  for (const fs::path& folder : {a / "golden", b / "golden", b / "data"}) fs::create_directories(folder);
  const auto named = named_folders((a / "golden").string() + ":" + (b / "golden").string());
  EXPECT_EQ(fs::canonical(testing::data_folder()), fs::canonical(b / "data"));
  EXPECT_FALSE(fs::exists(testing::weights_folder()));
}

// tests/golden/README.md. Without this a lost folder would look like a skipped test.
TEST(parity_golden_set, TheTreesOwnIsWholeAndSmall) {
  const auto named = named_folders("/no/such/folder");
  for (const char* part : {"backbones/grads", "yolov8/augment/hsv_flip.json", "yolov8/augment/mosaic.json",
                           "yolov8/augment/perspective.json", "yolov8/e2e/lr_schedule.json", "yolov8/forward",
                           "yolov8/letterbox/letterbox.json", "yolov8/letterbox/letterbox_pixels.safetensors",
                           "yolov8/loss/cases.json", "yolov8/loss/primitives.safetensors",
                           "yolov8/metrics/expected.json", "yolov8/nms", "yolov8/e2e/val_loader.json"})
    EXPECT_EQ(testing::golden_parts(part).size(), 1u) << part;
  EXPECT_EQ(testing::golden_files("backbones/grads", {".safetensors"}).size(), 7u);
  EXPECT_EQ(testing::golden_files("backbones", {"case.json"}).size(), 9u);
  EXPECT_EQ(testing::golden_files("backbones", {".pdparams"}).size(), 1u);
  uintmax_t bytes = 0;
  for (const fs::path& path :
       testing::golden_files("", {".json", ".safetensors", ".pth", ".pdparams", ".png", ".txt"}))
    bytes += fs::file_size(path);
  EXPECT_LT(bytes, 3'000'000u);
}

}  // namespace
}  // namespace marrow
