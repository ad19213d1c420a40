// The report of a dataset's check, for people and for machines.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "marrow/base/counted.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"
#include "marrow/data/tools/check.h"

namespace marrow::data {
namespace {

constexpr size_t kShownProblems = 50;  // of one severity, in the text
constexpr size_t kShownClasses = 100;
constexpr size_t kLongestName = 64;  // bytes of a class

std::string size_name(size_t i) {
  if (i == 0) return fmt::format("below {}", kCheckSizes[0]);
  if (i == std::size(kCheckSizes)) return fmt::format("{} and up", kCheckSizes[i - 1]);
  return fmt::format("{} to {}", kCheckSizes[i - 1], kCheckSizes[i]);
}

double percent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

std::string splits_table(const DatasetCheck& check) {
  std::string text = fmt::format("{:<8}{:>10}{:>10}{:>13}{:>10}{:>10}\n", "split", "images", "usable",
                                 "backgrounds", "objects", "ignored");
  for (const SplitCheck& split : check.splits)
    text += fmt::format("{:<8}{:>10}{:>10}{:>13}{:>10}{:>10}\n", split.name, split.listed, split.usable,
                        split.backgrounds, split.objects, split.ignored);
  return text;
}

std::string images_table(const DatasetCheck& check) {
  std::string text = fmt::format("{:<8}{:>10}{:>10}\n", "split", "images", "usable");
  for (const SplitCheck& split : check.splits)
    text += fmt::format("{:<8}{:>10}{:>10}\n", split.name, split.listed, split.usable);
  return text;
}

std::string classes_table(const Dataset& dataset, const DatasetCheck& check) {
  size_t width = 8;
  for (const std::string& name : dataset.names)
    width = std::max(width, display_width(printable(name, kLongestName)) + 2);
  std::string text = fmt::format("{:>5}  {:<{}}", "class", "name", width);
  const bool boxes = dataset.format != DatasetFormat::kFolders;
  for (const SplitCheck& split : check.splits) text += fmt::format("{:>{}}", split.name, boxes ? 18 : 13);
  text += boxes ? "   (objects, share, images)\n" : "   (images, share)\n";
  for (size_t i = 0; i < std::min(dataset.names.size(), kShownClasses); ++i) {
    text += fmt::format("{:>5}  {}", i, padded(printable(dataset.names[i], kLongestName), width));
    for (const SplitCheck& split : check.splits) {
      text += fmt::format("{:>8}{:>4.0f}%", split.class_objects[i],
                          percent(split.class_objects[i], split.objects));
      if (boxes) text += fmt::format("{:>5}", split.class_images[i]);
    }
    text += '\n';
  }
  if (dataset.names.size() > kShownClasses)
    text += fmt::format("       and {} more classes\n", dataset.names.size() - kShownClasses);
  return text;
}

std::string sizes_table(const DatasetCheck& check, int image_size) {
  std::string text = fmt::format(
      "shorter side of boxes at {} pixels (the detector's cells are 8, 16 and 32 wide)\n", image_size);
  for (size_t i = 0; i < kCheckSizeClasses; ++i) {
    text += fmt::format("{:>14}", size_name(i));
    for (const SplitCheck& split : check.splits)
      text += fmt::format("{:>11}{:>6.1f}%", split.box_sizes[i], percent(split.box_sizes[i], split.objects));
    text += '\n';
  }
  int64_t tiny = 0, objects = 0;
  for (const SplitCheck& split : check.splits) {
    tiny += split.box_sizes[0];
    objects += split.objects;
  }
  if (percent(tiny, objects) > 5)
    text += fmt::format(
        "{:.0f} % of the boxes are below 8 pixels and hard to learn: train with a larger --imgsz, a -p2 "
        "model, or on tiles of large images (--tile)\n",
        percent(tiny, objects));
  return text;
}

}  // namespace

std::string check_text(const Dataset& dataset, const DatasetCheck& check, int image_size) {
  std::string text;
  for (const Problem::Severity severity :
       {Problem::Severity::kError, Problem::Severity::kWarning, Problem::Severity::kNote}) {
    size_t count = 0;
    std::map<Problem::Kind, int64_t> hidden;
    for (const Problem& problem : check.problems) {
      if (problem.severity != severity) continue;
      if (++count <= kShownProblems)
        text += fmt::format("{}: {}\n", severity_name(severity), problem.text());
      else
        ++hidden[problem.kind];
    }
    for (const auto& [kind, number] : hidden)
      text += fmt::format("{}: and {} more of the kind {} (--json lists all)\n", severity_name(severity),
                          number, problem_kind_name(kind));
  }
  if (!text.empty()) text += '\n';
  const bool boxes = dataset.format != DatasetFormat::kFolders;
  text += (boxes ? splits_table(check) : images_table(check)) + '\n' + classes_table(dataset, check) + '\n';
  if (boxes) text += sizes_table(check, image_size) + '\n';
  text += counted(check.errors, "error") + ", " + counted(check.warnings, "warning") + "\n";
  return text;
}

std::string check_json(const Dataset& dataset, const DatasetCheck& check, int image_size) {
  using nlohmann::ordered_json;
  ordered_json splits = ordered_json::array();
  for (const SplitCheck& split : check.splits) {
    ordered_json classes = ordered_json::array();
    for (size_t i = 0; i < dataset.names.size(); ++i)
      classes.push_back({{"name", dataset.names[i]},
                         {"objects", split.class_objects[i]},
                         {"images", split.class_images[i]}});
    ordered_json sizes = ordered_json::object();
    for (size_t i = 0; i < kCheckSizeClasses; ++i) sizes[size_name(i)] = split.box_sizes[i];
    ordered_json& object = splits.emplace_back(ordered_json{{"name", split.name},
                                                            {"images", split.listed},
                                                            {"usable", split.usable},
                                                            {"backgrounds", split.backgrounds},
                                                            {"objects", split.objects},
                                                            {"ignored", split.ignored},
                                                            {"classes", std::move(classes)}});
    if (dataset.format != DatasetFormat::kFolders) object["box_sizes"] = std::move(sizes);
  }
  ordered_json problems = ordered_json::array();
  for (const Problem& problem : check.problems)
    problems.push_back({{"severity", severity_name(problem.severity)},
                        {"kind", problem_kind_name(problem.kind)},
                        {"place", problem.place},
                        {"message", problem.message}});
  const ordered_json report = {{"dataset", dataset.file.string()}, {"format", format_name(dataset.format)},
                               {"image_size", image_size},         {"errors", check.errors},
                               {"warnings", check.warnings},       {"splits", std::move(splits)},
                               {"problems", std::move(problems)}};
  return report.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace marrow::data
