#include <gtest/gtest.h>

#include "marrow/data/labels.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;

ParsedLabels parse_rows(std::string_view text, int classes = 4) {
  return parse_yolo_labels(text, "a.txt", classes);
}

std::string first_problem(const ParsedLabels& parsed) {
  return parsed.problems.empty() ? "" : parsed.problems.front().text();
}

TEST(YoloFormat, ReadsRowsAsTheyStand) {
  const ParsedLabels parsed = parse_rows(
      "\xef\xbb\xbf"
      "2 0.5 0.25 0.1 0.2\r\n\n\t0  +.125 1e-1 1 1 ");
  EXPECT_TRUE(parsed.usable);
  EXPECT_EQ(parsed.labels, (std::vector<Label>{{2, 0.5, 0.25, 0.1, 0.2}, {0, 0.125, 0.1, 1, 1}}));
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

TEST(YoloFormat, OneLongRowMakesAllRowsPolygons) {
  const ParsedLabels parsed = parse_rows("1 0.1 0.2 0.5 0.4\n3 0.2 0.2 0.6 0.2 0.4 0.8\n");
  ASSERT_TRUE(parsed.usable);
  ASSERT_EQ(parsed.labels.size(), 2u);
  EXPECT_NEAR(parsed.labels[0].box.cx, 0.3, 1e-12);  // two points, not centre and size
  EXPECT_NEAR(parsed.labels[0].box.width, 0.4, 1e-12);
  EXPECT_NEAR(parsed.labels[1].box.cy, 0.5, 1e-12);
  EXPECT_NEAR(parsed.labels[1].box.height, 0.6, 1e-12);
  EXPECT_EQ(parsed.polygons[1], (Polygon{{0.2, 0.2}, {0.6, 0.2}, {0.4, 0.8}}));
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
  expect("0 .1 .1 .2 .2 .3 .3 .4", Kind::kLabelSyntax,
         "a.txt:1: 8 columns; a polygon is: class x1 y1 x2 y2 ... (other rows of this file are polygons)");
  expect("\xff\xfe\x00 1 2 3 4", Kind::kLabelSyntax, "a.txt:1: 1 columns; a row is: class cx cy w h");
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
  const ParsedLabels parsed = parse_rows("1 0.715625 0.0015625 0.123457 1\n");
  image.labels = parsed.labels;
  EXPECT_EQ(yolo_label_lines(image, true), "1 0.715625 0.0015625 0.123457 1\n");
  const ParsedLabels polygon = parse_rows("1 0.1 0.2 0.3 0.4 0.5 0.25\n");
  image.labels = polygon.labels;
  image.polygons = polygon.polygons;
  EXPECT_EQ(yolo_label_lines(image, true), "1 0.1 0.2 0.3 0.4 0.5 0.25\n");
  EXPECT_EQ(yolo_label_lines(image, false), "1 0.3 0.3 0.4 0.2\n");
}

TEST(YoloFormat, LabelsLieBesideTheLastImagesFolder) {
  EXPECT_EQ(yolo_label_path("/d/images/a/images/x.y.jpg"), "/d/images/a/labels/x.y.txt");
  EXPECT_EQ(yolo_label_path("images/train/x.png"), "labels/train/x.txt");
  EXPECT_EQ(yolo_label_path("/d/my_images/x.png"), "/d/my_images/x.txt");
  EXPECT_EQ(yolo_label_path("/images.d/x"), "/images.d/x.txt");
}

}  // namespace
}  // namespace marrow::data
