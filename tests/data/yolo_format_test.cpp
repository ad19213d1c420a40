#include <gtest/gtest.h>

#include "marrow/data/labels.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;

ParsedLabels parse_rows(std::string_view text, int classes = 4) {
  return parse_yolo_labels(text, "a.txt", {.classes = classes});
}

std::string first_problem(const ParsedLabels& parsed) {
  return parsed.problems.empty() ? "" : parsed.problems.front().text();
}

TEST(YoloFormat, ReadsRowsAsTheyStand) {
  const ParsedLabels parsed = parse_rows(
      "\xef\xbb\xbf"
      "2 0.5 0.25 0.1 0.2\r\n\n\t0  +.125 1e-1 .25 2e-1 ");
  EXPECT_TRUE(parsed.usable);
  EXPECT_EQ(parsed.labels, (std::vector<Label>{{2, 0.5, 0.25, 0.1, 0.2}, {0, 0.125, 0.1, .25, .2}}));
  EXPECT_TRUE(parsed.polygons.empty());
  EXPECT_TRUE(parsed.problems.empty());
}

TEST(YoloFormat, AnEmptyFileIsABackground) {
  for (const char* text : {"", "\n \n", "\xef\xbb\xbf"}) {
    const ParsedLabels parsed = parse_rows(text);
    EXPECT_TRUE(parsed.usable);
    EXPECT_TRUE(parsed.labels.empty());
  }
}

TEST(YoloFormat, EveryRowIsJudgedAlone) {
  const ParsedLabels parsed = parse_rows("1 0.5 0.5 0.2 0.4\n3 0.2 0.2 0.6 0.2 0.4 0.8\n0 .5 .5 .1 .1\n");
  ASSERT_TRUE(parsed.usable);
  ASSERT_EQ(parsed.labels.size(), 3u);
  EXPECT_EQ(parsed.labels[0], (Label{1, .5, .5, .2, .4}));
  EXPECT_NEAR(parsed.labels[1].box.cy, 0.5, 1e-12);
  EXPECT_NEAR(parsed.labels[1].box.height, 0.6, 1e-12);
  EXPECT_EQ(parsed.polygons[1], (Polygon{{0.2, 0.2}, {0.6, 0.2}, {0.4, 0.8}}));
  EXPECT_EQ(parsed.polygons[0], box_polygon(parsed.labels[0]));
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_EQ(parsed.problems[0].kind, Kind::kMixedRows);
  EXPECT_EQ(parsed.problems[0].severity, Problem::Severity::kWarning);
  EXPECT_EQ(
      parsed.problems[0].text(),
      "a.txt:1: a row of 5 columns among polygons; read as a box: class cx cy w h (2 rows of this file)");
}

TEST(YoloFormat, KeypointsBehindABoxArePassedOver) {
  const KeypointShape four = {4, 2}, two = {2, 3};
  const auto parse = [](const char* text, KeypointShape shape) {
    return parse_yolo_labels(text, "a.txt", {.classes = 4, .keypoints = shape});
  };
  // 13 columns are a polygon of six points without kpt_shape.
  const ParsedLabels parsed = parse("2 .5 .5 .4 .2 0 0 .9 .9 3 3 -1 0\n1 .3 .3 .2 .2\n", four);
  ASSERT_TRUE(parsed.usable) << first_problem(parsed);
  EXPECT_EQ(parsed.labels, (std::vector<Label>{{2, .5, .5, .4, .2}, {1, .3, .3, .2, .2}}));
  EXPECT_TRUE(parsed.polygons.empty());
  EXPECT_TRUE(parsed.problems.empty());
  EXPECT_EQ(parse("0 .5 .5 .4 .2 .1 .1 2 .2 .2 0\n", two).labels, (std::vector<Label>{{0, .5, .5, .4, .2}}));
  EXPECT_EQ(first_problem(parse("0 .1 .1 .2 .2 .3 .3\n", two)),
            "a.txt:1: 7 columns; a row is: class cx cy w h, or 11 columns with 2 keypoints of 3 numbers "
            "(kpt_shape)");
}

TEST(YoloFormat, BoxesEndAtTheEdgeOfTheImage) {
  const ParsedLabels parsed = parse_rows(
      "0 0.95 0.5 0.5 0.4\n1 0.5 0.5 1 1\n2 1.005 .5 .05 .5\n3 0.8 0.2 1.01 0.3 0.9 0.9\n1 1.01 .5 .001 .1\n"
      "0 0.9 0.9 1 0.5 0.5 0.5\n");
  ASSERT_TRUE(parsed.usable) << first_problem(parsed);
  ASSERT_EQ(parsed.labels.size(), 5u);
  EXPECT_NEAR(parsed.labels[0].box.cx, 0.85, 1e-12);
  EXPECT_NEAR(parsed.labels[0].box.width, 0.3, 1e-12);
  EXPECT_EQ(parsed.labels[1], (Label{1, .5, .5, 1, 1}));
  EXPECT_NEAR(parsed.labels[2].box.corner_form().x2, 1, 1e-12);
  // Within one percent it stays.
  EXPECT_NEAR(parsed.labels[3].box.corner_form().x2, 1.01, 1e-12);
  std::string problems;
  for (const Problem& problem : parsed.problems) {
    EXPECT_TRUE(problem.kind == Kind::kOutside || problem.kind == Kind::kMixedRows) << problem.text();
    EXPECT_EQ(problem.severity, Problem::Severity::kWarning);
    problems += problem.text() + "\n";
  }
  EXPECT_NE(problems.find("a.txt:1: the box 0.95 0.5 0.5 0.4 reaches outside the image; clipped\n"),
            std::string::npos)
      << problems;
  EXPECT_NE(problems.find("a.txt:5: the box 1.01 0.5 0.001 0.1 reaches outside the image; dropped\n"),
            std::string::npos)
      << problems;
}

TEST(YoloFormat, ClippedPolygonsStayInside) {
  const ParsedLabels parsed = parse_rows("0 0.9 0.9 1.3 0.5 0.5 0.5\n");
  ASSERT_EQ(parsed.labels.size(), 1u);
  EXPECT_NEAR(parsed.labels[0].box.width, 0.5, 1e-12);
  EXPECT_EQ(parsed.polygons[0], (Polygon{{.9, .9}, {1, .5}, {.5, .5}}));
}

TEST(YoloFormat, TheToleranceIsOnePercent) {
  EXPECT_TRUE(parse_rows("0 1.01 -0.01 1.01 0.5").usable);
  for (const char* row : {"0 1.0101 0.5 0.5 0.5", "0 0.5 -0.0101 0.5 0.5", "0 0.5 0.5 0.5 1.02"}) {
    const ParsedLabels parsed = parse_rows(row);
    EXPECT_FALSE(parsed.usable) << row;
    ASSERT_EQ(parsed.problems.size(), 1u);
    EXPECT_EQ(parsed.problems[0].kind, Kind::kOutside);
  }
  EXPECT_NE(first_problem(parse_rows("0 320 240 64 48")).find("look like pixels"), std::string::npos);
}

TEST(YoloFormat, ABrokenRowMakesTheFileUnusable) {
  const auto expect = [](const char* text, Kind kind, const std::string& message) {
    const ParsedLabels parsed = parse_rows(text);
    EXPECT_FALSE(parsed.usable) << text;
    EXPECT_TRUE(parsed.labels.empty());
    ASSERT_FALSE(parsed.problems.empty()) << text;
    EXPECT_EQ(parsed.problems[0].kind, kind);
    EXPECT_EQ(parsed.problems[0].text(), message);
  };
  expect("0 .5 .5 .1 .1\n0 0.5 0.5 0.1", Kind::kLabelSyntax, "a.txt:2: 4 columns; a row is: class cx cy w h");
  expect("0 0.5 0.5 0.1 0.1 0.9", Kind::kLabelSyntax, "a.txt:1: 6 columns; a row is: class cx cy w h");
  expect("0 0.5 x 0.1 0.1", Kind::kLabelSyntax, "a.txt:1: 'x' is not a number");
  expect("0 0.5 nan 0.1 0.1", Kind::kLabelSyntax, "a.txt:1: 'nan' is not a number");
  expect("0 0.5 0.5 0.1 1e999", Kind::kLabelSyntax, "a.txt:1: '1e999' is not a number");
  expect("0.5 0.5 0.5 0.1 0.1", Kind::kLabelSyntax, "a.txt:1: class '0.5' is not a whole number from 0");
  expect("-1 0.5 0.5 0.1 0.1", Kind::kLabelSyntax, "a.txt:1: class '-1' is not a whole number from 0");
  expect("\n9 0.5 0.5 0.1 0.1", Kind::kUnknownClass,
         "a.txt:2: class 9, but the dataset has 4 classes (0..3)");
  expect("1e300 0.5 0.5 0.1 0.1", Kind::kUnknownClass,
         "a.txt:1: class 1e+300, but the dataset has 4 classes (0..3)");
  expect(
      "0 .1 .1 .2 .2 .3 .3 .4", Kind::kLabelSyntax,
      "a.txt:1: 8 columns; a row is a box: class cx cy w h, or a polygon: class x1 y1 x2 y2 x3 y3 ... (a box "
      "with keypoints needs kpt_shape in the dataset's YAML)");
  for (const char* utf16 : {"\xff\xfe\x00 1 2 3 4", "\xfe\xff 0 .5 .5 .1 .1"})
    expect(utf16, Kind::kLabelSyntax, "a.txt: the text is UTF-16; save it as UTF-8");
}

TEST(YoloFormat, EqualRowsAreKeptOnceAndThenAllAreSorted) {
  const ParsedLabels parsed = parse_rows("3 .5 .5 .1 .1\n1 .5 .5 .1 .1\n3 0.5 .5 .1 .1\n");
  EXPECT_EQ(parsed.labels, (std::vector<Label>{{1, .5, .5, .1, .1}, {3, .5, .5, .1, .1}}));
  EXPECT_EQ(first_problem(parsed), "a.txt:3: the same row as line 1; kept once");
  // Without a duplicate the order stays.
  EXPECT_EQ(parse_rows("3 .5 .5 .1 .1\n1 .5 .5 .1 .1").labels[0].class_id, 3);
}

TEST(YoloFormat, BoxesWithoutAreaAreDropped) {
  const ParsedLabels parsed = parse_rows("0 .5 .5 0 .1\n1 .5 .5 .1 .1\n2 .5 .5 .1 -0.005\n");
  EXPECT_TRUE(parsed.usable);
  EXPECT_EQ(parsed.labels, (std::vector<Label>{{1, .5, .5, .1, .1}}));
  EXPECT_EQ(parsed.problems.size(), 2u);
  EXPECT_EQ(parsed.problems[0].kind, Kind::kZeroArea);
}

TEST(YoloFormat, ManyProblemsAreCountedNotListed) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "x\n";
  const ParsedLabels parsed = parse_rows(text);
  EXPECT_EQ(parsed.problems.size(), static_cast<size_t>(kProblemsPerFile) + 1);
  EXPECT_EQ(parsed.problems.back().text(), "a.txt: and 980 more problems in this file");
}

TEST(YoloFormat, WritesWhatItReads) {
  LabelledImage image;
  const ParsedLabels parsed = parse_rows("1 0.715625 0.5 0.123457 1\n");
  image.labels = parsed.labels;
  ASSERT_EQ(image.labels.size(), 1u);
  EXPECT_EQ(yolo_label_lines(image, Task::kSegment), "1 0.715625 0.5 0.123457 1\n");
  const ParsedLabels polygon = parse_rows("1 0.1 0.2 0.3 0.4 0.5 0.25\n");
  image.labels = polygon.labels;
  image.polygons = polygon.polygons;
  EXPECT_EQ(yolo_label_lines(image, Task::kSegment), "1 0.1 0.2 0.3 0.4 0.5 0.25\n");
  EXPECT_EQ(yolo_label_lines(image, Task::kDetect), "1 0.3 0.3 0.4 0.2\n");
}

TEST(YoloFormat, LabelsLieBesideTheLastImagesFolder) {
  EXPECT_EQ(yolo_label_path("/d/images/a/images/x.y.jpg"), "/d/images/a/labels/x.y.txt");
  EXPECT_EQ(yolo_label_path("images/train/x.png"), "labels/train/x.txt");
  EXPECT_EQ(yolo_label_path("/d/my_images/x.png"), "/d/my_images/x.txt");
  EXPECT_EQ(yolo_label_path("/images.d/x"), "/images.d/x.txt");
}

}  // namespace
}  // namespace marrow::data
