// What was found in one image, as text: the line on the console, the line for machines, the label file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"

namespace marrow::detect {

inline constexpr size_t kLongestName = 200;  // bytes of a class name that are shown

// names[class_id], or the number where there is no such name.
std::string class_name(std::span<const std::string> names, int class_id);

// "4 persons, 1 bus": by class number, with a plural s, for a terminal; "(no detections)".
std::string summary_text(std::span<const Detection> detections, std::span<const std::string> names);

// One line of JSON without a line break:
//   {"image": path, "width": w, "height": h, "detections": [{"class": 0, "name": "person", "confidence":
//   0.87,
//    "box": [x1, y1, x2, y2]}, ...]}
// and, of a detection with extras, "outline": [[x, y], ...] of its mask, "keypoints": [[x, y, visibility],
// ...] or [[x, y], ...], "corners": [[x, y], ...] and "angle" of its turned box, radians. Boxes and points in
// pixels of the image, five decimals; a tracked detection has its "track_id" in front. Bytes that are not
// UTF-8 become U+FFFD. The members of `more`, an object, stand behind the image's height.
std::string json_line(const std::string& path, Size picture, std::span<const Detection> detections,
                      std::span<const std::string> names, const DetectionExtras& extras = {});
std::string json_line(const std::string& path, Size picture, std::span<const Detection> detections,
                      std::span<const std::string> names, const DetectionExtras& extras,
                      const nlohmann::ordered_json& more);

// Lines "class cx cy w h[ confidence][ track]", normalised by the image's size, each number as %g; empty
// without detections. With extras: "class x1 y1 x2 y2 ..." of an outline, which is left out below three
// points, or of the corners of a turned box; keypoints follow the box, "x y[ visibility]" each.
std::string label_lines(Size picture, std::span<const Detection> detections, bool with_confidence,
                        const DetectionExtras& extras = {});

}  // namespace marrow::detect
