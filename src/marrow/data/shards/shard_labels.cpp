#include "marrow/data/shards/shard_labels.h"

#include <fmt/format.h>

#include <charconv>

#include "marrow/base/text.h"

namespace marrow::data {
namespace {

ParsedLabels unusable(const std::string& name, Problem::Kind kind, std::string message) {
  ParsedLabels labels;
  labels.usable = false;
  labels.problems.push_back({Problem::Severity::kError, kind, name, std::move(message)});
  return labels;
}

ParsedLabels parse_class(std::string_view text, int classes, const std::string& name) {
  if (text.empty()) return unusable(name, Problem::Kind::kLabelSyntax, "has no class (a member KEY.cls)");
  const std::string_view word = trimmed(text);
  int number = -1;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size())
    return unusable(name, Problem::Kind::kLabelSyntax,
                    fmt::format("its class is '{}', expected a number", printable(word, 40)));
  if (number < 0 || number >= classes)
    return unusable(name, Problem::Kind::kUnknownClass,
                    fmt::format("class {}, but there are {} classes (0..{})", number, classes, classes - 1));
  ParsedLabels labels;
  labels.labels.push_back({number, {.5, .5, 1, 1}});
  return labels;
}

}  // namespace

const ShardPart& label_part(const Dataset& dataset, const ShardSample& sample) {
  return dataset.format == DatasetFormat::kFolders ? sample.class_id : sample.rows;
}

ParsedLabels parse_shard_labels(const Dataset& dataset, const ShardSample& sample, std::string_view text,
                                const std::string& name) {
  if (dataset.format == DatasetFormat::kFolders) return parse_class(text, dataset.classes(), name);
  if (!sample.rows.is_there() && sample.class_id.is_there())
    return unusable(name, Problem::Kind::kLabelSyntax,
                    "has a class (KEY.cls) and no boxes (KEY.txt); 'format: folders' in the YAML says that "
                    "the samples have classes");
  return parse_yolo_labels(text, name, dataset.yolo_rows());
}

std::string sample_name(const std::filesystem::path& tar, const ShardSample& sample) {
  return shown(tar) + "/" + printable(sample.name, kLongestMemberName);
}

}  // namespace marrow::data
