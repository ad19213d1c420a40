#include "marrow/track/mot_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"

namespace marrow::track {
namespace {

constexpr size_t kFewestColumns = 6, kMostColumns = 10;
constexpr double kLargestWhole = 9007199254740992.0;  // 2^53, which a double holds
constexpr double kLargestPixel = 1e9;

struct Row {
  std::string_view text;
  const std::string& file;
  int line;

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorKind::kFormat, fmt::format("{}:{}: {}", file, line, why), {.file = file, .line = line});
  }

  std::vector<double> numbers() const {
    std::vector<double> found;
    size_t begin = 0;
    for (size_t end = 0; end != std::string_view::npos; begin = end + 1) {
      end = text.find(',', begin);
      const std::string_view word =
          trimmed(text.substr(begin, end == std::string_view::npos ? end : end - begin));
      if (word.empty() && end == std::string_view::npos && !found.empty()) break;  // a comma at the end
      double number = 0;
      const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
      if (error != std::errc() || stop != word.data() + word.size() || !std::isfinite(number))
        refuse(fmt::format("'{}' is not a number", printable(word)));
      found.push_back(number);
      if (found.size() > kMostColumns) break;
    }
    if (found.size() < kFewestColumns || found.size() > kMostColumns)
      refuse(fmt::format("{} columns, expected {} to {}: frame, id, left, top, width, height, ...",
                         found.size() > kMostColumns ? fmt::format("more than {}", kMostColumns)
                                                     : std::to_string(found.size()),
                         kFewestColumns, kMostColumns));
    return found;
  }
};

int64_t whole(const Row& row, double value, const char* what) {
  if (value != std::floor(value) || std::abs(value) > kLargestWhole)
    row.refuse(fmt::format("{} {} is not a whole number", what, value));
  return static_cast<int64_t>(value);
}

}  // namespace

MotFrames parse_mot(std::string_view text, const std::string& file, MotKind kind) {
  MotFrames frames;
  std::set<std::pair<int64_t, int64_t>> seen;
  int line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const Row row = {trimmed(text.substr(begin, end - begin)), file, ++line};
    begin = end + 1;
    if (row.text.empty()) continue;
    const std::vector<double> columns = row.numbers();
    const int64_t frame = whole(row, columns[0], "frame");
    if (frame < 1 || frame > kLastMotFrame)
      row.refuse(fmt::format("frame {}; frames count from 1 to {}", frame, kLastMotFrame));
    const int64_t id = whole(row, columns[1], "id");
    if (!(columns[4] >= 0 && columns[5] >= 0))
      row.refuse(fmt::format("width {} and height {}; a size is not below 0", columns[4], columns[5]));
    if (std::any_of(columns.begin() + 2, columns.begin() + kFewestColumns,
                    [](double pixel) { return std::abs(pixel) > kLargestPixel; }))
      row.refuse(fmt::format("a box beyond {:g} pixels", kLargestPixel));
    if (kind == MotKind::kTracks && !seen.insert({frame, id}).second)
      row.refuse(fmt::format("id {} is twice in frame {}", id, frame));
    std::vector<MotBox>& boxes = frames[frame];
    if (boxes.size() == kMostMotBoxes)
      row.refuse(fmt::format("more than {} boxes in frame {}", kMostMotBoxes, frame));
    boxes.push_back({id,
                     {columns[2], columns[3], columns[4], columns[5]},
                     columns.size() > kFewestColumns ? columns[kFewestColumns] : 1});
  }
  return frames;
}

MotFrames read_mot(const std::filesystem::path& path, MotKind kind) {
  return parse_mot(read_file(path, kMaxMotBytes), path.string(), kind);
}

std::string mot_rows(int64_t frame, std::span<const TrackedObject> objects) {
  std::vector<TrackedObject> sorted(objects.begin(), objects.end());
  std::ranges::sort(sorted, {}, &TrackedObject::id);
  std::string rows;
  for (const TrackedObject& object : sorted)
    rows +=
        fmt::format("{},{},{:.2f},{:.2f},{:.2f},{:.2f},{:.4f},-1,-1,-1\n", frame, object.id, object.box.x1,
                    object.box.y1, object.box.width(), object.box.height(), object.confidence);
  return rows;
}

}  // namespace marrow::track
