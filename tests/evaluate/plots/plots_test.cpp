// What the plots look like is for people to judge; here: that each comes out, of a sensible size and not
// blank, whatever the data.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/evaluate/plots/confusion_plot.h"
#include "marrow/evaluate/plots/curve_plot.h"
#include "marrow/evaluate/plots/label_plot.h"
#include "marrow/evaluate/plots/results_plot.h"
#include "marrow/evaluate/plots/tradeoff_plot.h"
#include "marrow/image/decode.h"
#include "support/temporary_folder.h"

namespace marrow::evaluate {
namespace {

// With MARROW_SHOW_PLOTS=FOLDER the images stay there, to be looked at.
image::Image look_at(const std::string& bytes, const std::string& name) {
  if (const char* folder = std::getenv("MARROW_SHOW_PLOTS"))
    write_file_atomically(std::filesystem::path(folder) / name, bytes);
  return image::decode_image(std::as_bytes(std::span(bytes)), name).image;
}

// The share of pixels that are not white.
double ink(const image::Image& image) {
  size_t dark = 0;
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) {
      const uint8_t* pixel = image.row(y) + 3 * x;
      dark += pixel[0] < 250 || pixel[1] < 250 || pixel[2] < 250;
    }
  return static_cast<double>(dark) / image.width() / image.height();
}

// The four panels of a plot.
image::Image quarter(const image::Image& image, int panel) {
  const int width = image.width() / 2, height = image.height() / 2;
  return image::copy_image(image.region(panel % 2 * width, panel / 2 * height, width, height));
}

// Nothing is cut off where nothing touches the edge.
bool edge_is_white(const image::Image& image) {
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) {
      if (x > 1 && x < image.width() - 2 && y > 1 && y < image.height() - 2) continue;
      const uint8_t* pixel = image.row(y) + 3 * x;
      if (pixel[0] < 240 || pixel[1] < 240 || pixel[2] < 240) return false;
    }
  return true;
}

// A plot, not a blank image: white edges and ink between them.
void expect_plot(const image::Image& image, const std::string& name) {
  EXPECT_TRUE(edge_is_white(image)) << name;
  EXPECT_GT(ink(image), 0.005) << name;
}

std::vector<std::string> class_names(int classes, size_t longest = 10) {
  std::vector<std::string> names;
  for (int i = 0; i < classes; ++i) {
    std::string name = "class " + std::to_string(i);
    while (name.size() < longest && i % 3 == 1) name += " wide";
    names.push_back(name);
  }
  return names;
}

// What a class name may contain when somebody wants something else to happen.
const std::vector<std::string> kHostile = {
    "'; system(\"touch hacked\"); '",
    "`touch hacked`",
    "\"; ! touch hacked",
    "a\n! touch hacked\n",
    "@x $x %d %s %n 50%",
    "\\",
    "\xff\xfe broken \xe2\x82",
    "",
    "END_OF_DATA",
    "{/Symbol a}^2_3 <b>&amp;</b>",
    "blóðkorn 红细胞 клетка",
    std::string(5000, 'W'),
};

ConfusionMatrix a_matrix(int size) {
  ConfusionMatrix matrix(size);
  for (int i = 0; i < size; ++i) {
    matrix.add(i, i, 5 + i * 37 % 900);
    matrix.add((i * 7 + 3) % size, i, i % 40);
  }
  return matrix;
}

AveragePrecision a_result(int classes) {
  std::vector<MatchedDetection> detections;
  for (int i = 0; i < 200 * classes; ++i) {
    const float confidence = static_cast<float>((i * 7919) % 10007) / 10007.0f;
    const bool right = (i * 31) % 97 < static_cast<int>(confidence * 60) + i % classes * 40 / classes;
    detections.push_back({confidence, i % classes, right ? ThresholdBits().set() : ThresholdBits()});
  }
  return average_precision(detections, std::vector<int64_t>(static_cast<size_t>(classes), 120));
}

train::ResultsTable a_table(int epochs, const std::vector<std::string>& columns) {
  train::ResultsTable table{columns, {}};
  for (int e = 1; e <= epochs; ++e) {
    std::vector<double>& row = table.rows.emplace_back();
    for (size_t c = 0; c < columns.size(); ++c)
      row.push_back(c == 0 ? e
                    : columns[c].starts_with("metrics")
                        ? 0.9 - 0.8 / e
                        : static_cast<double>(c) * (0.2 + 2.0 / e) + 0.1 * std::sin(e * 1.7));
  }
  return table;
}

TEST(Plots, ConfusionMatrixOfAnySize) {
  for (const int classes : {1, 3, 30, 80, 1000}) {
    for (const bool normalised : {false, true}) {
      if (classes != 3 && normalised != (classes > 50)) continue;  // each kind once is enough
      const std::string name = "confusion_" + std::to_string(classes) + (normalised ? "_n.png" : ".png");
      const image::Image image =
          look_at(confusion_plot(a_matrix(classes + 1), class_names(classes, 30), normalised), name);
      EXPECT_GE(image.width(), 400) << name;
      EXPECT_LE(image.width(), 2400) << name;
      EXPECT_GT(ink(image), 0.01) << name;
      EXPECT_TRUE(edge_is_white(image)) << name;
    }
  }
}

TEST(Plots, ConfusionMatrixOfNothing) {
  expect_plot(look_at(confusion_plot(ConfusionMatrix(4), class_names(3), true), "confusion_empty.png"),
              "confusion_empty.png");
}

TEST(Plots, CurvesOfFewAndManyClasses) {
  for (const int classes : {1, 3, 20, 80})
    for (const Curve curve : {Curve::kPrecisionByRecall, Curve::kF1, Curve::kPrecision, Curve::kRecall}) {
      if (classes != 3 && curve != Curve::kPrecisionByRecall) continue;
      const std::string name = std::to_string(classes) + "_" + curve_file_name(curve);
      const image::Image image =
          look_at(curve_plot(a_result(classes), class_names(classes, 40), curve), name);
      EXPECT_TRUE(edge_is_white(image)) << name;
      EXPECT_GT(ink(image), 0.02) << name;
    }
}

TEST(Plots, CurvesOfAValidationWithoutDetections) {
  const std::vector<int64_t> some = {3, 0, 2}, none = {0, 0, 0};
  const std::vector<std::string> names = class_names(3);
  expect_plot(
      look_at(curve_plot(average_precision({}, some), names, Curve::kPrecisionByRecall), "none_BoxPR.png"),
      "none_BoxPR.png");
  expect_plot(look_at(curve_plot(average_precision({}, none), names, Curve::kF1), "nothing_BoxF1.png"),
              "nothing_BoxF1.png");
}

TEST(Plots, ResultsOfDetectionAndClassification) {
  for (const int epochs : {1, 30, 1000}) {
    const std::string text = std::to_string(epochs) + ".png";
    const image::Image boxes =
        look_at(results_plot(a_table(epochs, train::detection_columns())), "results_" + text);
    EXPECT_EQ(boxes.width(), 5 * 370);
    EXPECT_EQ(boxes.height(), 2 * 330);
    expect_plot(boxes, "results_" + text);
    const image::Image classes =
        look_at(results_plot(a_table(epochs, train::classification_columns())), "classes_" + text);
    EXPECT_EQ(classes.width(), 2 * 370);
    expect_plot(classes, "classes_" + text);
  }
}

// The curve goes from one that has numbers to the next.
TEST(Plots, EpochsWithoutValidationAreLeftOut) {
  train::ResultsTable table = a_table(30, train::detection_columns());
  for (size_t i = 0; i < table.rows.size(); ++i)
    if (i % 10 != 9) std::fill(table.rows[i].begin() + 5, table.rows[i].end(), std::nan(""));
  const image::Image now_and_then = look_at(results_plot(table), "results_every_10.png");
  expect_plot(now_and_then, "results_every_10.png");
  for (std::vector<double>& row : table.rows) std::fill(row.begin() + 5, row.end(), std::nan(""));
  EXPECT_GT(ink(now_and_then), ink(look_at(results_plot(table), "results_never.png")));
}

TEST(Plots, ResultsThatAreNotFinite) {
  train::ResultsTable table = a_table(12, train::detection_columns());
  for (size_t i = 4; i < 7; ++i) table.rows[i][2] = std::nan("");
  for (std::vector<double>& row : table.rows) {
    row[3] = std::nan("");
    row[5] = 0;
    row[6] = INFINITY;
    row[9] = 1e30;
  }
  expect_plot(look_at(results_plot(table), "results_nan.png"), "results_nan.png");
  EXPECT_THROW(results_plot(train::ResultsTable{{"epoch", "loss"}, {}}), Error);
}

TEST(Plots, LabelsOfAnyNumber) {
  for (const int classes : {1, 3, 80, 1000}) {
    std::vector<PlottedBox> boxes;
    for (int i = 0; i < 3000; ++i) {
      const float u = static_cast<float>((i * 7919) % 10007) / 10007.0f;
      const float v = static_cast<float>((i * 104729) % 10007) / 10007.0f;
      boxes.push_back({static_cast<int>(u * v * static_cast<float>(classes)),
                       {u, 0.3f + v * 0.4f, 0.02f + u * u * 0.5f, 0.02f + u * v * 0.6f}});
    }
    const std::string name = "labels_" + std::to_string(classes) + ".jpg";
    const std::vector<std::string> names = class_names(classes, 30);
    const image::Image image = look_at(label_plot(boxes, names), name);
    const image::Image empty =
        look_at(label_plot({}, names), "labels_none_" + std::to_string(classes) + ".jpg");
    EXPECT_TRUE(edge_is_white(image)) << name;
    // Each panel has its frame without boxes, and more with them.
    for (const int panel : {0, 1, 2, 3}) {
      const double frame = ink(quarter(empty, panel));
      EXPECT_GT(frame, 0.002) << name << ", panel " << panel;
      EXPECT_GT(ink(quarter(image, panel)), frame + 0.01) << name << ", panel " << panel;
    }
  }
}

TEST(Plots, HostileClassNamesAreOnlyText) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const auto classes = static_cast<int>(kHostile.size());
  const auto expect_drawn = [](const std::string& bytes, const std::string& name) {
    expect_plot(look_at(bytes, name), name);
  };
  expect_drawn(confusion_plot(a_matrix(classes + 1), kHostile, true), "hostile_confusion.png");
  expect_drawn(curve_plot(a_result(classes), kHostile, Curve::kPrecisionByRecall), "hostile_BoxPR.png");
  std::vector<PlottedBox> boxes;
  for (int i = 0; i < 500; ++i) boxes.push_back({i % classes, {0.5f, NAN, INFINITY, 0.1f}});
  expect_drawn(label_plot(boxes, kHostile), "hostile_labels.jpg");
  train::ResultsTable table = a_table(5, train::detection_columns());
  for (size_t i = 2; i < table.columns.size(); ++i) table.columns[i] = kHostile[i % kHostile.size()];
  expect_drawn(results_plot(table), "hostile_results.png");
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Plots, TheSameDataGivesTheSameBytes) {
  const std::string once = confusion_plot(a_matrix(4), class_names(3), false);
  EXPECT_EQ(once, confusion_plot(a_matrix(4), class_names(3), false));
  EXPECT_NE(once, confusion_plot(a_matrix(4), class_names(3), true)) << "the data decide";
}

// A budget near the points is a line; one far away would push them together.
TEST(TradeoffPlot, DrawsABudgetThatIsNear) {
  const std::vector<TradeoffPoint> points = {{"a", 30, 0.5, true}, {"b", 40, 0.6, true}};
  const auto svg = [&](double budget_ms) {
    return tradeoff_plot(points, {"title", "mAP50-95", budget_ms}, PlotFormat::kSvg);
  };
  EXPECT_NE(svg(35).find("budget, 35 ms"), std::string::npos);
  EXPECT_EQ(svg(4000), svg(0));
}

TEST(TradeoffPlot, IsDrawnWhateverTheSpread) {
  std::vector<TradeoffPoint> points = {{"yolov8n on pp_lcnet", 114, 3.3, true},
                                       {"yolov8n", 128, 3.15, true},
                                       {"yolov8n on shufflenet_v2", 129, 3.01, true},
                                       {"yolov8n on vanillanet", 1438, 24, false}};
  const TradeoffText text{"320 px, 1 thread", "Million parameters"};
  const image::Image wide = look_at(tradeoff_plot(points, text, PlotFormat::kPng), "tradeoff_wide.png");
  EXPECT_GT(ink(wide), 0.005);
  EXPECT_TRUE(edge_is_white(wide));
  points.resize(1);
  EXPECT_GT(ink(look_at(tradeoff_plot(points, text, PlotFormat::kPng), "tradeoff_one.png")), 0.005);
  points.assign(3, {"same", 0, 0, true});
  EXPECT_GT(ink(look_at(tradeoff_plot(points, text, PlotFormat::kPng), "tradeoff_zero.png")), 0.005);
  EXPECT_TRUE(tradeoff_plot(points, text, PlotFormat::kSvg).starts_with("<?xml"));
}

}  // namespace
}  // namespace marrow::evaluate
