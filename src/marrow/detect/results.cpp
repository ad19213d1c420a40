#include "marrow/detect/results.h"

#include <fmt/core.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "marrow/base/counted.h"
#include "marrow/base/text.h"

namespace marrow::detect {
namespace {

using json = nlohmann::ordered_json;

double five_decimals(double value) {
  return std::round(value * 1e5) / 1e5;
}

template <class Points>
json list_of(const Points& points) {
  json list = json::array();
  for (const auto& [x, y] : points) list.push_back({five_decimals(x), five_decimals(y)});
  return list;
}

void add_extras(json& detection, const DetectionExtras& extras, size_t i) {
  if (!extras.outlines.empty()) detection["outline"] = list_of(extras.outlines[i]);
  if (!extras.keypoints.empty()) {
    json list = json::array();
    for (const auto& [x, y, visibility] : extras.keypoints[i]) {
      list.push_back({five_decimals(x), five_decimals(y)});
      if (extras.visibility) list.back().push_back(five_decimals(visibility));
    }
    detection["keypoints"] = std::move(list);
  }
  if (!extras.rotated.empty()) {
    detection["corners"] = list_of(extras.rotated[i].corners());
    detection["angle"] = five_decimals(extras.rotated[i].angle);
  }
}

}  // namespace

std::string class_name(std::span<const std::string> names, int class_id) {
  if (class_id < 0 || static_cast<size_t>(class_id) >= names.size()) return std::to_string(class_id);
  return names[static_cast<size_t>(class_id)];
}

std::string summary_text(std::span<const Detection> detections, std::span<const std::string> names) {
  std::map<int, int> counts;
  for (const Detection& detection : detections) ++counts[detection.class_id];
  std::string text;
  for (auto [class_id, count] : counts) {
    if (!text.empty()) text += ", ";
    text += counted(count, printable(class_name(names, class_id), kLongestName));
  }
  return text.empty() ? "(no detections)" : text;
}

std::string json_line(const std::string& path, Size picture, std::span<const Detection> detections,
                      std::span<const std::string> names, const DetectionExtras& extras) {
  return json_line(path, picture, detections, names, extras, json::object());
}

std::string json_line(const std::string& path, Size picture, std::span<const Detection> detections,
                      std::span<const std::string> names, const DetectionExtras& extras, const json& more) {
  json found = json::array();
  for (size_t i = 0; i < detections.size(); ++i) {
    const Detection& detection = detections[i];
    json box = json::array();
    for (float coordinate : detection.box.corners()) box.push_back(five_decimals(coordinate));
    json one;
    if (detection.track_id != 0) one["track_id"] = detection.track_id;
    one["class"] = detection.class_id;
    one["name"] = class_name(names, detection.class_id);
    one["confidence"] = five_decimals(detection.confidence);
    one["box"] = std::move(box);
    add_extras(one, extras, i);
    found.push_back(std::move(one));
  }
  json line = {{"image", path}, {"width", picture.width}, {"height", picture.height}};
  for (const auto& [key, value] : more.items()) line[key] = value;
  line["detections"] = std::move(found);
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string label_lines(Size picture, std::span<const Detection> detections, bool with_confidence,
                        const DetectionExtras& extras) {
  std::string lines;
  auto width = static_cast<float>(picture.width), height = static_cast<float>(picture.height);
  for (size_t i = 0; i < detections.size(); ++i) {
    const Detection& detection = detections[i];
    const auto place = [&](const auto& point) {
      return fmt::format(" {:g} {:g}", point.x / width, point.y / height);
    };
    std::string line = std::to_string(detection.class_id);
    if (!extras.outlines.empty()) {
      if (extras.outlines[i].size() < 3) continue;
      for (const Point<ImagePixels>& point : extras.outlines[i]) line += place(point);
    } else if (!extras.rotated.empty()) {
      for (const Point<ImagePixels>& corner : extras.rotated[i].corners()) line += place(corner);
    } else {
      const auto& [x1, y1, x2, y2] = detection.box;
      line += fmt::format(" {:g} {:g} {:g} {:g}", (x1 + x2) / 2 / width, (y1 + y2) / 2 / height,
                          (x2 - x1) / width, (y2 - y1) / height);
    }
    if (!extras.keypoints.empty())
      for (const Keypoint<ImagePixels>& point : extras.keypoints[i]) {
        line += place(point);
        if (extras.visibility) line += fmt::format(" {:g}", point.visibility);
      }
    if (with_confidence) line += fmt::format(" {:g}", detection.confidence);
    if (detection.track_id != 0) line += fmt::format(" {}", detection.track_id);
    lines += line + '\n';
  }
  return lines;
}

}  // namespace marrow::detect
