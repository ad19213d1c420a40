#include "marrow/data/formats/dota_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"
#include "marrow/data/formats/label_words.h"
#include "marrow/data/pixel_labels.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLeastWords = 9;
constexpr size_t kCoordinates = 8;

std::string spaced(std::string_view name) {
  std::string result(name);
  std::ranges::replace(result, '-', ' ');
  return result;
}

}  // namespace

const std::vector<std::string>& dota_classes() {
  static const std::vector<std::string> names = {"plane",
                                                 "ship",
                                                 "storage tank",
                                                 "baseball diamond",
                                                 "tennis court",
                                                 "basketball court",
                                                 "ground track field",
                                                 "harbor",
                                                 "bridge",
                                                 "large vehicle",
                                                 "small vehicle",
                                                 "helicopter",
                                                 "roundabout",
                                                 "soccer ball field",
                                                 "swimming pool",
                                                 "container crane",
                                                 "airport",
                                                 "helipad"};
  return names;
}

std::vector<std::string> dota_names(const std::vector<fs::path>& files) {
  constexpr std::array<size_t, 3> kVersions = {15, 16, 18};
  const ClassIndex index(dota_classes());
  int largest = 0;
  for (const fs::path& file : files) {
    const std::string text = read_file(file, kMaxLabelFileBytes);
    const RowWords words = split_words(text);
    for (const WordRow& row : words.rows)
      if (row.columns >= kLeastWords)
        largest = std::max(largest, index.find(spaced(words.words[row.first + kCoordinates])));
  }
  size_t count = kVersions.front();
  for (const size_t version : kVersions)
    if (static_cast<size_t>(largest) >= count) count = version;
  return {dota_classes().begin(), dota_classes().begin() + static_cast<std::ptrdiff_t>(count)};
}

ParsedLabels parse_dota(std::string_view text, const std::string& file, const ClassIndex& classes,
                        Size picture) {
  PixelLabels labels(picture.width, picture.height, picture.width, picture.height, Task::kObb);
  const RowWords words = split_words(utf8_content(text, file));
  for (const WordRow& row : words.rows) {
    if (row.columns < kLeastWords) continue;
    const std::span columns = std::span(words.words).subspan(row.first, row.columns);
    const LabelOrigin origin = {fmt::format("{}:{}", file, row.line), {}};
    std::vector<double> points;
    for (size_t i = 0; i < kCoordinates; ++i) {
      const std::optional<double> number = finite_number(columns[i]);
      if (!number) {
        labels.set_unusable();
        labels.problem(Problem::Severity::kError, Problem::Kind::kLabelSyntax, origin,
                       fmt::format("'{}' is not a number; a line is: x1 y1 x2 y2 x3 y3 x4 y4 class difficult",
                                   printable(columns[i], 40)));
        break;
      }
      points.push_back(*number);
    }
    if (points.size() < kCoordinates) continue;
    const int class_id = classes.find(spaced(columns[kCoordinates]));
    if (class_id < 0) {
      labels.problem(
          Problem::Severity::kWarning, Problem::Kind::kUnknownClass, origin,
          fmt::format("'{}' is not a class of this dataset; left out", printable(columns[kCoordinates], 40)));
      continue;
    }
    labels.add({.class_id = class_id, .box = bounds_of_pairs(points), .outline = points}, origin);
  }
  return labels.take(file);
}

fs::path dota_label_folder(const fs::path& images) {
  std::error_code error;
  const fs::path parent = images.parent_path();
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error))
    if (std::error_code ignored;
        entry->is_directory(ignored) && entry->path().filename().string().starts_with("labelTxt"))
      found.push_back(entry->path());
  std::ranges::sort(found);
  if (!found.empty()) {
    // Version 1.5 has one more folder inside.
    const fs::path inner = found.front() / found.front().filename();
    return fs::is_directory(inner, error) ? inner : found.front();
  }
  if (parent.filename() != "images") return {};
  const fs::path original = parent.parent_path() / "labels" / (images.filename().string() + "_original");
  return fs::is_directory(original, error) ? original : fs::path();
}

}  // namespace marrow::data
