#include "marrow/data/labels.h"

#include <algorithm>
#include <iterator>

#include "marrow/base/text.h"

namespace marrow::data {

std::string_view problem_kind_name(Problem::Kind kind) {
  switch (kind) {
    case Problem::Kind::kMissingImage:
      return "missing_image";
    case Problem::Kind::kBrokenImage:
      return "broken_image";
    case Problem::Kind::kSmallImage:
      return "small_image";
    case Problem::Kind::kLabelSyntax:
      return "label_syntax";
    case Problem::Kind::kOutside:
      return "outside";
    case Problem::Kind::kUnknownClass:
      return "unknown_class";
    case Problem::Kind::kZeroArea:
      return "zero_area";
    case Problem::Kind::kDuplicateLabel:
      return "duplicate_label";
    case Problem::Kind::kDuplicateImage:
      return "duplicate_image";
    case Problem::Kind::kOverlap:
      return "overlap";
    case Problem::Kind::kUnusedClass:
      return "unused_class";
    case Problem::Kind::kSizeMismatch:
      return "size_mismatch";
    case Problem::Kind::kOrphanLabel:
      return "orphan_label";
    case Problem::Kind::kMixedRows:
      return "mixed_rows";
    case Problem::Kind::kNoObjects:
      return "no_objects";
    case Problem::Kind::kNearDuplicate:
      return "near_duplicate";
    case Problem::Kind::kOther:
      break;
  }
  return "other";
}

std::string_view severity_name(Problem::Severity severity) {
  switch (severity) {
    case Problem::Severity::kError:
      return "error";
    case Problem::Severity::kWarning:
      return "warning";
    case Problem::Severity::kNote:
      break;
  }
  return "note";
}

bool is_ignore_name(std::string_view name) {
  return name.size() == kIgnoreName.size() && to_lower(name) == kIgnoreName;
}

std::filesystem::path yolo_label_path(const std::filesystem::path& image) {
  constexpr std::string_view kImages = "/images/", kLabels = "/labels/";
  const bool relative = image.is_relative();
  std::string text;
  if (relative) text = '/';  // "images/x.jpg" counts, too
  text += image.native();
  if (const size_t at = text.rfind(kImages); at != std::string::npos)
    text.replace(at, kImages.size(), kLabels);
  return std::filesystem::path(relative ? text.substr(1) : text).replace_extension(".txt");
}

void ProblemList::add(Problem::Severity severity, Problem::Kind kind, std::string place,
                      std::string message) {
  if (severity == Problem::Severity::kError) ++errors_;
  if (++count_ <= kProblemsPerFile)
    problems_.push_back({severity, kind, std::move(place), std::move(message)});
  else
    hidden_ = std::max(hidden_, severity);
}

std::vector<Problem> ProblemList::take(const std::string& file) {
  if (count_ > kProblemsPerFile)
    problems_.push_back({hidden_, Problem::Kind::kOther, file,
                         "and " + std::to_string(count_ - kProblemsPerFile) + " more problems in this file"});
  count_ = errors_ = 0;
  return std::exchange(problems_, {});
}

Clipped clip_to_image(Box<Normalised, double>& box) {
  constexpr double kLow = -kLabelTolerance, kHigh = 1 + kLabelTolerance;
  if (box.x1 >= kLow && box.y1 >= kLow && box.x2 <= kHigh && box.y2 <= kHigh) return Clipped::kInside;
  box = {std::clamp(box.x1, 0.0, 1.0), std::clamp(box.y1, 0.0, 1.0), std::clamp(box.x2, 0.0, 1.0),
         std::clamp(box.y2, 0.0, 1.0)};
  return box.width() > 0 && box.height() > 0 ? Clipped::kClipped : Clipped::kGone;
}

CentredBox<Normalised, double> centred(const Box<Normalised, double>& box) {
  return {(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.x2 - box.x1, box.y2 - box.y1};
}

Polygon box_polygon(const Label& label) {
  const auto [left, top, right, bottom] = label.box.corner_form();
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}

SizedBox<ImagePixels, double> pixel_box(const Label& label, const LabelledImage& image) {
  const CentredBox<Normalised, double>& box = label.box;
  return {(box.cx - box.width / 2) * image.width, (box.cy - box.height / 2) * image.height,
          box.width * image.width, box.height * image.height};
}

void ParsedLabels::append(ParsedLabels other) {
  if (!polygons.empty() || !other.polygons.empty()) {
    for (size_t i = polygons.size(); i < labels.size(); ++i) polygons.push_back(box_polygon(labels[i]));
    for (size_t i = other.polygons.size(); i < other.labels.size(); ++i)
      other.polygons.push_back(box_polygon(other.labels[i]));
  }
  if (!parts.empty() || !other.parts.empty()) {
    parts.resize(polygons.size());
    other.parts.resize(other.polygons.size());
  }
  const auto move_all = [](auto& from, auto& to) { std::ranges::move(from, std::back_inserter(to)); };
  usable = usable && other.usable;
  move_all(other.labels, labels);
  move_all(other.polygons, polygons);
  move_all(other.parts, parts);
  move_all(other.keypoints, keypoints);
  move_all(other.ignored, ignored);
  move_all(other.problems, problems);
}

}  // namespace marrow::data
