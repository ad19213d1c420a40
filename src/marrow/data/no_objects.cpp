#include "marrow/data/no_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/counted.h"
#include "marrow/data/unused_labels.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using Kind = Problem::Kind;

std::string no_label_file(const Dataset& dataset, const SplitLabels& labels) {
  std::string reason =
      fmt::format("no label file was found. The labels of {} are looked for in {}",
                  shown(labels.first_unlabelled), shown(label_path(dataset, labels.first_unlabelled)));
  std::vector<fs::path> images;
  for (const LabelledImage& image : labels.images) images.push_back(image.path);
  for (const UnusedLabels& unused : find_unused_labels(dataset, images, {}))
    reason += ". " + unused.text(dataset);
  return reason;
}

std::string all_ignored(const SplitLabels& labels) {
  std::array<int64_t, 3> counts = {};  // by reason
  for (const LabelledImage& image : labels.images)
    for (const IgnoredLabel& ignored : image.ignored) ++counts.at(static_cast<size_t>(ignored.reason));
  const char* const what[] = {"crowds (iscrowd)", "marked as difficult", "of the class 'ignore'"};
  std::string reasons;
  int64_t all = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    all += counts[i];
    if (counts[i] > 0) reasons += (reasons.empty() ? "" : " or ") + std::string(what[i]);
  }
  return fmt::format("{} {}, which is neither learned nor counted",
                     all == 1 ? "its one object is" : fmt::format("all its {} objects are", all), reasons);
}

// Of the most severe kind that can take all objects away; nullptr when there is none.
const Problem* telling_problem(const SplitLabels& labels) {
  for (const Kind kind : {Kind::kUnknownClass, Kind::kLabelSyntax, Kind::kOutside, Kind::kZeroArea,
                          Kind::kMissingImage, Kind::kBrokenImage, Kind::kSmallImage}) {
    const auto found = std::ranges::find(labels.problems, kind, &Problem::kind);
    if (found != labels.problems.end()) return &*found;
  }
  return nullptr;
}

std::string reason_of(const Dataset& dataset, const SplitLabels& labels) {
  const auto usable = static_cast<int64_t>(labels.images.size());
  if (dataset.format == DatasetFormat::kYolo && labels.unlabelled == usable && labels.dropped == 0)
    return no_label_file(dataset, labels);
  if (std::ranges::any_of(labels.images, [](const LabelledImage& image) { return !image.ignored.empty(); }))
    return all_ignored(labels);
  if (const Problem* problem = telling_problem(labels))
    return fmt::format("none of its objects could be used; the first problem: {}", problem->text());
  if (dataset.format != DatasetFormat::kYolo)
    return fmt::format("no annotation has an object in one of its {}", counted(usable, "image"));
  std::string reason = fmt::format("the label files of all its {} are empty", counted(usable, "image"));
  if (labels.unlabelled > 0)
    reason = fmt::format("its label files are empty, and {} {} none", counted(labels.unlabelled, "image"),
                         labels.unlabelled == 1 ? "has" : "have");
  return reason;
}

}  // namespace

std::string no_objects_message(const Dataset& dataset, std::string_view split, const SplitLabels& labels) {
  return fmt::format("split '{}' has no objects: {}", split, reason_of(dataset, labels));
}

}  // namespace marrow::data
