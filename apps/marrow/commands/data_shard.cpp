// marrow data shard: a dataset as tars that are read from one end to the other.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/data/dataset.h"
#include "marrow/data/tools/shard.h"
#include "support/common_options.h"
#include "support/open_data.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

struct Arguments {
  std::string in, out, task = "detect";
  std::vector<std::string> names;
  data::ShardWriteOptions options;
};

int shard(Arguments arguments) {
  const data::Dataset dataset = open_dataset(arguments.in, arguments.names, arguments.task);
  data::ShardSummaries summary;
  {
    ProgressLine line;
    arguments.options.progress = [&](int64_t done, int64_t total) { line.show("images", done, total); };
    summary = data::shard_dataset(dataset, arguments.out, arguments.options);
  }
  for (const auto& [split, images, shards] : summary.parts)
    fmt::print("{:<6}{:>12} in {}\n", split, counted(images, "image"), counted(shards, "shard"));
  for (const data::Problem& problem : summary.read.problems)
    fmt::print(stderr, "{}: {}\n", data::severity_name(problem.severity), problem.text());
  if (summary.read.ignored > 0)
    fmt::print("{}: left out, YOLO's rows have no place for such\n",
               counted(summary.read.ignored, "crowd or difficult object"));
  if (summary.read.dropped > 0)
    fmt::print("{}: left out, unusable\n", counted(summary.read.dropped, "image"));
  fmt::print("marrow train --data {}/data.yaml\n", arguments.out);
  return summary.read.dropped > 0 ? 1 : 0;
}

}  // namespace

void declare_data_shard(Command& command) {
  auto arguments = std::make_shared<Arguments>();
  data::ShardWriteOptions& options = arguments->options;
  command.summary(
      "Write a dataset as tar shards in WebDataset's layout, for training from what no memory holds");
  command.argument("IN", &arguments->in, "The dataset: its YAML, a COCO JSON file, or a folder").required();
  command.argument("OUT", &arguments->out, "Folder for the shards; must not hold a dataset").required();
  command.option("--shard-size", &options.megabytes, "Megabytes of a shard, at most")
      .type("MB")
      .range(0.01, 1e6);
  command.option("--shard-images", &options.samples, "Images of a shard, at most")
      .range(1, 1'000'000)
      .without("as many as --shard-size allows");
  add_label_task(command, arguments->task);
  add_seed(command, options.seed);
  add_threads(command, options.threads);
  add_class_names(command, arguments->names);
  command.example("marrow data shard data.yaml shards --shard-size 500");
  command.action([arguments] { return shard(*arguments); });
}

}  // namespace marrow::cli
