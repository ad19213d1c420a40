// YOLO's label files.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <compare>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>

#include "marrow/base/text.h"
#include "marrow/data/labels.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

constexpr size_t kBoxColumns = 5;
constexpr size_t kMaxBoxColumns = 6;  // a row with more is a polygon

struct Row {
  int line = 0;
  size_t first = 0, columns = 0;  // into the file's words
};

struct Words {
  std::vector<std::string_view> words;
  std::vector<Row> rows;
};

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

Words split_words(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  Words result;
  int line = 1;
  Row row{line, 0, 0};
  const auto end_row = [&] {
    row.columns = result.words.size() - row.first;
    if (row.columns > 0) result.rows.push_back(row);
    row = {++line, result.words.size(), 0};
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\n') end_row();
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    const size_t start = at;
    while (at < text.size() && !is_blank(text[at])) ++at;
    result.words.push_back(text.substr(start, at - start));
  }
  end_row();
  return result;
}

std::optional<double> finite_number(std::string_view word) {
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Label bounds(int class_id, const Polygon& polygon) {
  const auto [left, right] = std::ranges::minmax(polygon, {}, &Point<Normalised, double>::x);
  const auto [top, bottom] = std::ranges::minmax(polygon, {}, &Point<Normalised, double>::y);
  return {class_id, (left.x + right.x) / 2, (top.y + bottom.y) / 2, right.x - left.x, bottom.y - top.y};
}

class LabelParser {
 public:
  LabelParser(const std::string& file, int classes) : file_(file), classes_(classes) {}

  ParsedLabels parse(std::string_view text) {
    const Words words = split_words(text);
    const bool polygons =
        std::ranges::any_of(words.rows, [](const Row& row) { return row.columns > kMaxBoxColumns; });
    for (const Row& row : words.rows)
      add_row(row, std::span(words.words).subspan(row.first, row.columns), polygons);
    if (problems_.errors() > 0) {
      result_ = {.usable = false};
    } else {
      drop_duplicates();
      drop_empty();
    }
    result_.problems = problems_.take(file_);
    return std::move(result_);
  }

 private:
  std::string place(const Row& row) const { return fmt::format("{}:{}", file_, row.line); }
  void error(const Row& row, Kind kind, std::string message) {
    problems_.add(Severity::kError, kind, place(row), std::move(message));
  }

  void add_row(const Row& row, std::span<const std::string_view> words, bool polygons) {
    if (polygons ? words.size() < 3 || words.size() % 2 == 0 : words.size() != kBoxColumns) {
      return error(
          row, Kind::kLabelSyntax,
          fmt::format("{} columns; {}", words.size(),
                      polygons ? "a polygon is: class x1 y1 x2 y2 ... (other rows of this file are polygons)"
                               : "a row is: class cx cy w h"));
    }
    numbers_.clear();
    for (const std::string_view word : words) {
      const std::optional<double> number = finite_number(word);
      if (!number)
        return error(row, Kind::kLabelSyntax, fmt::format("'{}' is not a number", printable(word, 40)));
      numbers_.push_back(*number);
    }
    const double class_number = numbers_[0];
    if (class_number < 0 || class_number != std::floor(class_number))
      return error(row, Kind::kLabelSyntax,
                   fmt::format("class '{}' is not a whole number from 0", printable(words[0], 40)));
    if (class_number >= classes_)
      return error(row, Kind::kUnknownClass,
                   fmt::format("class {}, but the dataset has {} classes (0..{})", class_number, classes_,
                               classes_ - 1));
    add_label(row, static_cast<int>(class_number), polygons);
  }

  void add_label(const Row& row, int class_id, bool is_polygon) {
    Polygon polygon;
    Label label{class_id, numbers_[1], numbers_[2], 0, 0};
    if (is_polygon) {
      for (size_t i = 1; i + 1 < numbers_.size(); i += 2) polygon.push_back({numbers_[i], numbers_[i + 1]});
      label = bounds(class_id, polygon);
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
    if (is_polygon) result_.polygons.push_back(std::move(polygon));
    lines_.push_back(row.line);
  }

  // Keeps the rows of `order`, in that order.
  void keep(const std::vector<size_t>& order) {
    std::vector<Label> labels;
    std::vector<Polygon> polygons;
    std::vector<int> lines;
    for (const size_t i : order) {
      labels.push_back(result_.labels[i]);
      if (!result_.polygons.empty()) polygons.push_back(std::move(result_.polygons[i]));
      lines.push_back(lines_[i]);
    }
    result_.labels = std::move(labels);
    result_.polygons = std::move(polygons);
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
        problems_.add(Severity::kWarning, Kind::kDuplicateLabel, fmt::format("{}:{}", file_, lines_[i]),
                      fmt::format("the same row as line {}; kept once", lines_[unique.back()]));
    }
    if (unique.size() < order.size()) keep(unique);  // the order changes only then, as in the reference
  }

  void drop_empty() {
    std::vector<size_t> order;
    for (size_t i = 0; i < result_.labels.size(); ++i) {
      if (result_.labels[i].box.width > 0 && result_.labels[i].box.height > 0)
        order.push_back(i);
      else
        problems_.add(Severity::kWarning, Kind::kZeroArea, fmt::format("{}:{}", file_, lines_[i]),
                      "a box without area; dropped");
    }
    if (order.size() < result_.labels.size()) keep(order);
  }

  const std::string& file_;
  int classes_;
  ParsedLabels result_;
  std::vector<int> lines_;  // of the labels
  std::vector<double> numbers_;
  ProblemList problems_;
};

}  // namespace

ParsedLabels parse_yolo_labels(std::string_view text, const std::string& file, int classes) {
  return LabelParser(file, classes).parse(text);
}

std::string yolo_label_lines(const LabelledImage& image, bool polygons) {
  std::string lines;
  const auto out = std::back_inserter(lines);
  for (size_t i = 0; i < image.labels.size(); ++i) {
    const Label& label = image.labels[i];
    fmt::format_to(out, "{}", label.class_id);
    if (polygons && !image.polygons.empty())
      for (const auto& point : image.polygons[i]) fmt::format_to(out, " {:g} {:g}", point.x, point.y);
    else
      fmt::format_to(out, " {:g} {:g} {:g} {:g}", label.box.cx, label.box.cy, label.box.width,
                     label.box.height);
    lines += '\n';
  }
  return lines;
}

}  // namespace marrow::data
