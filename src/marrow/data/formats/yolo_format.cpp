// YOLO's label files, read and written.
#include <fmt/format.h>

#include <iterator>

#include "marrow/base/utf8.h"
#include "marrow/data/formats/yolo_rows.h"
#include "marrow/data/outline_parts.h"

namespace marrow::data {

ParsedLabels parse_yolo_labels(std::string_view text, const std::string& file, const YoloRows& rules) {
  if (is_utf16(text))
    return {.usable = false,
            .problems = {{Problem::Severity::kError, Problem::Kind::kLabelSyntax, file, kUtf16Refused}}};
  const std::string_view content = utf8_content(text, file);
  return rules.task == Task::kDetect ? parse_detection_rows(content, file, rules)
                                     : parse_task_rows(content, file, rules);
}

std::string yolo_label_lines(const LabelledImage& image, Task rows, KeypointShape keypoints,
                             LabelDigits digits) {
  std::string lines;
  const auto out = std::back_inserter(lines);
  const auto write = [&](double value) {
    if (digits == LabelDigits::kAll)
      fmt::format_to(out, " {}", value);
    else
      fmt::format_to(out, " {:g}", value);
  };
  const bool as_polygons = has_outlines(rows) && !image.polygons.empty();
  const auto write_polygon = [&](const Polygon& polygon) {
    for (const auto& point : polygon) {
      write(point.x);
      write(point.y);
    }
  };
  const auto write_box = [&](const Label& label) {
    for (const double value : {label.box.cx, label.box.cy, label.box.width, label.box.height}) write(value);
  };
  const auto each = static_cast<size_t>(keypoints.count);
  for (size_t i = 0; i < image.labels.size(); ++i) {
    fmt::format_to(out, "{}", image.labels[i].class_id);
    if (as_polygons)
      write_polygon(joined_parts(image, i));
    else
      write_box(image.labels[i]);
    for (size_t k = 0; rows == Task::kPose && k < each && !image.keypoints.empty(); ++k) {
      const LabelKeypoint& point = image.keypoints[i * each + k];
      write(point.x);
      write(point.y);
      if (keypoints.dimensions == 3) write(point.visibility);
    }
    lines += '\n';
  }
  for (const IgnoredLabel& ignored : image.ignored) {
    fmt::format_to(out, "{}", ignored.label.class_id);
    if (as_polygons)
      write_polygon(box_polygon(ignored.label));
    else
      write_box(ignored.label);
    // Rows of one file have as many columns.
    for (size_t k = 0; rows == Task::kPose && k < keypoints.numbers(); ++k) lines += " 0";
    lines += '\n';
  }
  return lines;
}

}  // namespace marrow::data
