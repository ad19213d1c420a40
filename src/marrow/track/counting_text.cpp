// Lines and zones as they are written on a command line.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/track/counting.h"

namespace marrow::track {
namespace {

constexpr double kFarthest = 1e6;          // pixels
constexpr size_t kMostZoneCorners = 1000;  // of a zone
constexpr size_t kLongestPlaceName = 60;   // bytes

struct NamedPoints {
  std::string name;
  std::vector<ImagePoint> points;
};

[[noreturn]] void refuse(const std::string& option, const std::string& text, const std::string& why) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: '{}': {}", option, printable(text), why));
}

NamedPoints read_points(const std::string& text, const std::string& option, const std::string& unnamed) {
  NamedPoints read{.name = unnamed};
  std::string_view rest = text;
  if (const size_t equals = rest.rfind('='); equals != std::string_view::npos) {
    read.name = std::string(trimmed(rest.substr(0, equals)));
    rest.remove_prefix(equals + 1);
    if (read.name.empty()) refuse(option, text, "a name stands before '='");
    if (read.name.size() > kLongestPlaceName || printable(read.name) != read.name)
      refuse(option, text,
             fmt::format("a name has at most {} bytes, all of them letters", kLongestPlaceName));
  }
  std::vector<float> numbers;
  for (size_t begin = 0; begin <= rest.size();) {
    const size_t end = std::min(rest.find(',', begin), rest.size());
    const std::string_view word = trimmed(rest.substr(begin, end - begin));
    double number = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || stop != word.data() + word.size() || !(std::abs(number) <= kFarthest))
      refuse(option, text, fmt::format("'{}' is not a number of pixels", printable(word)));
    numbers.push_back(static_cast<float>(number));
    begin = end + 1;
  }
  if (numbers.size() % 2 != 0) refuse(option, text, "a point has two numbers, x and y");
  for (size_t i = 0; i < numbers.size(); i += 2) read.points.push_back({numbers[i], numbers[i + 1]});
  return read;
}

template <class Place>
void check_name(const std::vector<Place>& places, const std::string& name, const std::string& option,
                const std::string& text) {
  if (std::ranges::find(places, name, &Place::name) != places.end())
    refuse(option, text, fmt::format("there is another '{}'", name));
}

// Twice the area, without regard to the direction.
double doubled_area(const std::vector<ImagePoint>& corners) {
  double sum = 0;
  for (size_t i = 0; i < corners.size(); ++i) {
    const ImagePoint a = corners[i], b = corners[(i + 1) % corners.size()];
    sum += double{a.x} * b.y - double{b.x} * a.y;
  }
  return std::abs(sum);
}

}  // namespace

std::vector<CountingLine> read_lines(std::span<const std::string> texts, const std::string& option) {
  std::vector<CountingLine> lines;
  for (const std::string& text : texts) {
    const NamedPoints read = read_points(text, option, fmt::format("line {}", lines.size() + 1));
    if (read.points.size() != 2)
      refuse(option, text, "a line is x1,y1,x2,y2, with or without NAME= before it");
    if (read.points[0] == read.points[1]) refuse(option, text, "a line joins two different points");
    check_name(lines, read.name, option, text);
    lines.push_back({read.name, read.points[0], read.points[1]});
  }
  return lines;
}

std::vector<Zone> read_zones(std::span<const std::string> texts, const std::string& option) {
  std::vector<Zone> zones;
  for (const std::string& text : texts) {
    NamedPoints read = read_points(text, option, fmt::format("zone {}", zones.size() + 1));
    if (read.points.size() < 3 || read.points.size() > kMostZoneCorners)
      refuse(
          option, text,
          fmt::format("a zone is x1,y1,x2,y2,x3,y3,... with 3 to {} corners, with or without NAME= before it",
                      kMostZoneCorners));
    if (!(doubled_area(read.points) > 0)) refuse(option, text, "a zone has an area");
    check_name(zones, read.name, option, text);
    zones.push_back({std::move(read.name), std::move(read.points)});
  }
  return zones;
}

}  // namespace marrow::track
