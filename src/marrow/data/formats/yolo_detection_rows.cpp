// YOLO's label files for a detector.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <tuple>

#include "marrow/base/text.h"
#include "marrow/data/formats/label_words.h"
#include "marrow/data/formats/yolo_rows.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

class LabelParser {
 public:
  LabelParser(const std::string& file, const YoloRows& rules)
      : file_(file),
        classes_(rules.classes),
        keypoints_(rules.keypoints),
        ignore_class_(rules.ignore_class) {}

  ParsedLabels parse(std::string_view text) {
    const RowWords words = split_words(text);
    for (const WordRow& row : words.rows)
      add_row(row, std::span(words.words).subspan(row.first, row.columns));
    if (problems_.errors() > 0) {
      result_ = {.usable = false};
    } else {
      say_mixed();
      drop_duplicates();
      clip();
      if (ignore_class_ >= 0) take_regions(result_, ignore_class_);
      if (!std::ranges::any_of(result_.polygons, [](const Polygon& polygon) { return !polygon.empty(); }))
        result_.polygons.clear();
      for (size_t i = 0; i < result_.polygons.size(); ++i)
        if (result_.polygons[i].empty()) result_.polygons[i] = box_polygon(result_.labels[i]);
    }
    result_.problems = problems_.take(file_);
    return std::move(result_);
  }

 private:
  std::string place(int line) const { return fmt::format("{}:{}", file_, line); }
  void error(const WordRow& row, Kind kind, std::string message) {
    problems_.add(Severity::kError, kind, place(row.line), std::move(message));
  }
  void warn(size_t label, Kind kind, std::string message) {
    problems_.add(Severity::kWarning, kind, place(lines_[label]), std::move(message));
  }

  bool is_polygon(size_t columns) const {
    return keypoints_.count == 0 && columns >= kLeastPolygonColumns && columns % 2 == 1;
  }
  bool is_box(size_t columns) const {
    return columns == kBoxColumns || (keypoints_.count > 0 && columns == kBoxColumns + keypoints_.numbers());
  }

  // What a row of so many columns should have been.
  std::string wanted(size_t columns) const {
    if (keypoints_.count > 0)
      return fmt::format(
          "a row is: class cx cy w h, or {} columns with {} keypoints of {} numbers (kpt_shape)",
          kBoxColumns + keypoints_.numbers(), keypoints_.count, keypoints_.dimensions);
    if (columns < kLeastPolygonColumns) return "a row is: class cx cy w h";
    return "a row is a box: class cx cy w h, or a polygon: class x1 y1 x2 y2 x3 y3 ... (a box with keypoints "
           "needs kpt_shape in the dataset's YAML)";
  }

  void add_row(const WordRow& row, std::span<const std::string_view> words) {
    if (!is_box(words.size()) && !is_polygon(words.size()))
      return error(row, Kind::kLabelSyntax,
                   fmt::format("{} columns; {}", words.size(), wanted(words.size())));
    const int class_id = read_row(words, classes_, file_, row.line, numbers_, problems_);
    if (class_id >= 0) add_label(row, class_id, is_polygon(words.size()));
  }

  void add_label(const WordRow& row, int class_id, bool is_polygon) {
    Polygon polygon;
    Label label{class_id, numbers_[1], numbers_[2], 0, 0};
    if (is_polygon) {
      for (size_t i = 1; i + 1 < numbers_.size(); i += 2) polygon.push_back({numbers_[i], numbers_[i + 1]});
      label = bounds_of(class_id, polygon);
    } else {
      label.box.width = numbers_[3];
      label.box.height = numbers_[4];
    }
    for (const double value : {label.box.cx, label.box.cy, label.box.width, label.box.height}) {
      if (value <= 1 + kLabelTolerance && value >= -kLabelTolerance) continue;
      return error(
          row, Kind::kOutside,
          fmt::format("{:g} {:g} {:g} {:g} is not within the image: coordinates are shares of its width and "
                      "height, 0..1{}",
                      label.box.cx, label.box.cy, label.box.width, label.box.height,
                      value > 2 ? " (these look like pixels)" : ""));
    }
    result_.labels.push_back(label);
    result_.polygons.push_back(std::move(polygon));
    lines_.push_back(row.line);
  }

  // Programs that read a file by its longest row take a box among polygons for a polygon of two points.
  void say_mixed() {
    std::vector<size_t> boxes;
    for (size_t i = 0; i < result_.polygons.size(); ++i)
      if (result_.polygons[i].empty()) boxes.push_back(i);
    if (boxes.empty() || boxes.size() == result_.polygons.size()) return;
    warn(boxes[0], Kind::kMixedRows,
         fmt::format("a row of 5 columns among polygons; read as a box: class cx cy w h{}",
                     boxes.size() > 1 ? fmt::format(" ({} rows of this file)", boxes.size()) : ""));
  }

  // Keeps the rows of `order`, in that order.
  void keep(const std::vector<size_t>& order) {
    keep_labels(result_, order);
    std::vector<int> lines;
    for (const size_t i : order) lines.push_back(lines_[i]);
    lines_ = std::move(lines);
  }

  void drop_duplicates() {
    const auto key = [&](size_t i) {
      const Label& label = result_.labels[i];
      return std::tuple(label.class_id, label.box.cx, label.box.cy, label.box.width, label.box.height);
    };
    std::vector<size_t> order(result_.labels.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, {}, key);
    std::vector<size_t> unique;
    for (const size_t i : order) {
      if (unique.empty() || key(unique.back()) != key(i))
        unique.push_back(i);
      else
        warn(i, Kind::kDuplicateLabel,
             fmt::format("the same row as line {}; kept once", lines_[unique.back()]));
    }
    if (unique.size() < order.size()) keep(unique);  // the order changes only then, as in the reference
  }

  // Boxes without area go, others end at the image's edge.
  void clip() {
    std::vector<size_t> order;
    for (size_t i = 0; i < result_.labels.size(); ++i) {
      CentredBox<Normalised, double>& box = result_.labels[i].box;
      if (box.width <= 0 || box.height <= 0) {
        warn(i, Kind::kZeroArea, "a box without area; dropped");
        continue;
      }
      const CentredBox<Normalised, double> stated = box;
      Box<Normalised, double> corners = box.corner_form();
      const Clipped clipped = clip_to_image(corners);
      if (clipped != Clipped::kInside) {
        box = centred(corners);
        for (Point<Normalised, double>& point : result_.polygons[i])
          point = {std::clamp(point.x, 0.0, 1.0), std::clamp(point.y, 0.0, 1.0)};
        warn(i, Kind::kOutside,
             fmt::format("the box {:g} {:g} {:g} {:g} reaches outside the image; {}", stated.cx, stated.cy,
                         stated.width, stated.height, clipped == Clipped::kGone ? "dropped" : "clipped"));
      }
      if (clipped != Clipped::kGone) order.push_back(i);
    }
    if (order.size() < result_.labels.size()) keep(order);
  }

  const std::string& file_;
  int classes_;
  KeypointShape keypoints_;
  int ignore_class_;        // -1: none
  ParsedLabels result_;     // with as many polygons as labels, empty for boxes, until the end
  std::vector<int> lines_;  // of the labels
  std::vector<double> numbers_;
  ProblemList problems_;
};

}  // namespace

int read_row(std::span<const std::string_view> words, int classes, const std::string& file, int line,
             std::vector<double>& numbers, ProblemList& problems) {
  const auto refuse = [&](Kind kind, std::string message) {
    problems.add(Severity::kError, kind, fmt::format("{}:{}", file, line), std::move(message));
    return -1;
  };
  numbers.clear();
  for (const std::string_view word : words) {
    const std::optional<double> number = finite_number(word);
    if (!number) return refuse(Kind::kLabelSyntax, fmt::format("'{}' is not a number", printable(word, 40)));
    numbers.push_back(*number);
  }
  const double class_id = numbers.front();
  if (class_id < 0 || class_id != std::floor(class_id))
    return refuse(Kind::kLabelSyntax,
                  fmt::format("class '{}' is not a whole number from 0", printable(words.front(), 40)));
  if (class_id >= classes)
    return refuse(Kind::kUnknownClass, fmt::format("class {}, but the dataset has {} classes (0..{})",
                                                   class_id, classes, classes - 1));
  return static_cast<int>(class_id);
}

Label bounds_of(int class_id, const Polygon& polygon) {
  const auto [left, right] = std::ranges::minmax(polygon, {}, &Point<Normalised, double>::x);
  const auto [top, bottom] = std::ranges::minmax(polygon, {}, &Point<Normalised, double>::y);
  return {class_id, (left.x + right.x) / 2, (top.y + bottom.y) / 2, right.x - left.x, bottom.y - top.y};
}

void take_regions(ParsedLabels& labels, int ignore_class) {
  std::vector<size_t> objects;
  for (size_t i = 0; i < labels.labels.size(); ++i) {
    Label& label = labels.labels[i];
    if (label.class_id == ignore_class)
      labels.ignored.push_back({{kIgnoreClass, label.box}, IgnoredLabel::Reason::kClass});
    else
      objects.push_back(i);
    label.class_id -= label.class_id > ignore_class;
  }
  if (objects.size() < labels.labels.size()) keep_labels(labels, objects);
}

ParsedLabels parse_detection_rows(std::string_view text, const std::string& file, const YoloRows& rules) {
  return LabelParser(file, rules).parse(text);
}

}  // namespace marrow::data
