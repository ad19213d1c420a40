#include "marrow/detect/results.h"

#include <fmt/core.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "marrow/base/counted.h"
#include "marrow/base/text.h"

namespace marrow::detect {
namespace {

double five_decimals(double value) {
  return std::round(value * 1e5) / 1e5;
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
                      std::span<const std::string> names) {
  return json_line(path, picture, detections, names, nlohmann::ordered_json::object());
}

std::string json_line(const std::string& path, Size picture, std::span<const Detection> detections,
                      std::span<const std::string> names, const nlohmann::ordered_json& more) {
  using json = nlohmann::ordered_json;
  json found = json::array();
  for (const Detection& detection : detections) {
    json box = json::array();
    for (float coordinate : detection.box.corners()) box.push_back(five_decimals(coordinate));
    json one;
    if (detection.track_id != 0) one["track_id"] = detection.track_id;
    one["class"] = detection.class_id;
    one["name"] = class_name(names, detection.class_id);
    one["confidence"] = five_decimals(detection.confidence);
    one["box"] = std::move(box);
    found.push_back(std::move(one));
  }
  json line = {{"image", path}, {"width", picture.width}, {"height", picture.height}};
  for (const auto& [key, value] : more.items()) line[key] = value;
  line["detections"] = std::move(found);
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string label_lines(Size picture, std::span<const Detection> detections, bool with_confidence) {
  std::string lines;
  auto width = static_cast<float>(picture.width), height = static_cast<float>(picture.height);
  for (const Detection& detection : detections) {
    const auto& [x1, y1, x2, y2] = detection.box;
    lines += fmt::format("{} {:g} {:g} {:g} {:g}", detection.class_id, (x1 + x2) / 2 / width,
                         (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height);
    if (with_confidence) lines += fmt::format(" {:g}", detection.confidence);
    if (detection.track_id != 0) lines += fmt::format(" {}", detection.track_id);
    lines += '\n';
  }
  return lines;
}

}  // namespace marrow::detect
