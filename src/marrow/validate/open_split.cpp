#include "validate/open_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/dataset_split.h"

namespace marrow {
namespace {

constexpr size_t kMostProblemsSaid = 10;

void say_problems(const std::vector<Problem>& problems, const Dataset& dataset,
                  const std::function<void(const std::string&)>& say) {
  size_t said = 0;
  for (const Problem& problem : problems)
    if (problem.severity != Problem::Severity::kNote && said++ < kMostProblemsSaid) say(problem.text());
  if (said > kMostProblemsSaid)
    say(fmt::format("... and {} more; 'marrow data check {}' lists them", said - kMostProblemsSaid,
                    dataset.file.string()));
}

}  // namespace

OpenedSplit open_split(const Dataset& dataset, std::string_view split, const OpenSplitOptions& options) {
  const auto say = options.say ? options.say : [](const std::string&) {};
  SplitLabels labels =
      load_split(dataset, split, {.threads = options.threads, .use_cache = options.use_cache});
  say_problems(labels.problems, dataset, say);
  if (!labels.cache_note.empty()) say(fmt::format("{}: {}", split, labels.cache_note));

  if (options.fraction < 1) {
    const double kept = std::nearbyint(static_cast<double>(labels.images.size()) * options.fraction);
    labels.images.resize(std::max<size_t>(static_cast<size_t>(kept), 1));
  }
  OpenedSplit opened;
  for (LabelledImage& image : labels.images) {
    if (options.single_class) {
      for (Label& label : image.labels) label.class_id = 0;
      for (IgnoredLabel& ignored : image.ignored) ignored.label.class_id = 0;
    }
    opened.objects += static_cast<int64_t>(image.labels.size());
    opened.backgrounds += image.labels.empty();
  }
  say(fmt::format("{}: {} images, {} objects, {} without objects, {} unusable", split, labels.images.size(),
                  opened.objects, opened.backgrounds, labels.dropped));
  opened.images = std::make_shared<ImageStore>(
      std::move(labels.images),
      ImageStoreOptions{.image_size = options.image_size, .cache = options.cache, .report = options.say});
  return opened;
}

}  // namespace marrow
