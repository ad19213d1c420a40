#include "marrow/data/tools/divide.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "marrow/base/random.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/tools/check.h"
#include "marrow/data/tools/groups.h"
#include "marrow/data/tools/look.h"
#include "marrow/data/tools/merge.h"
#include "marrow/image/decode.h"
#include "marrow/image/resize.h"
#include "support.h"
#include "support/expect_says.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

// A picture with structure: squares at places that follow from the seed, over a gradient; `shift` moves one
// of them by so many pixels.
image::Image pattern(uint64_t seed, int shift = 0, int side = 128) {
  image::Image image(side, side, uint8_t{40});
  Random random(seed, "pattern");
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<uint8_t>(40 + x * 60 / side);
  for (int k = 0; k < 12; ++k) {
    const int size = side / 8 + static_cast<int>(random.below(static_cast<uint64_t>(side / 5)));
    const int left =
        static_cast<int>(random.below(static_cast<uint64_t>(side - size - 8))) + (k == 11 ? shift : 0);
    const int top = static_cast<int>(random.below(static_cast<uint64_t>(side - size)));
    const uint8_t colour[3] = {static_cast<uint8_t>(random.below(256)),
                               static_cast<uint8_t>(random.below(256)),
                               static_cast<uint8_t>(random.below(256))};
    for (int y = top; y < top + size; ++y)
      for (int x = std::max(left, 0); x < std::min(left + size, side); ++x)
        for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = colour[c];
  }
  return image;
}

TEST(Look, FindsTheSameImageAtAnotherSizeAndQuality) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    const image::Image whole = pattern(seed);
    image::Image small(90, 90);
    image::resize_linear(whole.pixels(), small.pixels());
    const std::string jpeg = image::encode_jpeg(whole.pixels(), {.quality = 40});
    const image::Image again = image::decode_image(std::as_bytes(std::span(jpeg)), "x").image;
    const Look look = look_of(whole);
    EXPECT_TRUE(look_alike(look, look_of(small))) << seed;
    EXPECT_TRUE(look_alike(look, look_of(again))) << seed;
    EXPECT_TRUE(look_alike(look, look_of(pattern(seed, 1)))) << seed;
    for (uint64_t other = seed + 1; other < 20; ++other) {
      EXPECT_FALSE(look_alike(look, look_of(pattern(other)))) << seed << ' ' << other;
      EXPECT_FALSE(look_related(look, look_of(pattern(other)))) << seed << ' ' << other;
    }
  }
  EXPECT_TRUE(look_alike(look_of(image::Image()), look_of(image::Image())));
}

TEST(Groups, TellSeriesAndCopiesByTheirNames) {
  EXPECT_EQ(series_of("a/b/frame_0012.jpg"), "a/b/frame_");
  EXPECT_EQ(series_of("a/0012.jpg"), "a/");
  EXPECT_EQ(series_of("a1/b.jpg"), "a1/b");
  EXPECT_EQ(original_of("train/images/p0_jpg.rf.0123abc.jpg"), "p0_jpg");
  EXPECT_EQ(original_of("train/images/p0.jpg"), "");
}

class Division : public testing::DataFolder {
 protected:
  void add(const std::string& name, const image::Image& image, int class_id = 0) {
    write("in/images/" + name + ".png", image::encode_png(image.pixels()));
    write("in/labels/" + name + ".txt", std::to_string(class_id) + " .5 .5 .4 .4\n");
  }
  Dataset in() {
    write("in/data.yaml", "train: images\nnames: [cat, dog, eel]\n");
    return read_dataset(folder_ / "in");
  }
  // The stems of a split.
  std::set<std::string> stems(const std::string& out, const std::string& split) {
    std::set<std::string> result;
    const Dataset dataset = read_dataset(folder_ / out);
    if (dataset.find_split(split) == nullptr) return result;
    for (const LabelledImage& image : load_split(dataset, split, {.use_cache = false}).images)
      result.insert(image.path.stem().string());
    return result;
  }
};

TEST_F(Division, KeepsTogetherWhatBelongsTogether) {
  for (int film = 0; film < 4; ++film)
    for (int frame = 0; frame < 5; ++frame)
      add("film" + std::to_string(film) + "_" + std::to_string(frame),
          pattern(static_cast<uint64_t>(film) + 1, frame));
  for (int i = 0; i < 20; ++i)
    add("photo" + std::to_string(i), pattern(100 + static_cast<uint64_t>(i)), i % 3);
  add("copy_jpg.rf.1111", pattern(200));
  add("copy_jpg.rf.2222", pattern(201));
  const DivideSummary summary = divide_dataset(in(), folder_ / "out", {.val_share = 0.3, .seed = 5});
  EXPECT_EQ(summary.groups, 4 + 20 + 1);
  EXPECT_EQ(summary.largest_group, 5);
  const std::set<std::string> train = stems("out", "train"), val = stems("out", "val");
  EXPECT_EQ(train.size() + val.size(), 42u);
  EXPECT_NEAR(static_cast<double>(val.size()), 0.3 * 42, 2.5);
  for (int film = 0; film < 4; ++film) {
    int in_val = 0;
    for (int frame = 0; frame < 5; ++frame)
      in_val += val.contains("film" + std::to_string(film) + "_" + std::to_string(frame));
    EXPECT_TRUE(in_val == 0 || in_val == 5) << film;
  }
  EXPECT_EQ(val.contains("copy_jpg.rf.1111"), val.contains("copy_jpg.rf.2222"));
  for (const Problem& problem : check_dataset(read_dataset(folder_ / "out"), {}).problems)
    EXPECT_NE(problem.kind, Problem::Kind::kNearDuplicate) << problem.text();
  // The same seed, the same division; another, another.
  divide_dataset(in(), folder_ / "again", {.val_share = 0.3, .seed = 5});
  EXPECT_EQ(stems("again", "val"), val);
  divide_dataset(in(), folder_ / "other", {.val_share = 0.3, .seed = 6});
  EXPECT_NE(stems("other", "val"), val);
}

TEST_F(Division, SharesEveryClass) {
  std::vector<LabelledImage> images;
  std::vector<int> groups;
  for (int i = 0; i < 200; ++i) {
    LabelledImage image;
    image.labels.push_back({i % 20 == 0 ? 1 : 0, {.5, .5, .1, .1}});
    images.push_back(image);
    groups.push_back(i);
  }
  const std::vector<int> split_of = divide(images, groups, 2, std::array{0.7, 0.2, 0.1}, 0);
  int counts[3] = {}, rare[3] = {};
  for (size_t i = 0; i < images.size(); ++i) {
    ++counts[split_of[i]];
    rare[split_of[i]] += images[i].labels[0].class_id == 1;
  }
  EXPECT_NEAR(counts[0], 140, 3);
  EXPECT_NEAR(counts[1], 40, 3);
  EXPECT_NEAR(counts[2], 20, 3);
  EXPECT_EQ(rare[0] + rare[1] + rare[2], 10);
  EXPECT_NEAR(rare[1], 2, 1);
  EXPECT_GE(rare[2], 1);
  // Two images: one each.
  images.resize(2);
  groups.resize(2);
  const std::vector<int> two = divide(images, groups, 2, std::array{0.8, 0.2, 0.0}, 0);
  EXPECT_NE(two[0], two[1]);
}

TEST_F(Division, FoldsAreEachValidatedOnOnce) {
  for (int film = 0; film < 3; ++film)
    for (int frame = 0; frame < 2; ++frame)
      add("film" + std::to_string(film) + "_" + std::to_string(frame),
          pattern(static_cast<uint64_t>(film) + 1, frame));
  for (int i = 0; i < 12; ++i)
    add("photo" + std::to_string(i), pattern(100 + static_cast<uint64_t>(i)), i % 3);
  const DivideSummary summary = divide_dataset(in(), folder_ / "out", {.folds = 3});
  EXPECT_EQ(summary.parts.size(), 3u);
  std::set<std::string> all;
  for (const char* file : {"out/fold1.yaml", "out/fold2.yaml", "out/fold3.yaml"}) {
    const Dataset dataset = read_dataset(folder_ / file);
    std::set<std::string> train, val;
    for (const auto& [split, found] : {std::pair{"train", &train}, {"val", &val}})
      for (const LabelledImage& image : load_split(dataset, split, {.use_cache = false}).images) {
        EXPECT_EQ(image.labels.size(), 1u);
        found->insert(image.path.stem().string());
      }
    EXPECT_NEAR(static_cast<double>(val.size()), 6, 1);
    EXPECT_EQ(train.size() + val.size(), 18u);
    for (const std::string& stem : val) {
      EXPECT_FALSE(train.contains(stem)) << stem;
      EXPECT_TRUE(all.insert(stem).second) << stem << " is validated on twice";
      if (stem.starts_with("film")) {
        EXPECT_TRUE(val.contains(stem.substr(0, 6) + "0") && val.contains(stem.substr(0, 6) + "1"));
      }
    }
  }
  EXPECT_EQ(all.size(), 18u);
  EXPECT_EQ(stems("out", "val"), [&] {
    std::set<std::string> first;
    for (const LabelledImage& image :
         load_split(read_dataset(folder_ / "out/fold1.yaml"), "val", {.use_cache = false}).images)
      first.insert(image.path.stem().string());
    return first;
  }());
  EXPECT_SAYS(message_of([&] { divide_dataset(in(), folder_ / "many", {.folds = 16}); }),
              "are 15 groups of those that belong together, too few for 16 parts; --no-group");
  EXPECT_SAYS(message_of([&] { divide_dataset(in(), folder_ / "many", {.folds = 50}); }),
              "18 usable images cannot be divided into 50 folds");
  DivideOptions coco{.folds = 2};
  coco.write.to = DatasetFormat::kCoco;
  EXPECT_SAYS(message_of([&] { divide_dataset(in(), folder_ / "coco", coco); }), "give --to yolo");
  EXPECT_FALSE(fs::exists(folder_ / "coco"));
}

TEST_F(Division, RefusesToLeaveASplitEmpty) {
  for (int frame = 0; frame < 4; ++frame) add("film_" + std::to_string(frame), pattern(1, frame));
  EXPECT_SAYS(message_of([&] { divide_dataset(in(), folder_ / "out", {.val_share = 0.3}); }),
              "its images are 1 group of those that belong together, too few for 2 parts; --no-group");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

// As thermal cameras give, whose 16 bits become 8: all that there is lies within five levels.
TEST(Look, TellsNearlyBlackImagesApart) {
  const auto dim = [](uint64_t seed, int shift = 0) {
    image::Image image = pattern(seed, shift);
    for (size_t i = 0; i < image.byte_size(); ++i)
      image.row(0)[i] = static_cast<uint8_t>(12 + image.row(0)[i] / 52);
    return image;
  };
  for (uint64_t seed = 1; seed < 12; ++seed) {
    EXPECT_TRUE(look_alike(look_of(dim(seed)), look_of(dim(seed, 1)))) << seed;
    for (uint64_t other = seed + 1; other < 12; ++other)
      EXPECT_FALSE(look_alike(look_of(dim(seed)), look_of(dim(other)))) << seed << ' ' << other;
  }
}

TEST_F(Division, RefusesWhatCannotBeDivided) {
  add("a", pattern(1));
  EXPECT_SAYS(message_of([&] { divide_dataset(in(), folder_ / "out", {}); }),
              "1 usable image cannot be divided");
  EXPECT_SAYS(
      message_of([&] { divide_dataset(in(), folder_ / "out", {.val_share = 0.5, .test_share = 0.5}); }),
      "leave nothing to train on");
  EXPECT_SAYS(
      message_of([&] { divide_dataset(in(), folder_ / "out", {.val_share = 0.7, .test_share = 0.3}); }),
      "leave nothing to train on");
  EXPECT_SAYS(message_of([&] { divide_dataset(in(), folder_ / "in", {}); }), "there is a dataset already");
}

TEST_F(Division, LeaksBetweenSplitsAreWarnedOf) {
  add("train/a", pattern(1));
  add("train/b", pattern(2), 1);
  add("val/c", pattern(1, 1));
  add("val/d", pattern(3), 1);
  write("in/data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n");
  const fs::path sheet = folder_ / "near.png";
  const DatasetCheck check = check_dataset(read_dataset(folder_ / "in"), {.near_sheet = sheet});
  ASSERT_EQ(check.warnings, 1);
  EXPECT_EQ(check.errors, 0);
  EXPECT_EQ(check.problems[0].kind, Problem::Kind::kNearDuplicate);
  EXPECT_SAYS(check.problems[0].text(), "images/val/c.png: shows nearly the same as ");
  EXPECT_EQ(image::decode_image_file(sheet).image.width(), 2 * 240 + 8);
}

class Merge : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    write_picture("one/images/train/a.png", 1);
    write("one/labels/train/a.txt", "0 .5 .5 .2 .2\n1 .25 .5 .2 .2\n");
    write("one/data.yaml", "train: images/train\nval: images/train\nnames: [car, dirt]\n");
    write_picture("two/images/train/a.png", 2);
    write("two/labels/train/a.txt", "0 .5 .5 .4 .4\n1 .25 .5 .4 .4\n2 .75 .5 .2 .2\n");
    write("two/data.yaml", "train: images/train\nval: images/train\nnames: [person, car, truck]\n");
  }
  std::vector<Dataset> both() { return {read_dataset(folder_ / "one"), read_dataset(folder_ / "two")}; }
};

TEST_F(Merge, ByTheNamesOfClasses) {
  const MergeSummary summary = merge_datasets(both(), folder_ / "out", {});
  EXPECT_EQ(summary.names, (std::vector<std::string>{"car", "dirt", "person", "truck"}));
  EXPECT_EQ(summary.left_out, 0);
  ASSERT_EQ(summary.notes.size(), 2u);
  EXPECT_SAYS(summary.notes[0], "2 classes are not labelled in " + (folder_ / "one").string());
  EXPECT_SAYS(summary.notes[0], "('person', 'truck')");
  EXPECT_SAYS(summary.notes[1], "a class is not labelled in " + (folder_ / "two").string());
  EXPECT_SAYS(summary.notes[1], "('dirt')");
  const Dataset out = read_dataset(folder_ / "out");
  EXPECT_EQ(out.names, summary.names);
  const SplitLabels train = load_split(out, "train", {.use_cache = false});
  ASSERT_EQ(train.images.size(), 2u);
  EXPECT_EQ(train.images[1].path.filename(), "a_2.png");
  EXPECT_EQ(train.images[1].labels,
            (std::vector<Label>{{2, {.5, .5, .4, .4}}, {0, {.25, .5, .4, .4}}, {3, {.75, .5, .2, .2}}}));
}

TEST_F(Merge, ClassesAreRenamedAndLeftOut) {
  MergeOptions options;
  options.rename = {{"car", "vehicle"}, {"truck", "vehicle"}, {"dirt", ""}};
  const MergeSummary summary = merge_datasets(both(), folder_ / "out", options);
  EXPECT_EQ(summary.names, (std::vector<std::string>{"vehicle", "person"}));
  EXPECT_EQ(summary.left_out, 2) << "in both splits";
  const SplitLabels train = load_split(read_dataset(folder_ / "out"), "train", {.use_cache = false});
  EXPECT_EQ(train.images[0].labels, (std::vector<Label>{{0, {.5, .5, .2, .2}}}));
  EXPECT_EQ(train.images[1].labels.size(), 3u);
  options.rename = {{"cra", "vehicle"}};
  EXPECT_SAYS(message_of([&] { merge_datasets(both(), folder_ / "other", options); }),
              "--map: unknown class 'cra'. Did you mean 'car'?");
  EXPECT_FALSE(fs::exists(folder_ / "other"));
}

}  // namespace
}  // namespace marrow::data
