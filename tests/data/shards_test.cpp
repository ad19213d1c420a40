// Datasets in shards: written, and read again with all of their labels.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "data/support.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/random.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/fingerprint.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/shards/shard_labels.h"
#include "marrow/data/tools/check.h"
#include "marrow/data/tools/convert.h"
#include "marrow/data/tools/shard.h"
#include "marrow/data/tools/synth.h"
#include "support/expect_says.h"

#define EXPECT_REFUSES(expression, part) \
  EXPECT_SAYS(::marrow::testing::message_of([&] { static_cast<void>(expression); }), part)

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

class Shards : public testing::DataFolder {
 protected:
  // The images of a split by the names of their files.
  static std::map<std::string, LabelledImage> by_name(const Dataset& dataset, const std::string& split) {
    std::map<std::string, LabelledImage> images;
    for (LabelledImage& image : load_split(dataset, split, {.use_cache = false}).images)
      images.emplace(image.path.filename().string(), std::move(image));
    return images;
  }

  Dataset drawn(Task task, const std::string& name = "plain") {
    SynthOptions options;
    options.images = 30;
    options.image_size = 96;
    options.task = task;
    write_synth_dataset(folder_ / name, options);
    Dataset dataset = read_dataset(folder_ / name);
    dataset.task = task;
    return dataset;
  }

  std::string tar(const std::vector<std::pair<std::string, std::string>>& members) {
    std::string bytes;
    for (const auto& [name, content] : members)
      bytes += tar_header(name, content.size()) + content + std::string(tar_padding(content.size()), '\0');
    return bytes + tar_end();
  }
  static std::string picture(uint64_t seed = 1, int width = 40) {
    return image::encode_png(image::draw_scene(width, 20, seed).pixels());
  }
  static ShardIndex index_of(const std::string& bytes) {
    return index_shard(source_of(std::as_bytes(std::span(bytes))), "a.tar");
  }
};

TEST_F(Shards, BracesNameThem) {
  EXPECT_EQ(expand_braces("a.tar"), std::vector<std::string>{"a.tar"});
  EXPECT_EQ(expand_braces("a-{08..11}.tar"),
            (std::vector<std::string>{"a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"}));
  EXPECT_EQ(expand_braces("{a,b}{1..2}.tar"),
            (std::vector<std::string>{"a1.tar", "a2.tar", "b1.tar", "b2.tar"}));
  EXPECT_EQ(expand_braces("x{9..10}"), (std::vector<std::string>{"x9", "x10"}));
  for (const char* wrong : {"a-{0..3.tar", "a-}3{.tar", "{a..b}", "{3..1}", "{0..99999999}", "{{1..2}}",
                            "{-1..2}", "{1}{1}{1}{1}{1}{1}{1}{1}{1}", "{0..999999}{0..1}"})
    EXPECT_THROW(expand_braces(wrong), Error) << wrong;
}

// Written and read again, nothing has changed, to the last digit.
TEST_F(Shards, HoldWhatThePlainDatasetHas) {
  for (const Task task : {Task::kDetect, Task::kSegment, Task::kPose, Task::kObb}) {
    const std::string name(task_name(task));
    const Dataset plain = drawn(task, "plain_" + name);
    const ShardSummaries written = shard_dataset(plain, folder_ / name, {.samples = 7});
    ASSERT_EQ(written.parts.size(), 2u);
    EXPECT_EQ(written.parts[0].shards, (written.parts[0].images + 6) / 7);
    Dataset sharded = read_dataset(folder_ / name / "data.yaml");
    sharded.task = task;
    EXPECT_EQ(sharded.names, plain.names);
    EXPECT_EQ(sharded.skeleton.shape, plain.skeleton.shape);
    EXPECT_EQ(sharded.skeleton.flip_idx, plain.skeleton.flip_idx);
    for (const std::string split : {"train", "val"}) {
      const auto wanted = by_name(plain, split), found = by_name(sharded, split);
      ASSERT_EQ(found.size(), wanted.size()) << name;
      for (const auto& [file, image] : wanted) {
        const LabelledImage& other = found.at(file);
        EXPECT_EQ(static_cast<const ImageLabels&>(other), static_cast<const ImageLabels&>(image))
            << name << file;
        EXPECT_EQ(other.width, image.width);
        EXPECT_EQ(read_image_bytes(other), read_image_bytes(image));
      }
    }
    // Validation keeps its order, so what is measured is the same.
    EXPECT_EQ(fingerprint(load_split(sharded, "val").images), fingerprint(load_split(plain, "val").images));
  }
}

TEST_F(Shards, OfClassesToo) {
  for (const char* name : {"train/cat/a.png", "train/cat/b.b.png", "train/dog/a.png", "val/dog/c.png"})
    write_picture(std::string("classes/") + name, stream_of(name));
  shard_dataset(read_dataset(folder_ / "classes"), folder_ / "out", {});
  const Dataset sharded = read_dataset(folder_ / "out/data.yaml");
  EXPECT_EQ(sharded.format, DatasetFormat::kFolders);
  const auto train = by_name(sharded, "train"), val = by_name(sharded, "val");
  ASSERT_EQ(train.size(), 3u);
  std::vector<int> classes;
  for (const auto& [file, image] : train) classes.push_back(image.labels.at(0).class_id);
  std::ranges::sort(classes);
  EXPECT_EQ(classes, (std::vector<int>{0, 0, 1}));
  EXPECT_TRUE(train.contains("b_b.png"));  // a dot would end the key
  EXPECT_TRUE(train.contains("a_2.png"));
  EXPECT_EQ(val.at("c.png").labels.at(0).class_id, 1);
}

TEST_F(Shards, RegionsToIgnoreStay) {
  write_picture("images/a.png");
  write("labels/a.txt", "0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n2 .25 .25 .1 .1\n");
  write("data.yaml", "train: images\nval: images\nnames: [cat, ignore, dog]\n");
  shard_dataset(read_dataset(folder_ / "data.yaml"), folder_ / "out", {});
  const auto found = by_name(read_dataset(folder_ / "out/data.yaml"), "train");
  const LabelledImage& image = found.at("a.png");
  ASSERT_EQ(image.labels.size(), 2u);
  EXPECT_EQ(image.labels[1].class_id, 1);
  ASSERT_EQ(image.ignored.size(), 1u);
}

TEST_F(Shards, AreTheSameBytesAgain) {
  const Dataset plain = drawn(Task::kDetect);
  shard_dataset(plain, folder_ / "one", {.samples = 7});
  shard_dataset(plain, folder_ / "two", {.samples = 7});
  for (const char* name :
       {"train-000000.tar", "train-000001.tar", "val-000000.tar", "train-000000.tar.index"})
    EXPECT_EQ(read_file(folder_ / "one" / name, 1 << 24), read_file(folder_ / "two" / name, 1 << 24)) << name;
  shard_dataset(plain, folder_ / "three", {.samples = 7, .seed = 5});
  EXPECT_NE(read_file(folder_ / "one/train-000000.tar", 1 << 24),
            read_file(folder_ / "three/train-000000.tar", 1 << 24));
}

TEST_F(Shards, AKilledWritingCanBeDoneAgain) {
  const Dataset plain = drawn(Task::kDetect);
  write("out/train-000000.tar", "half a sh");
  write("out/.train-000001.tar.1-0.tmp", "half a sh");
  shard_dataset(plain, folder_ / "out", {.samples = 7});
  shard_dataset(plain, folder_ / "fresh", {.samples = 7});
  EXPECT_FALSE(fs::exists(folder_ / "out/.train-000001.tar.1-0.tmp"));
  EXPECT_EQ(read_file(folder_ / "out/train-000000.tar", 1 << 24),
            read_file(folder_ / "fresh/train-000000.tar", 1 << 24));
  EXPECT_REFUSES(shard_dataset(plain, folder_ / "out", {}), "there is a dataset already");
}

TEST_F(Shards, SizeIsALimit) {
  const Dataset plain = drawn(Task::kDetect);
  shard_dataset(plain, folder_ / "out", {.megabytes = 0.05});
  int shards = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "out")) {
    if (!is_shard(entry.path())) continue;
    EXPECT_LE(fs::file_size(entry.path()), 50'000u);
    ++shards;
  }
  EXPECT_GT(shards, 4);
}

TEST_F(Shards, OfOtherToolsNeedNoIndex) {
  // Members in any order, in folders, of suffixes that mean nothing here.
  write("train.tar", tar({{"./a/one.json", "{}"},
                          {"./a/one.txt", "0 .5 .5 .2 .2\n"},
                          {"./a/two.jpg.md5", "0"},
                          {"./b/one.PNG", picture(2)},
                          {"./a/one.png", picture(1, 30)},
                          {"./a/one.seg.png", picture(3)},
                          {"./._one.png", "AppleDouble"}}));
  write("data.yaml", "train: train.tar\nnames: [cat]\n");
  const Dataset dataset = read_dataset(folder_ / "data.yaml");
  SplitLabels labels = load_split(dataset, "train");
  ASSERT_EQ(labels.images.size(), 2u);
  EXPECT_EQ(labels.images[0].path, folder_ / "train.tar/a/one.png");
  EXPECT_EQ(labels.images[0].width, 30);
  EXPECT_EQ(labels.images[0].labels.size(), 1u);
  EXPECT_EQ(labels.images[1].labels.size(), 0u);
  EXPECT_EQ(labels.unlabelled, 1);
  EXPECT_TRUE(fs::exists(folder_ / "train.tar.index"));
  // A newer tar has another index.
  write("train.tar", tar({{"new.png", picture(4)}}));
  fs::last_write_time(folder_ / "train.tar", fs::file_time_type::clock::now() + std::chrono::seconds(2));
  labels = load_split(dataset, "train");
  ASSERT_EQ(labels.images.size(), 1u);
  EXPECT_EQ(labels.images[0].path.filename(), "new.png");
}

// Names of 160 bytes, which each of its formats writes in its own way.
TEST_F(Shards, OfGnuTarAreRead) {
  const std::string deep = "files/" + std::string(90, 'a') + "/" + std::string(60, 'b');
  for (const char* name : {"one", "two"}) {
    write_picture(deep + "/" + name + ".png", stream_of(name));
    write(deep + "/" + name + ".txt", "0 .5 .5 .2 .2\n");
  }
  for (const std::string format : {"gnu", "oldgnu", "pax", "ustar"}) {
    const std::string command = "tar --format=" + format + " --sort=name -C '" +
                                (folder_ / "files").string() + "' -cf '" +
                                (folder_ / (format + ".tar")).string() + "' .";
    ASSERT_EQ(std::system(command.c_str()), 0);
    write(format + ".yaml", "train: " + format + ".tar\nnames: [cat]\n");
    const SplitLabels labels = load_split(read_dataset(folder_ / (format + ".yaml")), "train");
    ASSERT_EQ(labels.images.size(), 2u) << format;
    EXPECT_TRUE(labels.problems.empty()) << format;
    for (const LabelledImage& image : labels.images) {
      EXPECT_EQ(image.labels.size(), 1u);
      EXPECT_EQ(read_image_bytes(image), read_file(folder_ / deep / image.path.filename(), 1 << 20));
    }
  }
}

TEST_F(Shards, NameWhatIsLeftOut) {
  const std::string small = picture(1, 5);
  const ShardIndex index = index_of(tar({{"a.png", picture()},
                                         {"a.txt", "0 .5 .5 .2 .2\n"},
                                         {"a.jpg", picture(2)},
                                         {"b.png", "no picture"},
                                         {"c.png", small},
                                         {"d.txt", "0 .5 .5 .2 .2\n"}}));
  ASSERT_EQ(index.samples.size(), 1u);
  ASSERT_EQ(index.problems.size(), 4u);
  EXPECT_NE(index.problems[0].text().find("'a.jpg': the sample has one already, at byte 512"),
            std::string::npos);
  EXPECT_NE(index.problems[1].text().find("'b.png'"), std::string::npos);
  EXPECT_NE(index.problems[2].text().find("5 x 20 pixels"), std::string::npos);
  EXPECT_NE(index.problems[3].text().find("1 label without an image, the first 'd.txt'"), std::string::npos);
  EXPECT_EQ(index.summary.rows, 1u);
}

TEST_F(Shards, AnIndexIsReadBackAndItsDamageNoticed) {
  const ShardIndex index =
      index_of(tar({{"a.png", picture()}, {"a.txt", "0 .5 .5 .2 .2\n\n1 .5 .5 .2 .2"}, {"b.png", "broken"}}));
  write_shard_index(folder_ / "a.index", index);
  EXPECT_EQ(read_shard_index(folder_ / "a.index"), index);
  EXPECT_EQ(read_shard_summary(folder_ / "a.index"), index.summary);
  EXPECT_EQ(index.summary.rows, 2u);
  const std::string bytes = read_file(folder_ / "a.index", 1 << 20);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_THROW(read_shard_index(write("damaged", damaged)), Error) << at;
    EXPECT_THROW(read_shard_index(write("short", bytes.substr(0, at))), Error) << at;
  }
}

TEST_F(Shards, ErrorsNameThem) {
  write("data.yaml", "train: train-{0..1}.tar\nnames: [cat]\n");
  write("train-0.tar", tar({{"a.png", picture()}, {"a.cls", "3"}}));
  const Dataset dataset = read_dataset(folder_ / "data.yaml");
  EXPECT_REFUSES(load_split(dataset, "train"), "train-1.tar: cannot open");
  write("train-1.tar", "not a tar, but long enough" + std::string(600, ' '));
  EXPECT_REFUSES(load_split(dataset, "train"), "train-1.tar: byte 0: is no tar");
  write("train-1.tar", tar({{"b.png", picture()}, {"b.txt", "7 .5 .5 .2 .2"}}));
  EXPECT_REFUSES(load_split(dataset, "train"), "'format: folders' in the YAML");
  write("mixed.yaml", "train: [train-0.tar, images]\nnames: [cat]\n");
  EXPECT_REFUSES(read_dataset(folder_ / "mixed.yaml"),
                 "mixed.yaml:1: train: shards (.tar) and others in one split");
  write("wrong.yaml", "train: train-{3..1}.tar\nnames: [cat]\n");
  EXPECT_REFUSES(read_dataset(folder_ / "wrong.yaml"), "wrong.yaml:1: train-{3..1}.tar: 1 is before 3");
  EXPECT_REFUSES(list_images(dataset, "train"), "lies in shards");
}

TEST_F(Shards, AreCheckedAndConvertedLikeOthers) {
  const Dataset plain = drawn(Task::kDetect);
  shard_dataset(plain, folder_ / "shards", {.samples = 7});
  const Dataset sharded = read_dataset(folder_ / "shards/data.yaml");
  const DatasetCheck wanted = check_dataset(plain, {}), found = check_dataset(sharded, {});
  EXPECT_EQ(found.errors, wanted.errors);
  EXPECT_EQ(found.warnings, wanted.warnings);
  ASSERT_EQ(found.splits.size(), 2u);
  EXPECT_EQ(found.splits[0].objects, wanted.splits[0].objects);
  EXPECT_EQ(found.splits[0].class_objects, wanted.splits[0].class_objects);
  convert_dataset(sharded, folder_ / "back", {});
  const auto back = by_name(read_dataset(folder_ / "back/data.yaml"), "train");
  for (const auto& [file, image] : by_name(plain, "train")) {
    EXPECT_EQ(back.at(file).labels, image.labels) << file;
    EXPECT_EQ(read_image_bytes(back.at(file)), read_image_bytes(image)) << file;
  }
}

}  // namespace
}  // namespace marrow::data
