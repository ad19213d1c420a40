#include <algorithm>
#include <cstdlib>
#include <span>

#include "marrow/base/crc32.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/label_cache.h"
#include "support.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

class LabelCache : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    write_picture("images/train/a.png", 1);
    write_picture("images/train/b.png", 2, 33, 44);
    write_picture("images/train/c.png", 3);
    write("labels/train/a.txt", "0 .5 .5 .25 .5\n1 .1 .1 .2 .2\n");
    write("labels/train/b.txt", "1 .1 .1 .5 .1 .5 .5\n0 .5 .5 0 0 .5 .5\n");
    write("data.yaml", "train: images/train\nval: images/train\nnames: [x, y]\n");
    cache_ = folder_ / "labels/train.marrow-cache";
  }
  SplitLabels load() { return load_split(read_dataset(folder_ / "data.yaml"), "train"); }
  // Loads twice: what the first says of the cache; the second must use it and give the same.
  std::string load_twice() {
    const SplitLabels first = load(), second = load();
    EXPECT_EQ(first.images, second.images);
    EXPECT_EQ(first.problems, second.problems);
    EXPECT_EQ(first.dropped, second.dropped);
    EXPECT_NE(second.cache_note.find("are read from the cache"), std::string::npos) << second.cache_note;
    return first.cache_note;
  }
  CacheRead read() {
    if (dataset_.splits.empty()) dataset_ = read_dataset(folder_ / "data.yaml");
    const Split& split = dataset_.split("train");
    return read_label_cache(cache_, cache_key(dataset_, split, *make_split_reader(dataset_, split)));
  }
  static bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  }
  std::string content() {
    std::ifstream file(cache_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path cache_;
  Dataset dataset_;
};

TEST_F(LabelCache, GivesBackWhatWasRead) {
  EXPECT_TRUE(has(load_twice(), "labels are cached in"));
  const SplitLabels labels = load();
  ASSERT_EQ(labels.images.size(), 3u);
  EXPECT_EQ(labels.backgrounds, 1);
  EXPECT_EQ(labels.images[0].labels, (std::vector<Label>{{0, .5, .5, .25, .5}, {1, .1, .1, .2, .2}}));
  EXPECT_EQ(labels.images[1].width, 33);
  EXPECT_EQ(labels.images[1].height, 44);
  EXPECT_EQ(labels.images[1].polygons.size(), 2u);
}

TEST_F(LabelCache, RebuildsWhenClassListChanges) {
  load();
  write("data.yaml", "train: images/train\nval: images/train\nnames: [x, z]\n");
  EXPECT_TRUE(has(load_twice(), "is rebuilt: the class list has changed"));
}

TEST_F(LabelCache, RebuildsWhenALabelFileChanges) {
  load();
  write("labels/train/a.txt", "1 .5 .5 .25 .5\n");
  EXPECT_TRUE(has(load().cache_note, "labels/train/a.txt has changed"));
  EXPECT_EQ(load().images[0].labels.size(), 1u);
  // The same size, another time.
  write("labels/train/a.txt", "0 .5 .5 .25 .5\n");
  fs::last_write_time(folder_ / "labels/train/a.txt",
                      fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_TRUE(has(load_twice(), "labels/train/a.txt has changed"));
  // A label file that was not there.
  write("labels/train/c.txt", "");
  EXPECT_TRUE(has(load_twice(), "labels/train/c.txt has changed"));
}

TEST_F(LabelCache, RebuildsWhenImagesChange) {
  load();
  write_picture("images/train/b.png", 2, 50, 60);
  EXPECT_TRUE(has(load_twice(), "images/train/b.png has changed"));
  EXPECT_EQ(load().images[1].width, 50);
  write_picture("images/train/d.png", 4);
  EXPECT_TRUE(has(load_twice(), "there were 3 images, now there are 4"));
  fs::rename(folder_ / "images/train/d.png", folder_ / "images/train/e.png");
  EXPECT_TRUE(has(load_twice(), "images/train/e.png was not there"));
}

TEST_F(LabelCache, AnythingButAWholeCacheIsRebuilt) {
  load();
  const std::string whole = content();
  EXPECT_TRUE(read().scan);
  for (size_t length = 0; length < whole.size(); length += length < 64 ? 1 : 7) {
    write("labels/train.marrow-cache", whole.substr(0, length));
    EXPECT_TRUE(read().reason.starts_with("it is ")) << length;
  }
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x40);
    write("labels/train.marrow-cache", flipped);
    EXPECT_TRUE(!read().scan && !read().reason.empty()) << at;
  }
  EXPECT_TRUE(has(load_twice(), "is rebuilt: it is damaged (checksum)"));
  EXPECT_EQ(content(), whole);
}

TEST_F(LabelCache, HostileCountsWithARightChecksumAreRefused) {
  load();
  const std::string whole = content();
  // Every eight bytes in turn become a huge number: counts, lengths, classes, sizes, coordinates.
  int refused = 0;
  for (size_t at = 24; at + 12 < whole.size(); at += 3) {
    std::string bytes = whole.substr(0, whole.size() - 4);
    bytes.replace(at, 8, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
    const uint32_t sum = crc32(std::as_bytes(std::span(bytes)));
    bytes.append(reinterpret_cast<const char*>(&sum), 4);
    write("labels/train.marrow-cache", bytes);
    const CacheRead result = read();
    refused += !result.scan;
    if (!result.scan) continue;
    for (const ScannedImage& picture : result.scan->pictures)
      for (const Label& label : picture.image.labels) ASSERT_TRUE(label.class_id >= 0 && label.class_id < 2);
  }
  EXPECT_GT(refused, 30);
}

TEST_F(LabelCache, VersionSixIsReadAsTheFormatPageShowsIt) {
  using namespace std::string_literals;
  write("v6.marrow-cache", "MRWLABEL\6\0\0\0\0\0\0\0\x46\0\0\0\0\0\0\0"s + std::string(9, '\0') +
                               "\xff\xff\xff\xff\1\0\0\0\0\0\0\0\3\0\0\0cat\2\0\0\0\0\0\0\0"s +
                               "\2\0\0\0/d\0\0\0\0"s + std::string(24, '\0') + "\x5c\x4f\x41\x92"s);
  const CacheRead result = read_label_cache(
      folder_ / "v6.marrow-cache", {DatasetFormat::kYolo, Task::kDetect, {}, -1, {"cat"}, {"/d", ""}, {}});
  ASSERT_TRUE(result.scan) << result.reason;
  EXPECT_TRUE(result.scan->pictures.empty());
}

// Version 1 was made when a row's meaning followed from the longest row of its file.
TEST_F(LabelCache, VersionOneIsRebuilt) {
  using namespace std::string_literals;
  write("labels/train.marrow-cache",
        "MRWLABEL\1\0\0\0\0\0\0\0\x39\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\3\0\0\0cat\2\0\0\0\0\0\0\0"s
        "\2\0\0\0/d\0\0\0\0"s +
            std::string(24, '\0') + "\x1f\x47\x16\x25"s);
  EXPECT_TRUE(has(load_twice(), "is rebuilt: it is of version 1"));
}

// Version 2 knew no class `ignore`.
TEST_F(LabelCache, VersionTwoIsRebuilt) {
  using namespace std::string_literals;
  write("labels/train.marrow-cache", "MRWLABEL\2\0\0\0\0\0\0\0\x41\0\0\0\0\0\0\0"s + std::string(8, '\0') +
                                         "\1\0\0\0\0\0\0\0\3\0\0\0cat\2\0\0\0\0\0\0\0\2\0\0\0/d\0\0\0\0"s +
                                         std::string(24, '\0') + "\xb2\x14\x98\x7b"s);
  EXPECT_TRUE(has(load_twice(), "is rebuilt: it is of version 2"));
}

// Version 3 knew neither tasks, nor parts of outlines, nor keypoints.
TEST_F(LabelCache, VersionThreeIsRebuilt) {
  using namespace std::string_literals;
  write("labels/train.marrow-cache", "MRWLABEL\3\0\0\0\0\0\0\0\x45\0\0\0\0\0\0\0"s + std::string(8, '\0') +
                                         "\xff\xff\xff\xff\1\0\0\0\0\0\0\0\3\0\0\0cat\2\0\0\0\0\0\0\0"s +
                                         "\2\0\0\0/d\0\0\0\0"s + std::string(24, '\0') + "\xdd\xf6\x67\x4e"s);
  EXPECT_TRUE(has(load_twice(), "is rebuilt: it is of version 3"));
}

// Version 5 knew no people that pycocotools ignores.
TEST_F(LabelCache, VersionFiveIsRebuilt) {
  using namespace std::string_literals;
  write("labels/train.marrow-cache", "MRWLABEL\5\0\0\0\0\0\0\0\x46\0\0\0\0\0\0\0"s + std::string(9, '\0') +
                                         "\xff\xff\xff\xff\1\0\0\0\0\0\0\0\3\0\0\0cat\2\0\0\0\0\0\0\0"s +
                                         "\2\0\0\0/d\0\0\0\0"s + std::string(24, '\0') + "\xa3\x1f\xec\xe6"s);
  EXPECT_TRUE(has(load_twice(), "is rebuilt: it is of version 5"));
}

TEST_F(LabelCache, KeepsPartsAndKeypoints) {
  const auto key = [](int keypoints) {
    return CacheKey{DatasetFormat::kYolo, Task::kPose, {keypoints, 3}, -1, {"cat"}, {"/d", ""}, {}};
  };
  Scan scan;
  scan.pictures.emplace_back();
  scan.pictures[0].usable = true;
  LabelledImage& image = scan.pictures[0].image;
  image.width = image.height = 20;
  image.labels = {{0, .5, .5, .2, .2}, {0, .3, .3, .1, .2}};
  image.polygons = {Polygon(7, {.5, .25}), Polygon(3, {.1, .2})};
  image.parts = {{3}, {}};
  image.keypoints.assign(4, {.1, .2, 2});
  write_label_cache(cache_, key(2), scan);
  const CacheRead read = read_label_cache(cache_, key(2));
  ASSERT_TRUE(read.scan) << read.reason;
  EXPECT_EQ(read.scan->pictures[0].image, image);
  EXPECT_EQ(read_label_cache(cache_, key(3)).reason, "kpt_shape has changed");
  CacheKey other = key(2);
  other.task = Task::kDetect;
  EXPECT_EQ(read_label_cache(cache_, other).reason, "it is of labels for another task");
  // Parts that are none.
  for (const PartStarts& starts : {PartStarts{0}, PartStarts{7}, PartStarts{3, 3}}) {
    image.parts[0] = starts;
    write_label_cache(cache_, key(2), scan);
    EXPECT_FALSE(read_label_cache(cache_, key(2)).scan);
  }
}

TEST_F(LabelCache, KeepsRegionsToIgnore) {
  write("data.yaml", "train: images/train\nval: images/train\nnames: [x, y, ignore]\n");
  write("labels/train/a.txt", "0 .5 .5 .25 .5\n1 .1 .1 .2 .2\n2 .5 .5 .5 .5\n");
  load_twice();
  const std::vector<IgnoredLabel> ignored = load().images[0].ignored;
  EXPECT_EQ(ignored,
            (std::vector<IgnoredLabel>{{{kIgnoreClass, {.5, .5, .5, .5}}, IgnoredLabel::Reason::kClass}}));
}

// The names without it are the same.
TEST_F(LabelCache, RebuildsWhenTheNumberOfTheClassIgnoreChanges) {
  for (const char* name : {"a", "b"}) write("labels/train/" + std::string(name) + ".txt", "0 .5 .5 .25 .5\n");
  write("data.yaml", "train: images/train\nval: images/train\nnames: [x, y, ignore]\n");
  load();
  write("data.yaml", "train: images/train\nval: images/train\nnames: [ignore, x, y]\n");
  EXPECT_TRUE(has(load_twice(), "is rebuilt: the class list has changed"));
}

TEST_F(LabelCache, RebuildsWhenTheKeypointsChange) {
  load();
  write("data.yaml", "train: images/train\nval: images/train\nnames: [x, y]\nkpt_shape: [1, 2]\n");
  EXPECT_TRUE(has(load_twice(), "is rebuilt: kpt_shape has changed"));
}

TEST_F(LabelCache, AFolderThatCannotBeWrittenIsNoError) {
  // Root may write everywhere; a folder in the cache's place nobody can replace.
  fs::create_directories(cache_ / "inside");
  ::setenv("XDG_CACHE_HOME", (folder_ / "home").c_str(), 1);
  const SplitLabels labels = load();
  EXPECT_EQ(labels.images.size(), 3u);
  EXPECT_TRUE(fs::exists(folder_ / "home/marrow"));
  EXPECT_TRUE(has(load().cache_note, "are read from the cache")) << load().cache_note;
  ::setenv("XDG_CACHE_HOME", (folder_ / "data.yaml").c_str(), 1);
  EXPECT_TRUE(has(load().cache_note, "labels are not cached: ")) << load().cache_note;
  ::unsetenv("XDG_CACHE_HOME");
}

// A folder stands for what a disk or a system without descriptors refuses for a while.
TEST_F(LabelCache, NothingIsKeptOfAFileThatCannotBeRead) {
  fs::remove(folder_ / "labels/train/a.txt");
  fs::create_directories(folder_ / "labels/train/a.txt");
  const SplitLabels labels = load();
  EXPECT_EQ(labels.dropped, 1);
  EXPECT_TRUE(has(labels.problems.at(0).text(), "a.txt: is a folder"));
  EXPECT_EQ(labels.cache_note, "labels are not cached while files cannot be read");
  EXPECT_FALSE(fs::exists(cache_));
}

TEST_F(LabelCache, UnusableImagesAreDroppedAndNamed) {
  write("images/train/d.png", "no image");
  write_picture("images/train/e.png", 5, 9, 30);
  write("labels/train/a.txt", "0 .5 .5 .25 .5\n7 .1 .1 .2 .2\n");
  fs::create_symlink("nowhere.png", folder_ / "images/train/f.png");
  load_twice();
  const SplitLabels labels = load();
  EXPECT_EQ(labels.listed, 6);
  EXPECT_EQ(labels.dropped, 4);
  ASSERT_EQ(labels.problems.size(), 4u);
  const auto text = [&](size_t i) { return labels.problems[i].text().substr(folder_.string().size() + 1); };
  EXPECT_EQ(text(0), "labels/train/a.txt:2: class 7, but the dataset has 2 classes (0..1)");
  EXPECT_EQ(text(1), "images/train/d.png: not an image: neither JPEG, PNG, WebP, BMP nor TIFF");
  EXPECT_EQ(text(2), "images/train/e.png: 9 x 30 pixels; at least 10 a side are wanted");
  EXPECT_EQ(text(3), "images/train/f.png: no such image");
}

TEST_F(LabelCache, AllImagesUnusableIsAnError) {
  for (const char* name : {"a", "b", "c"}) write(std::string("images/train/") + name + ".png", "x");
  EXPECT_TRUE(has(message_of([&] { load(); }), "none of the 3 images can be used; the first: "));
}

}  // namespace
}  // namespace marrow::data
