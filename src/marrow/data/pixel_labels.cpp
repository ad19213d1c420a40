#include "marrow/data/pixel_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

constexpr double kSameShape = 0.02;  // how far two aspect ratios may lie apart and be called the same

}  // namespace

Box<ImagePixels, double> bounds_of_pairs(std::span<const double> pairs) {
  Box<ImagePixels, double> box = {pairs[0], pairs[1], pairs[0], pairs[1]};
  for (size_t i = 0; i < pairs.size(); i += 2)
    box = {std::min(box.x1, pairs[i]), std::min(box.y1, pairs[i + 1]), std::max(box.x2, pairs[i]),
           std::max(box.y2, pairs[i + 1])};
  return box;
}

PixelLabels::PixelLabels(double stated_width, double stated_height, int width, int height, Task task)
    : task_(task),
      stated_width_(stated_width),
      stated_height_(stated_height),
      width_(width),
      height_(height) {
  const auto is_size = [](double side) { return std::isfinite(side) && side >= 1; };
  if (is_size(stated_width) && is_size(stated_height)) return;
  stated_width_ = width;
  stated_height_ = height;
}

Size PixelLabels::stated_size() const {
  constexpr double kMost = 1e9;
  const auto whole = [](double side) {
    return side <= kMost && side == std::floor(side) ? static_cast<int>(side) : 0;
  };
  return {whole(stated_width_), whole(stated_height_)};
}

void PixelLabels::check_size(const LabelOrigin& origin) {
  if (stated_width_ == width_ && stated_height_ == height_) return;
  const double shape = (stated_width_ / stated_height_) / (static_cast<double>(width_) / height_);
  const bool scaled = std::abs(shape - 1) <= kSameShape;
  problem(scaled ? Severity::kNote : Severity::kWarning, Kind::kSizeMismatch, origin,
          fmt::format("the annotation says {:g} x {:g} pixels, the image has {} x {}{}", stated_width_,
                      stated_height_, width_, height_,
                      scaled ? "; boxes are scaled" : "; boxes may not fit (is the image turned by EXIF?)"));
}

void PixelLabels::problem(Severity severity, Kind kind, const LabelOrigin& origin,
                          const std::string& message) {
  problems_.add(severity, kind, origin.place, origin.subject + message);
}

void PixelLabels::add(const PixelObject& object, const LabelOrigin& origin) {
  Box<Normalised, double> corners = {object.box.x1 / stated_width_, object.box.y1 / stated_height_,
                                     object.box.x2 / stated_width_, object.box.y2 / stated_height_};
  if (!is_finite(corners)) {
    usable_ = false;
    return problem(Severity::kError, Kind::kLabelSyntax, origin, "a box of numbers that are not finite");
  }
  // The width is not the difference of shares: that would differ in the last digit from what is published.
  Label label{object.class_id,
              {(object.box.x1 + object.box.x2) / 2 / stated_width_,
               (object.box.y1 + object.box.y2) / 2 / stated_height_, object.box.width() / stated_width_,
               object.box.height() / stated_height_}};
  if (label.box.width <= 0 || label.box.height <= 0)
    return problem(Severity::kWarning, Kind::kZeroArea, origin,
                   fmt::format("a box without area ({:g} {:g} {:g} {:g}); dropped", object.box.x1,
                               object.box.y1, object.box.x2, object.box.y2));
  const Clipped clipped = clip_to_image(corners);
  if (clipped != Clipped::kInside) {
    label.box = centred(corners);
    const bool gone = clipped == Clipped::kGone;
    // The corners of a turned box may lie outside, and stay there.
    if (gone || task_ != Task::kObb)
      problem(Severity::kWarning, Kind::kOutside, origin,
              fmt::format("the box {:g} {:g} {:g} {:g} reaches outside the image of {:g} x {:g}; {}",
                          object.box.x1, object.box.y1, object.box.x2, object.box.y2, stated_width_,
                          stated_height_, gone ? "dropped" : "clipped"));
    if (gone) return;
  }
  Polygon polygon;
  for (size_t i = 0; i + 1 < object.outline.size(); i += 2)
    polygon.push_back({object.outline[i] / stated_width_, object.outline[i + 1] / stated_height_});
  const auto is_finite_point = [](const auto& p) { return std::isfinite(p.x) && std::isfinite(p.y); };
  if (polygon.size() < 3 || !std::ranges::all_of(polygon, is_finite_point)) polygon.clear();
  if (clipped != Clipped::kInside && task_ != Task::kObb)
    for (auto& point : polygon) point = {std::clamp(point.x, 0.0, 1.0), std::clamp(point.y, 0.0, 1.0)};
  if (object.class_id == kIgnoreClass || object.crowd || object.difficult) {
    using Reason = IgnoredLabel::Reason;
    const bool by_class = object.class_id == kIgnoreClass;
    IgnoredLabel ignored = {label, by_class       ? Reason::kClass
                                   : object.crowd ? Reason::kCrowd
                                                  : Reason::kDifficult};
    if (!polygon.empty() && has_outlines(task_) && ignored.reason == Reason::kCrowd) {
      ignored.polygon = std::move(polygon);
      ignored.parts.assign(object.parts.begin(), object.parts.end());
    }
    result_.ignored.push_back(std::move(ignored));
    return;
  }
  any_polygon_ |= !polygon.empty() || has_outlines(task_);
  any_part_ |= !polygon.empty() && !object.parts.empty();
  result_.parts.emplace_back();
  if (!polygon.empty()) result_.parts.back().assign(object.parts.begin(), object.parts.end());
  for (size_t i = 0; i + 2 < object.keypoints.size(); i += 3)
    result_.keypoints.push_back({object.keypoints[i] / stated_width_,
                                 object.keypoints[i + 1] / stated_height_, object.keypoints[i + 2]});
  result_.labels.push_back(label);
  result_.polygons.push_back(std::move(polygon));
  origins_.push_back(origin);
}

void PixelLabels::drop_duplicates() {
  // All that tells objects apart, as numbers.
  const auto key = [&](size_t i) {
    const Label& label = result_.labels[i];
    std::vector<double> numbers = {static_cast<double>(label.class_id), label.box.cx, label.box.cy,
                                   label.box.width, label.box.height};
    if (task_ == Task::kDetect) return numbers;
    for (const auto& [x, y] : result_.polygons[i]) numbers.insert(numbers.end(), {x, y});
    const size_t each = result_.keypoints.size() / result_.labels.size();
    for (size_t k = i * each; k < (i + 1) * each; ++k)
      numbers.insert(numbers.end(),
                     {result_.keypoints[k].x, result_.keypoints[k].y, result_.keypoints[k].visibility});
    return numbers;
  };
  std::set<std::vector<double>> seen;
  std::vector<size_t> kept;
  for (size_t i = 0; i < result_.labels.size(); ++i) {
    if (seen.insert(key(i)).second)
      kept.push_back(i);
    else
      problem(Severity::kWarning, Kind::kDuplicateLabel, origins_[i], "the same object twice; kept once");
  }
  if (kept.size() < result_.labels.size()) keep_labels(result_, kept);
}

ParsedLabels PixelLabels::take(const std::string& file) {
  if (usable_) {
    drop_duplicates();
    if (!any_polygon_) result_.polygons.clear();
    if (!any_part_) result_.parts.clear();
    for (size_t i = 0; i < result_.polygons.size(); ++i)
      if (result_.polygons[i].empty()) result_.polygons[i] = box_polygon(result_.labels[i]);
  } else {
    result_ = {};
    result_.usable = false;
  }
  result_.problems = problems_.take(file);
  return std::move(result_);
}

}  // namespace marrow::data
