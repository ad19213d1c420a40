// Rows of polygons and keypoints.
#include "marrow/data/dataset_split.h"
#include "marrow/data/outline_parts.h"
#include "marrow/data/task_labels.h"
#include "support.h"

namespace marrow::data {
namespace {

using testing::message_of;

ParsedLabels parse_for(std::string_view text, Task task, KeypointShape keypoints = {},
                       int ignore_class = -1) {
  return parse_yolo_labels(text, "a.txt", {4, keypoints, ignore_class, task});
}

std::string first_said(const ParsedLabels& parsed) {
  return parsed.problems.empty() ? "" : parsed.problems.front().text();
}

TEST(TaskRows, NameFileAndLineOfWhatIsWrong) {
  const auto expect = [](const char* text, Task task, const std::string& message) {
    const ParsedLabels parsed =
        parse_for(text, task, task == Task::kPose ? KeypointShape{1, 3} : KeypointShape());
    EXPECT_FALSE(parsed.usable) << text;
    EXPECT_TRUE(parsed.labels.empty());
    EXPECT_EQ(first_said(parsed), message);
  };
  expect("0 .1 .1 .2 .2 .3 .1\n0 .5 .5 .1 .1\n", Task::kSegment,
         "a.txt:2: 5 columns: a box, or a polygon of two points, among polygons; a row is: class x1 y1 x2 y2 "
         "x3 y3 ...");
  expect("0 .1 .1 .2 .2 .3 .1 .4\n", Task::kObb,
         "a.txt:1: 8 columns: an odd number of coordinates; a row is: class x1 y1 x2 y2 x3 y3 ...");
  expect("0 .5 .5 .1 .1 .3\n", Task::kObb,
         "a.txt:1: 6 columns; a row is a polygon: class x1 y1 x2 y2 x3 y3 ...");
  expect("0 .1 .1 .2 .2 300 .1\n", Task::kSegment,
         "a.txt:1: the box around the polygon with 299.9 is not within the image: coordinates are shares of "
         "its width and height, 0..1 (these look like pixels)");
  expect(
      "\n0 .5 .5 .1 .1\n", Task::kPose,
      "a.txt:2: 5 columns; a row of a pose is: class cx cy w h and 1 keypoints of 3 numbers (kpt_shape), 8 "
      "columns");
  expect(
      "0 .5 .5 .1 .1 1.5 .5 2\n", Task::kPose,
      "a.txt:1: keypoints with 1.5 is not within the image: coordinates are shares of its width and height, "
      "0..1");
  expect("7 .5 .5 .1 .1 .5 .5 2\n", Task::kPose, "a.txt:1: class 7, but the dataset has 4 classes (0..3)");
  expect("0 .5 .5 .1 .1 .5 1e999 2\n", Task::kPose, "a.txt:1: '1e999' is not a number");
  expect(
      "0 .5 .5 .1 .1 .5 1e60 2\n", Task::kPose,
      "a.txt:1: keypoints with inf is not within the image: coordinates are shares of its width and height, "
      "0..1 (these look like pixels)");
}

TEST(TaskRows, DuplicatesAreOrderedByTheBytesOfTheirPoints) {
  const ParsedLabels parsed = parse_for(
      "1 .2 .2 .6 .2 .6 .6\n0 .1 .1 .5 .1 .5 .5\n0 .1 .1 .5 .5 .1 .5\n0 .1 .1 .5 .1 .5 .5\n", Task::kSegment);
  ASSERT_EQ(parsed.labels.size(), 3u);
  EXPECT_EQ(parsed.polygons[0][1].y, .5);  // 0.5 has zeros where 0.1 has none
  EXPECT_EQ(parsed.polygons[1][1].y, .1);
  EXPECT_EQ(parsed.labels[2].class_id, 1);
  EXPECT_EQ(first_said(parsed), "a.txt:4: the same row as line 2; kept once");
}

TEST(TaskRows, PolygonsWithoutAreaStayWithAWarning) {
  const ParsedLabels parsed = parse_for("0 .1 .5 .5 .5 .9 .5\n", Task::kSegment);
  EXPECT_EQ(parsed.labels.size(), 1u);
  EXPECT_EQ(first_said(parsed), "a.txt:1: a polygon without area");
}

TEST(TaskRows, TheClassIgnoreIsARegion) {
  const ParsedLabels parsed = parse_for(
      "1 .5 .5 .1 .1 .5 .5 2\n0 .5 .5 .2 .2 .4 .4 1\n2 .3 .3 .1 .1 .3 .3 0\n", Task::kPose, {1, 3}, 0);
  ASSERT_EQ(parsed.labels.size(), 2u);
  EXPECT_EQ(parsed.labels[1].class_id, 1);
  EXPECT_EQ(parsed.keypoints[1], (LabelKeypoint{.3, .3, 0}));
  EXPECT_EQ(parsed.ignored.size(), 1u);
}

TEST(TaskRows, AMillionPointsAreOnePolygon) {
  std::string text = "0";
  for (int i = 0; i < 1'000'000; ++i) text += i % 2 == 0 ? " .1 .5" : " .9 .5";
  const ParsedLabels parsed = parse_for(text, Task::kSegment);
  ASSERT_EQ(parsed.polygons.size(), 1u);
  EXPECT_EQ(parsed.polygons[0].size(), 1'000'000u);
}

TEST(TaskRows, AreWrittenAsTheyAreRead) {
  const auto expect = [](const std::string& text, Task task, KeypointShape keypoints = {}) {
    const ParsedLabels parsed = parse_for(text, task, keypoints);
    LabelledImage image;
    image.width = image.height = 100;
    image.labels = parsed.labels;
    image.polygons = parsed.polygons;
    image.keypoints = parsed.keypoints;
    EXPECT_EQ(yolo_label_lines(image, task, keypoints), text);
  };
  expect("0 0.1 0.2 0.3 0.4 0.5 0.25\n2 -0.2 0.1 0.5 0.2 0.3 0.6\n", Task::kSegment);
  expect("1 0.2 0.2 0.6 0.2 0.6 0.7 0.2 0.7\n", Task::kObb);
  expect("1 0.5 0.5 0.2 0.2 0.4 0.4 2 0 0 0\n", Task::kPose, {2, 3});
  expect("1 0.5 0.5 0.2 0.2 0.4 0.4 0 0\n", Task::kPose, {2, 2});
}

TEST(OutlineParts, TooManyPointsToJoinLeaveTheLargestPart) {
  LabelledImage image;
  image.width = image.height = 10;
  image.labels.resize(1);
  image.polygons = {Polygon(60'000, {.25, .25})};
  image.parts = {{20'000}};
  EXPECT_EQ(parts_of(image, 0)[1].size(), 40'000u);
  EXPECT_EQ(joined_parts(image, 0).size(), 40'000u);
  image.parts = {{59'990}};
  EXPECT_EQ(joined_parts(image, 0).size(), 60'002u);
}

class TaskLabels : public testing::DataFolder {
 protected:
  Dataset dataset(Task task, const std::string& more = "") {
    write_picture("images/train/a.png", 1);
    write("data.yaml", "train: images/train\nval: images/train\nnames: [x, y]\n" + more);
    Dataset result = read_dataset(folder_ / "data.yaml");
    result.task = task;
    return result;
  }
};

TEST_F(TaskLabels, BoxesAreRefusedWhereOutlinesAreNeeded) {
  write("labels/train/a.txt", "0 .5 .5 .25 .5\n");
  const std::string message = message_of([&] { load_split(dataset(Task::kSegment), "train"); });
  EXPECT_NE(message.find("labels/train/a.txt: its labels are boxes; to segment, every row"),
            std::string::npos)
      << message;
  EXPECT_EQ(load_split(dataset(Task::kDetect), "train").images.size(), 1u);
}

TEST_F(TaskLabels, PosesNeedTheirShape) {
  EXPECT_NE(message_of([&] { load_split(dataset(Task::kPose), "train"); }).find("poses need the number of"),
            std::string::npos);
  write("labels/train/a.txt", "0 .5 .5 .25 .5 .5 .5 2\n");
  EXPECT_EQ(load_split(dataset(Task::kPose, "kpt_shape: [1, 3]\n"), "train").images[0].keypoints.size(), 1u);
}

TEST_F(TaskLabels, TheLikelyTaskFollowsFromTheLabels) {
  const auto likely = [&](const std::string& rows, const std::string& more = "") {
    write("labels/train/a.txt", rows);
    const Dataset read = dataset(Task::kDetect, more);
    return task_name(likely_task(read, load_split(read, "train").images));
  };
  EXPECT_EQ(likely("0 .5 .5 .25 .5\n"), "detect");
  EXPECT_EQ(likely("0 .1 .1 .5 .1 .5 .5 .1 .5\n"), "obb");
  EXPECT_EQ(likely("0 .1 .1 .5 .1 .5 .5 .1 .5\n1 .1 .1 .5 .1 .3 .5\n"), "segment");
  EXPECT_EQ(likely("0 .5 .5 .25 .5 .5 .5\n", "kpt_shape: [1, 2]\n"), "pose");
}

}  // namespace
}  // namespace marrow::data
