// YOLO's label files for tasks other than detection. Numbers are judged in single precision, as the reference
// implementation has them, and kept as they are written.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>
#include <numeric>
#include <span>

#include "marrow/base/text.h"
#include "marrow/data/formats/label_words.h"
#include "marrow/data/formats/yolo_rows.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

constexpr float kHighest = 1.01f, kLowest = -0.01f;

class TaskRowParser {
 public:
  TaskRowParser(const std::string& file, const YoloRows& rules)
      : file_(file), rules_(rules), is_pose_(rules.task == Task::kPose) {}

  ParsedLabels parse(std::string_view text) {
    const RowWords words = split_words(text);
    are_polygons_ = !is_pose_ && std::ranges::any_of(words.rows, [&](const WordRow& row) {
      return columns_of(row) >= kLeastPolygonColumns;
    });
    for (const WordRow& row : words.rows)
      add_row(row, std::span(words.words).subspan(row.first, columns_of(row)));
    if (problems_.errors() > 0) {
      result_ = {.usable = false};
    } else {
      drop_duplicates();
      if (rules_.ignore_class >= 0) take_regions(result_, rules_.ignore_class);
    }
    result_.problems = problems_.take(file_);
    return std::move(result_);
  }

 private:
  std::string place(int line) const { return fmt::format("{}:{}", file_, line); }
  void error(const WordRow& row, Kind kind, std::string message) {
    problems_.add(Severity::kError, kind, place(row.line), std::move(message));
  }

  // A pose's row given to another task loses its keypoints.
  size_t columns_of(const WordRow& row) const {
    const bool has_keypoints =
        rules_.keypoints.count > 0 && row.columns == kBoxColumns + rules_.keypoints.numbers();
    return has_keypoints && !is_pose_ ? kBoxColumns : row.columns;
  }

  // What is wrong with so many columns; empty when nothing is.
  std::string complaint(size_t columns) const {
    if (is_pose_) {
      const size_t wanted = kBoxColumns + rules_.keypoints.numbers();
      if (columns == wanted) return {};
      return fmt::format(
          "{} columns; a row of a pose is: class cx cy w h and {} keypoints of {} numbers "
          "(kpt_shape), {} columns",
          columns, rules_.keypoints.count, rules_.keypoints.dimensions, wanted);
    }
    if (!are_polygons_)
      return columns == kBoxColumns
                 ? ""
                 : fmt::format("{} columns; a row is a polygon: class x1 y1 x2 y2 x3 y3 ...", columns);
    if (columns == kBoxColumns)
      return "5 columns: a box, or a polygon of two points, among polygons; a row is: class x1 y1 x2 y2 x3 "
             "y3 ...";
    if (columns < kLeastPolygonColumns)
      return fmt::format("{} columns; a polygon has at least three points: class x1 y1 x2 y2 x3 y3 ...",
                         columns);
    if (columns % 2 == 0)
      return fmt::format("{} columns: an odd number of coordinates; a row is: class x1 y1 x2 y2 x3 y3 ...",
                         columns);
    return {};
  }

  void add_row(const WordRow& row, std::span<const std::string_view> words) {
    if (std::string message = complaint(words.size()); !message.empty())
      return error(row, Kind::kLabelSyntax, std::move(message));
    const int class_id = read_row(words, rules_.classes, file_, row.line, numbers_, problems_);
    if (class_id < 0) return;
    if (are_polygons_)
      add_polygon(row, class_id);
    else
      add_box(row, class_id);
  }

  void add_polygon(const WordRow& row, int class_id) {
    Polygon polygon;
    polygon.reserve(numbers_.size() / 2);
    for (size_t i = 1; i + 1 < numbers_.size(); i += 2) polygon.push_back({numbers_[i], numbers_[i + 1]});
    const auto single = [](double value) { return static_cast<float>(value); };
    const auto [left, right] = std::ranges::minmax(polygon, {}, [&](const auto& p) { return single(p.x); });
    const auto [top, bottom] = std::ranges::minmax(polygon, {}, [&](const auto& p) { return single(p.y); });
    const std::array<float, 4> box = {(single(left.x) + single(right.x)) / 2,
                                      (single(top.y) + single(bottom.y)) / 2,
                                      single(right.x) - single(left.x), single(bottom.y) - single(top.y)};
    if (!is_within(row, box, box)) return;
    if (box[2] == 0 || box[3] == 0)
      problems_.add(Severity::kWarning, Kind::kZeroArea, place(row.line), "a polygon without area");
    add(row, bounds_of(class_id, polygon), box);
    result_.polygons.push_back(std::move(polygon));
  }

  void add_box(const WordRow& row, int class_id) {
    std::vector<float> single(numbers_.begin() + 1, numbers_.end());
    const std::array<float, 4> box = {single[0], single[1], single[2], single[3]};
    const size_t each = static_cast<size_t>(rules_.keypoints.dimensions);
    std::vector<float> judged(box.begin(), box.end());
    if (is_pose_) {
      judged.clear();
      for (size_t i = box.size(); i < single.size(); i += each)
        judged.insert(judged.end(), {single[i], single[i + 1]});
    }
    if (!is_within(row, judged, single)) return;
    if (box[2] == 0 || box[3] == 0)
      problems_.add(Severity::kWarning, Kind::kZeroArea, place(row.line), "a box without area");
    add(row, {class_id, {numbers_[1], numbers_[2], numbers_[3], numbers_[4]}}, box);
    if (!is_pose_) return;
    for (size_t i = kBoxColumns; i < numbers_.size(); i += each) {
      const double x = numbers_[i], y = numbers_[i + 1];
      const double visibility = each == 3 ? numbers_[i + 2] : x < 0 || y < 0 ? 0 : 1;
      result_.keypoints.push_back({x, y, visibility});
    }
  }

  void add(const WordRow& row, const Label& label, const std::array<float, 4>& box) {
    result_.labels.push_back(label);
    boxes_.push_back(box);
    lines_.push_back(row.line);
  }

  // The numbers that may not reach beyond the image, and all that may not be negative, sizes among them.
  bool is_within(const WordRow& row, std::span<const float> judged, std::span<const float> all) {
    const float highest = std::ranges::max(judged), lowest = std::ranges::min(all);
    const char* what = is_pose_ ? "keypoints" : are_polygons_ ? "the box around the polygon" : "the box";
    if (!(highest <= kHighest))
      error(row, Kind::kOutside,
            fmt::format("{} with {:g} is not within the image: coordinates are shares of its width and "
                        "height, 0..1{}",
                        what, highest, highest > 2 ? " (these look like pixels)" : ""));
    else if (!(lowest >= kLowest))
      error(row, Kind::kOutside,
            fmt::format("{:g} is negative; coordinates are shares of the image, 0..1", lowest));
    else if (all[2] < 0 || all[3] < 0)
      error(row, Kind::kOutside, fmt::format("a box of {:g} x {:g}", all[2], all[3]));
    else
      return true;
    return false;
  }

  // Rows as the reference compares and orders them: class and box, then keypoints as numbers, polygons as
  // the bytes of their points.
  std::strong_ordering compare(size_t a, size_t b) const {
    const auto numbers = [](float x, float y) {
      return x < y   ? std::strong_ordering::less
             : x > y ? std::strong_ordering::greater
                     : std::strong_ordering::equal;
    };
    if (const auto order = result_.labels[a].class_id <=> result_.labels[b].class_id; order != 0)
      return order;
    for (size_t i = 0; i < 4; ++i)
      if (const auto order = numbers(boxes_[a][i], boxes_[b][i]); order != 0) return order;
    if (is_pose_) {
      const auto each = static_cast<size_t>(rules_.keypoints.count);
      for (size_t i = 0; i < each; ++i) {
        const LabelKeypoint &p = result_.keypoints[a * each + i], &q = result_.keypoints[b * each + i];
        for (const auto& [x, y] : {std::pair{p.x, q.x}, {p.y, q.y}, {p.visibility, q.visibility}})
          if (const auto order = numbers(static_cast<float>(x), static_cast<float>(y)); order != 0)
            return order;
      }
    }
    return are_polygons_ ? compare_bytes(result_.polygons[a], result_.polygons[b])
                         : std::strong_ordering::equal;
  }

  static std::strong_ordering compare_bytes(const Polygon& a, const Polygon& b) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const std::array<float, 2> p = {static_cast<float>(a[i].x), static_cast<float>(a[i].y)};
      const std::array<float, 2> q = {static_cast<float>(b[i].x), static_cast<float>(b[i].y)};
      if (const int order = std::memcmp(p.data(), q.data(), sizeof p); order != 0)
        return order < 0 ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    return a.size() <=> b.size();
  }

  void drop_duplicates() {
    std::vector<size_t> order(result_.labels.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return compare(a, b) < 0; });
    std::vector<size_t> unique;
    for (const size_t i : order) {
      if (unique.empty() || compare(unique.back(), i) != 0)
        unique.push_back(i);
      else
        problems_.add(Severity::kWarning, Kind::kDuplicateLabel, place(lines_[i]),
                      fmt::format("the same row as line {}; kept once", lines_[unique.back()]));
    }
    if (unique.size() < order.size()) keep_labels(result_, unique);  // only then the order changes
  }

  const std::string& file_;
  const YoloRows& rules_;
  bool is_pose_;
  bool are_polygons_ = false;  // the rows of this file
  ParsedLabels result_;
  std::vector<std::array<float, 4>> boxes_;  // of the labels
  std::vector<int> lines_;
  std::vector<double> numbers_;  // of the row
  ProblemList problems_;
};

}  // namespace

ParsedLabels parse_task_rows(std::string_view text, const std::string& file, const YoloRows& rules) {
  return TaskRowParser(file, rules).parse(text);
}

}  // namespace marrow::data
