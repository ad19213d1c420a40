#include "marrow/data/tools/synth.h"

#include <algorithm>
#include <cmath>

#include "marrow/base/files.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/outline_parts.h"
#include "marrow/data/tools/synth_object.h"
#include "marrow/outline/raster.h"
#include "marrow/outline/turned_box.h"
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

// A dataset of one task, read again by its rules.
class SynthTasks : public Synth {
 protected:
  std::vector<LabelledImage> read(Task task, SynthOptions options = small()) {
    options.task = task;
    write_synth_dataset(folder_ / task_name(task), options);
    Dataset dataset = read_dataset(folder_ / task_name(task));
    dataset.task = task;
    std::vector<LabelledImage> images;
    for (const Split& split : dataset.splits) {
      SplitLabels labels = load_split(dataset, split.name);
      EXPECT_TRUE(labels.problems.empty()) << labels.problems[0].text();
      std::ranges::move(labels.images, std::back_inserter(images));
    }
    return images;
  }
};

TEST_F(SynthTasks, OutlinesFilledAreThePixelsThatAreSeen) {
  size_t compared = 0;
  for (const char* shape : {"ring", "cross", "star"}) {
    SynthOptions options = small();
    options.classes = {shape};
    options.objects = 1;
    options.task = Task::kSegment;
    for (int64_t i = 0; i < 10; ++i) {
      const SynthImage picture = draw_synth_image(options, i);
      if (picture.labels.empty()) continue;
      const LabelledImage labelled{picture, {}, picture.image.width(), picture.image.height()};
      std::vector<Point<ImagePixels>> points;
      for (const auto& [x, y] : joined_parts(labelled, 0))
        points.push_back({static_cast<float>(x * labelled.width), static_cast<float>(y * labelled.height)});
      const Mask mask = outline::fill(points, {labelled.width, labelled.height});
      // A ring's hole is no part of it: the area of its box is far larger.
      const auto& box = picture.labels[0].box;
      const double share =
          static_cast<double>(mask.area()) / (box.width * labelled.width * box.height * labelled.height);
      EXPECT_LT(share, 0.72) << shape;
      EXPECT_GT(share, 0.2) << shape;
      ++compared;
    }
  }
  EXPECT_GT(compared, 15u);
}

TEST_F(SynthTasks, OutlinesReadBack) {
  size_t parts = 0;
  for (const LabelledImage& image : read(Task::kSegment)) {
    ASSERT_EQ(image.polygons.size(), image.labels.size());
    parts += image.polygons.size();
  }
  EXPECT_GT(parts, 10u);
}

TEST_F(SynthTasks, TurnedBoxesTouchTheirShape) {
  SynthOptions options = small();
  options.classes = {"square"};
  options.objects = 1;
  options.task = Task::kObb;
  int compared = 0;
  for (int64_t i = 0; i < 20; ++i) {
    const SynthImage picture = draw_synth_image(options, i);
    if (picture.labels.empty()) continue;
    std::vector<Point<ImagePixels>> points;
    for (const auto& [x, y] : picture.polygons.at(0))
      points.push_back(
          {static_cast<float>(x * picture.image.width()), static_cast<float>(y * picture.image.height())});
    const RotatedBox<ImagePixels> box = outline::turned_box(points);
    EXPECT_GT(box.width / box.height, 1.3);
    EXPECT_LT(box.width / box.height, 3);
    // The box of what is seen lies in the bounds of the turned one.
    const Box<ImagePixels> bounds = box.bounds();
    const auto seen = picture.labels[0].box.corner_form();
    EXPECT_GE(seen.x1 * picture.image.width(), bounds.x1 - 1);
    EXPECT_LE(seen.x2 * picture.image.width(), bounds.x2 + 1);
    EXPECT_GE(seen.y1 * picture.image.height(), bounds.y1 - 1);
    EXPECT_LE(seen.y2 * picture.image.height(), bounds.y2 + 1);
    ++compared;
  }
  EXPECT_GT(compared, 10);
  for (const LabelledImage& image : read(Task::kObb))
    for (const Polygon& polygon : image.polygons) EXPECT_EQ(polygon.size(), 4u);
}

TEST_F(SynthTasks, KeypointsKnowWhatHidesThem) {
  std::vector<int> visibilities(3);
  SynthOptions options = small();
  options.images = 40;
  for (const LabelledImage& image : read(Task::kPose, options)) {
    ASSERT_EQ(image.keypoints.size(), image.labels.size() * kSynthKeypoints);
    for (const LabelKeypoint& point : image.keypoints)
      ++visibilities.at(static_cast<size_t>(point.visibility));
    for (size_t i = 0; i < image.labels.size(); ++i) {  // the upper end is above the lower one
      const LabelKeypoint &top = image.keypoints[i * 5], &bottom = image.keypoints[i * 5 + 2];
      if (top.visibility > 0 && bottom.visibility > 0) {
        EXPECT_LT(top.y, bottom.y);
      }
    }
  }
  EXPECT_GT(visibilities[0], 0);
  EXPECT_GT(visibilities[1], 0);
  EXPECT_GT(visibilities[2], visibilities[1]);
  const Dataset dataset = read_dataset(folder_ / "pose");
  EXPECT_EQ(dataset.skeleton.flip_idx, (std::vector<int>{0, 3, 2, 1, 4}));
  EXPECT_EQ(dataset.skeleton.names.size(), synth_classes().size());
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
