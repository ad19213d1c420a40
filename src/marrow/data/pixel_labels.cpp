#include "marrow/data/pixel_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

constexpr double kSameShape = 0.02;  // how far two aspect ratios may lie apart and be called the same

}  // namespace

PixelLabels::PixelLabels(double stated_width, double stated_height, int width, int height)
    : stated_width_(stated_width), stated_height_(stated_height), width_(width), height_(height) {
  const auto is_size = [](double side) { return std::isfinite(side) && side >= 1; };
  if (is_size(stated_width) && is_size(stated_height)) return;
  stated_width_ = width;
  stated_height_ = height;
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
  if (const Clipped clipped = clip_to_image(corners); clipped != Clipped::kInside) {
    label.box = centred(corners);
    const bool gone = clipped == Clipped::kGone;
    problem(Severity::kWarning, Kind::kOutside, origin,
            fmt::format("the box {:g} {:g} {:g} {:g} reaches outside the image of {:g} x {:g}; {}",
                        object.box.x1, object.box.y1, object.box.x2, object.box.y2, stated_width_,
                        stated_height_, gone ? "dropped" : "clipped"));
    if (gone) return;
  }
  if (object.class_id == kIgnoreClass || object.crowd || object.difficult) {
    using Reason = IgnoredLabel::Reason;
    const bool by_class = object.class_id == kIgnoreClass;
    result_.ignored.push_back({label, by_class       ? Reason::kClass
                                      : object.crowd ? Reason::kCrowd
                                                     : Reason::kDifficult});
    return;
  }
  Polygon polygon;
  for (size_t i = 0; i + 1 < object.polygon.size(); i += 2) {
    const double x = object.polygon[i] / stated_width_, y = object.polygon[i + 1] / stated_height_;
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    polygon.push_back({std::clamp(x, 0.0, 1.0), std::clamp(y, 0.0, 1.0)});
  }
  if (polygon.size() < 3) polygon.clear();
  any_polygon_ |= !polygon.empty();
  result_.labels.push_back(label);
  result_.polygons.push_back(std::move(polygon));
  origins_.push_back(origin);
}

void PixelLabels::drop_duplicates() {
  std::set<std::tuple<int, double, double, double, double>> seen;
  std::vector<Label> labels;
  std::vector<Polygon> polygons;
  for (size_t i = 0; i < result_.labels.size(); ++i) {
    const Label& label = result_.labels[i];
    if (seen.emplace(label.class_id, label.box.cx, label.box.cy, label.box.width, label.box.height).second) {
      labels.push_back(label);
      polygons.push_back(std::move(result_.polygons[i]));
    } else {
      problem(Severity::kWarning, Kind::kDuplicateLabel, origins_[i], "the same object twice; kept once");
    }
  }
  result_.labels = std::move(labels);
  result_.polygons = std::move(polygons);
}

ParsedLabels PixelLabels::take(const std::string& file) {
  if (usable_) {
    drop_duplicates();
    if (!any_polygon_) result_.polygons.clear();
    for (size_t i = 0; i < result_.polygons.size(); ++i)
      if (result_.polygons[i].empty()) result_.polygons[i] = box_polygon(result_.labels[i]);
  } else {
    result_ = {.usable = false};
  }
  result_.problems = problems_.take(file);
  return std::move(result_);
}

}  // namespace marrow::data
