// marrow data convert, split, merge: new datasets out of others.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/data/dataset.h"
#include "marrow/data/tools/convert.h"
#include "marrow/data/tools/divide.h"
#include "marrow/data/tools/merge.h"
#include "support/common_options.h"
#include "support/open_data.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

// How a new dataset is written.
struct WriteArguments {
  std::string out, to, images = "copy", task = "detect";
  bool polygons = false;
  int threads = 0;

  data::WriteOptions options(data::DatasetFormat source, const data::Skeleton& skeleton) const {
    data::WriteOptions result{
        .to = source == data::DatasetFormat::kDota ? data::DatasetFormat::kYolo : source,
        .polygons = polygons,
        .task = task_named(task).value_or(Task::kDetect),
        .skeleton = skeleton,
        .threads = threads};
    for (const data::DatasetFormat format :
         {data::DatasetFormat::kYolo, data::DatasetFormat::kCoco, data::DatasetFormat::kVoc})
      if (to == data::format_name(format)) result.to = format;
    result.transfer = images == "symlink"    ? data::ImageTransfer::kSymlink
                      : images == "hardlink" ? data::ImageTransfer::kHardLink
                                             : data::ImageTransfer::kCopy;
    return result;
  }
};

void add_out(Command& command, WriteArguments& write) {
  command.argument("OUT", &write.out, "Folder for the new dataset; must not hold one").required();
}

Option& add_writing(Command& command, WriteArguments& write) {
  command.option("--images", &write.images, "How images get there").choices({"copy", "hardlink", "symlink"});
  command.flag("--polygons", &write.polygons, "To yolo: write polygons where the source has them");
  add_label_task(command, write.task);
  add_threads(command, write.threads);
  return command.option("--to", &write.to, "Format to write").choices({"yolo", "coco", "voc"});
}

// What the labels have beside boxes, where boxes alone are written.
void say_left_out(const data::ReadSummary& summary, const data::WriteOptions& options) {
  if (options.task != Task::kDetect) return;
  const bool is_voc = options.to == data::DatasetFormat::kVoc;
  const auto say = [&](const std::string& what, const std::string& how) {
    fmt::print("{}: left out; {}\n", what, is_voc ? "VOC's format has boxes alone" : how);
  };
  if (options.skeleton.shape.count > 0) say("keypoints", "--task pose keeps them");
  if (summary.outlines == 0 || options.polygons || options.to == data::DatasetFormat::kCoco) return;
  say("outlines of " + counted(summary.outlines, "object"),
      summary.quadrangles == summary.outlines
          ? "--task obb keeps them as turned boxes, --task segment as outlines"
          : "--task segment keeps them");
}

// What happened on the way; the exit code.
int say_losses(const data::ReadSummary& summary, const data::WriteOptions& options) {
  say_left_out(summary, options);
  for (const data::Problem& problem : summary.problems)
    fmt::print(stderr, "{}: {}\n", data::severity_name(problem.severity), problem.text());
  if (summary.ignored > 0)
    fmt::print(
        "{}: {}\n", counted(summary.ignored, "crowd or difficult object"),
        options.to == data::DatasetFormat::kYolo
            ? "left out, YOLO's format has no place for such; 'coco' and 'voc' keep them as regions to ignore"
            : "kept as such");
  if (summary.dropped > 0) fmt::print("{}: left out, unusable\n", counted(summary.dropped, "image"));
  return summary.dropped > 0 ? 1 : 0;
}

struct ConvertArguments {
  std::string in;
  std::vector<std::string> names;
  WriteArguments write;
};

int convert(const ConvertArguments& arguments) {
  const data::Dataset dataset = open_dataset(arguments.in, arguments.names, arguments.write.task);
  data::WriteOptions options = arguments.write.options(dataset.format, dataset.skeleton);
  data::ReadSummary summary;
  {
    ProgressLine line;
    options.progress = [&](int64_t done, int64_t total) { line.show("images", done, total); };
    summary = data::convert_dataset(dataset, arguments.write.out, options);
  }
  fmt::print("{} ({}) -> {} ({}): {}, {}\n", arguments.in, data::format_name(dataset.format),
             arguments.write.out, arguments.write.to, counted(summary.images, "image"),
             counted(summary.objects, "object"));
  return say_losses(summary, options);
}

struct SplitArguments {
  std::string in;
  std::vector<std::string> names;
  data::DivideOptions divide;
  WriteArguments write;
};

int split(const SplitArguments& arguments) {
  const data::Dataset dataset = open_dataset(arguments.in, arguments.names, arguments.write.task);
  dataset.require_boxes();
  data::DivideOptions options = arguments.divide;
  options.write = arguments.write.options(dataset.format, dataset.skeleton);
  data::DivideSummary summary;
  {
    ProgressLine line;
    options.write.progress = [&](int64_t done, int64_t total) { line.show("images", done, total); };
    summary = data::divide_dataset(dataset, arguments.write.out, options);
  }
  fmt::print("{} ({}) -> {} ({})\n", arguments.in, data::format_name(dataset.format), arguments.write.out,
             data::format_name(options.write.to));
  int64_t images = 0;
  for (const data::DivideSummary::Part& part : summary.parts) images += part.images;
  for (const data::DivideSummary::Part& part : summary.parts)
    fmt::print("{:<6}{:>12}{:>6.1f} %{:>16}\n", part.name, counted(part.images, "image"),
               100.0 * static_cast<double>(part.images) / static_cast<double>(images),
               counted(part.objects, "object"));
  if (options.group && summary.groups < images)
    fmt::print("{} of images that belong together, the largest of {}; each is in one split\n",
               counted(summary.groups, "group"), summary.largest_group);
  return say_losses(summary.read, options.write);
}

struct MergeArguments {
  std::vector<std::string> in, rename;
  WriteArguments write{.to = "yolo"};
};

// "kitten=cat", and "noise=" for classes that are left out, "blur=ignore" for regions to ignore.
std::map<std::string, std::string> class_map(const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> map;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(ErrorKind::kUsage,
                  fmt::format("--map: '{}' is no OLD=NEW; NEW may be empty, to leave a class out",
                              printable(pair, 60)));
    if (!map.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second)
      throw Error(ErrorKind::kUsage,
                  fmt::format("--map: '{}' is there twice", printable(pair.substr(0, equals), 60)));
  }
  return map;
}

int merge(const MergeArguments& arguments) {
  std::vector<data::Dataset> datasets;
  for (const std::string& in : arguments.in) datasets.push_back(open_dataset(in, {}, arguments.write.task));
  data::MergeOptions options{
      .rename = class_map(arguments.rename),
      .write = arguments.write.options(data::DatasetFormat::kYolo, datasets.front().skeleton)};
  data::MergeSummary summary;
  {
    ProgressLine line;
    options.write.progress = [&](int64_t done, int64_t total) { line.show("images", done, total); };
    summary = data::merge_datasets(datasets, arguments.write.out, options);
  }
  say_notes(summary.notes);
  fmt::print("{} -> {} ({}): {}, {} of {}\n", join(arguments.in, " + "), arguments.write.out,
             arguments.write.to, counted(summary.read.images, "image"),
             counted(summary.read.objects, "object"),
             counted(static_cast<int64_t>(summary.names.size()), "class"));
  if (summary.left_out > 0)
    fmt::print("{} of classes without a new name: left out\n", counted(summary.left_out, "object"));
  return say_losses(summary.read, options.write);
}

}  // namespace

void declare_data_convert(Command& command) {
  auto arguments = std::make_shared<ConvertArguments>();
  command.summary("Write a dataset in another format");
  command.argument("IN", &arguments->in, "The dataset of boxes: its YAML, a COCO JSON file, or a folder")
      .required();
  add_out(command, arguments->write);
  add_writing(command, arguments->write).required();
  add_class_names(command, arguments->names);
  command.example("marrow data convert data.yaml coco-copy --to coco --images hardlink");
  command.action([arguments] { return convert(*arguments); });
}

void declare_data_split(Command& command) {
  auto arguments = std::make_shared<SplitArguments>();
  data::DivideOptions& divide = arguments->divide;
  command.summary("Divide a dataset into images to train on, to validate and to test with");
  command.argument("IN", &arguments->in, "The dataset of boxes: its YAML, a COCO JSON file, or a folder")
      .required();
  add_out(command, arguments->write);
  command.option("--val", &divide.val_share, "Share of the images that is for validation").range(0.001, 0.9);
  command.option("--test", &divide.test_share, "Share of the images that is for a test").range(0, 0.9);
  command
      .option("--folds", &divide.folds,
              "Instead: equal parts, each with a YAML (fold1.yaml, ...) that validates on it and trains on "
              "the others")
      .range(2, 100)
      .without("none");
  command.flag(
      "--group", &divide.group,
      "Keep together what belongs together: near-duplicates, frames that follow each other in a film, "
      "copies that an export made of one image");
  add_seed(command, divide.seed);
  add_writing(command, arguments->write).without("the dataset's own");
  add_class_names(command, arguments->names);
  command.example("marrow data split labelstudio-export divided --val 0.2 --test 0.1");
  command.example("marrow data split data.yaml folds --folds 5 --images hardlink");
  command.action([arguments] { return split(*arguments); });
}

void declare_data_merge(Command& command) {
  auto arguments = std::make_shared<MergeArguments>();
  command.summary("Make one dataset of several, by the names of their classes");
  add_out(command, arguments->write);
  command.argument("IN", &arguments->in, "Datasets: YAML or COCO JSON files, or folders").required();
  command
      .option(
          "--map", &arguments->rename,
          "What classes are called in the new dataset, separated by commas; an empty NEW leaves a class out, "
          "'ignore' makes regions to ignore of it")
      .type("OLD=NEW,...")
      .without("as before");
  add_writing(command, arguments->write);
  command.example(
      "marrow data merge all city/data.yaml country/data.yaml --map car=vehicle,truck=vehicle,dirt=");
  command.action([arguments] { return merge(*arguments); });
}

}  // namespace marrow::cli
