#include "marrow/data/tools/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::data {
namespace {

// The new numbers of each dataset's classes; -1 for those that are left out, kIgnoreClass for those that
// become regions to ignore.
class ClassMerger {
 public:
  explicit ClassMerger(const std::map<std::string, std::string>& rename) : rename_(rename) {}

  std::vector<int> add(const Dataset& dataset) {
    std::vector<int> numbers;
    for (const std::string& name : dataset.names) {
      old_names_.insert(name);
      const auto renamed = rename_.find(name);
      numbers.push_back(number_of(renamed == rename_.end() ? name : renamed->second));
    }
    return numbers;
  }

  void require_known() const {
    const std::vector<std::string> known(old_names_.begin(), old_names_.end());
    for (const auto& [from, to] : rename_)
      if (!old_names_.contains(from))
        throw Error(ErrorKind::kUsage, "--map: " + unknown_name_message("class", from, known));
  }

  std::vector<std::string> take() { return std::move(names_); }

 private:
  int number_of(const std::string& name) {
    if (name.empty()) return -1;
    if (is_ignore_name(name)) return kIgnoreClass;
    const auto [entry, is_new] = numbers_.try_emplace(name, static_cast<int>(names_.size()));
    if (is_new) names_.push_back(name);
    return entry->second;
  }

  const std::map<std::string, std::string>& rename_;
  std::set<std::string> old_names_;
  std::map<std::string, int> numbers_;
  std::vector<std::string> names_;
};

// Numbers the labels anew. Returns how many are left out.
int64_t renumber(LabelledImage& image, const std::vector<int>& numbers) {
  std::vector<size_t> kept;
  std::vector<IgnoredLabel> ignored;
  int64_t left_out = 0;
  const auto renumbered = [&](Label label) {
    if (label.class_id != kIgnoreClass) label.class_id = numbers.at(static_cast<size_t>(label.class_id));
    return label;
  };
  const auto ignore = [&](const Label& label, IgnoredLabel::Reason reason) {
    ignored.push_back({label, label.class_id == kIgnoreClass ? IgnoredLabel::Reason::kClass : reason});
  };
  for (size_t i = 0; i < image.labels.size(); ++i) {
    Label& label = image.labels[i];
    label = renumbered(label);
    left_out += label.class_id == -1;
    if (label.class_id == kIgnoreClass) ignore(label, IgnoredLabel::Reason::kClass);
    if (label.class_id >= 0) kept.push_back(i);
  }
  if (kept.size() < image.labels.size()) keep_labels(image, kept);
  for (const IgnoredLabel& region : image.ignored)
    if (const Label label = renumbered(region.label); label.class_id != -1) ignore(label, region.reason);
  image.ignored = std::move(ignored);
  return left_out;
}

// What a dataset does not label is background in its images.
std::vector<std::string> missing_classes(std::span<const Dataset> datasets,
                                         const std::vector<std::vector<int>>& numbers,
                                         const std::vector<std::string>& names) {
  constexpr size_t kNamed = 10;
  std::vector<std::string> notes;
  for (size_t d = 0; d < datasets.size(); ++d) {
    std::vector<bool> has(names.size());
    for (const int number : numbers[d])
      if (number >= 0) has[static_cast<size_t>(number)] = true;
    std::vector<std::string> missing;
    int64_t count = 0;
    for (size_t c = 0; c < names.size(); ++c)
      if (!has[c] && ++count <= static_cast<int64_t>(kNamed))
        missing.push_back(fmt::format("'{}'", printable(names[c], 60)));
    if (count == 0) continue;
    if (count > static_cast<int64_t>(kNamed)) missing.emplace_back("...");
    notes.push_back(
        fmt::format("{} not labelled in {} ({}): where its images show some, they are learned as background",
                    count == 1 ? "a class is" : counted(count, "class") + " are", shown(datasets[d].file),
                    join(missing, ", ")));
  }
  return notes;
}

}  // namespace

MergeSummary merge_datasets(std::span<const Dataset> datasets, const std::filesystem::path& out,
                            const MergeOptions& options) {
  require_new_dataset(out, options.write);
  ClassMerger classes(options.rename);
  std::vector<std::vector<int>> numbers;
  for (const Dataset& dataset : datasets) {
    dataset.require_boxes();
    if (dataset.reading != datasets.front().reading)
      throw Error(ErrorKind::kUsage, fmt::format("{}: images of {}, but {} has {}", shown(dataset.file),
                                                 to_string(dataset.reading), shown(datasets.front().file),
                                                 to_string(datasets.front().reading)));
    if (dataset.task == Task::kPose && dataset.skeleton.shape != datasets.front().skeleton.shape)
      throw Error(ErrorKind::kUsage, fmt::format("{}: its kpt_shape is not that of {}", shown(dataset.file),
                                                 shown(datasets.front().file)));
    numbers.push_back(classes.add(dataset));
  }
  classes.require_known();
  MergeSummary summary;
  summary.names = classes.take();
  if (summary.names.empty()) throw Error(ErrorKind::kUsage, "--map: no class is left");
  summary.notes = missing_classes(datasets, numbers, summary.names);
  std::vector<NewSplit> splits;
  for (size_t d = 0; d < datasets.size(); ++d) {
    WholeDataset whole = read_whole(datasets[d], options.write.threads);
    summary.read.images += whole.summary.images;
    summary.read.dropped += whole.summary.dropped;
    std::ranges::move(whole.summary.problems, std::back_inserter(summary.read.problems));
    for (NewSplit& split : whole.splits) {
      auto target = std::ranges::find(splits, split.name, &NewSplit::name);
      if (target == splits.end()) target = splits.insert(splits.end(), {split.name, {}});
      for (LabelledImage& image : split.images) {
        summary.left_out += renumber(image, numbers[d]);
        summary.read.objects += static_cast<int64_t>(image.labels.size());
        summary.read.ignored += std::ranges::count_if(image.ignored, is_crowd_or_difficult);
        target->images.push_back(std::move(image));
      }
    }
  }
  write_dataset(out, summary.names, std::move(splits), datasets.front().reading, options.write);
  return summary;
}

}  // namespace marrow::data
