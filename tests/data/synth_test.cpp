#include "marrow/data/tools/synth.h"

#include <algorithm>
#include <cmath>

#include "marrow/base/files.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/tools/synth_shapes.h"
#include "support.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

class Synth : public testing::DataFolder {
 protected:
  static SynthOptions small(int threads = 0) {
    SynthOptions options;
    options.images = 10;
    options.image_size = 96;
    options.threads = threads;
    return options;
  }
  static std::string bytes(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::ranges::sort(files);
    std::string all;
    for (const fs::path& file : files)
      all += file.lexically_relative(folder).string() + read_file(file, 1 << 20);
    return all;
  }
};

TEST_F(Synth, WritesADatasetThatReadsBack) {
  const SynthSummary summary = write_synth_dataset(folder_ / "d", small());
  EXPECT_EQ(summary.train_images, 8);
  EXPECT_EQ(summary.val_images, 2);
  const Dataset dataset = read_dataset(folder_ / "d");
  EXPECT_EQ(dataset.names, synth_classes());
  int64_t objects = 0, written = 0;
  for (const Split& split : dataset.splits) {
    const SplitLabels labels = load_split(dataset, split.name);
    EXPECT_TRUE(labels.problems.empty());
    for (const LabelledImage& image : labels.images) objects += static_cast<int64_t>(image.labels.size());
  }
  for (const int64_t count : summary.objects) written += count;
  EXPECT_EQ(objects, written);
  EXPECT_GT(objects, 10);
}

TEST_F(Synth, TheSameSeedGivesTheSameBytesOnAnyNumberOfThreads) {
  write_synth_dataset(folder_ / "one", small(1));
  write_synth_dataset(folder_ / "three", small(3));
  EXPECT_EQ(bytes(folder_ / "one"), bytes(folder_ / "three"));
  SynthOptions other = small();
  other.seed = 1;
  write_synth_dataset(folder_ / "other", other);
  EXPECT_NE(bytes(folder_ / "one"), bytes(folder_ / "other"));
}

TEST_F(Synth, ADiscsBoxIsItsBound) {
  SynthOptions options = small();
  options.classes = {"disc"};
  options.objects = 1;
  int inside = 0;
  for (int64_t i = 0; i < 40; ++i) {
    const SynthImage picture = draw_synth_image(options, i);
    ASSERT_LE(picture.labels.size(), 1u);
    for (const Label& label : picture.labels) {
      EXPECT_GE(label.box.cx - label.box.width / 2, -1e-9);
      EXPECT_LE(label.box.cx + label.box.width / 2, 1 + 1e-9);
      EXPECT_GE(label.box.cy - label.box.height / 2, -1e-9);
      EXPECT_LE(label.box.cy + label.box.height / 2, 1 + 1e-9);
      // Between the smallest radius, when stretched and cut by the edge, and the largest.
      EXPECT_LE(label.box.width * picture.image.width(), 2 * 0.2 * options.image_size + 2);
      EXPECT_GE(label.box.width * picture.image.width(), 2);
      ++inside;
    }
  }
  EXPECT_GT(inside, 20);
}

TEST_F(Synth, HiddenObjectsHaveNoLabel) {
  SynthOptions crowded = small();
  crowded.objects = 100;
  size_t labelled = 0;
  for (int64_t i = 0; i < 10; ++i) labelled += draw_synth_image(crowded, i).labels.size();
  EXPECT_GT(labelled, 0u);
  EXPECT_LT(labelled, 10u * 50);  // of about 50 an image, many under others
}

TEST_F(Synth, AllClassesAreDrawn) {
  std::vector<int> counts(synth_classes().size());
  for (int64_t i = 0; i < 60; ++i)
    for (const Label& label : draw_synth_image(small(), i).labels)
      ++counts[static_cast<size_t>(label.class_id)];
  for (const int count : counts) EXPECT_GT(count, 5);
}

TEST_F(Synth, RefusesWhatCannotBeDrawn) {
  const auto error = [&](auto change) {
    SynthOptions options = small();
    change(options);
    return message_of([&] { write_synth_dataset(folder_ / "d", options); });
  };
  EXPECT_EQ(error([](SynthOptions& o) { o.classes = {"disk"}; }),
            "unknown shape 'disk'. Did you mean 'disc'? Known: disc, square, triangle, star, ring, cross");
  EXPECT_EQ(error([](SynthOptions& o) { o.classes = {"disc", "disc"}; }), "class disc is there twice");
  EXPECT_EQ(error([](SynthOptions& o) { o.classes = {}; }), "no classes are given");
  EXPECT_EQ(error([](SynthOptions& o) { o.images = 0; }), "0 images; 1 to 1000000 can be drawn");
  EXPECT_EQ(error([](SynthOptions& o) { o.val_share = NAN; }),
            "a share of nan for validation; 0 to 0.9 are possible");
  EXPECT_FALSE(fs::exists(folder_ / "d"));
  write("d/data.yaml", "");
  EXPECT_NE(error([](SynthOptions&) {}).find("there is a dataset already"), std::string::npos);
}

TEST(SynthShapes, DistancesHaveTheRightSign) {
  for (int i = 0; i < kSynthShapes; ++i) {
    const auto shape = static_cast<SynthShape>(i);
    const bool hollow = shape == SynthShape::kRing;
    EXPECT_EQ(shape_distance(shape, 0, 0) < 0, !hollow) << synth_shape_name(shape);
    for (int step = 0; step < 64; ++step) {
      const double angle = step * 0.1;
      EXPECT_GT(shape_distance(shape, 1.5 * std::cos(angle), 1.5 * std::sin(angle)), 0)
          << synth_shape_name(shape);
    }
  }
  EXPECT_LT(shape_distance(SynthShape::kRing, 0.8, 0), 0);
  EXPECT_NEAR(shape_distance(SynthShape::kCross, 0.5, 0.5), std::hypot(0, 0.2), 1e-12);
}

}  // namespace
}  // namespace marrow::data
