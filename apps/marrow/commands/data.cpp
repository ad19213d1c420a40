// marrow data: look a dataset over, convert it, draw one.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/dataset.h"
#include "marrow/data/tools/check.h"
#include "marrow/data/tools/convert.h"
#include "marrow/data/tools/synth.h"
#include "support/cli.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find(',', at), text.size());
    if (end > at) names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

void say_notes(const data::Dataset& dataset) {
  for (const std::string& note : dataset.notes) fmt::print(stderr, "note: {}\n", note);
}

struct CheckArguments {
  std::string data, names;
  RunFolderOptions folder{.project = "runs/data", .name = "check"};
  bool json = false;
  int image_size = data::CheckOptions().image_size, threads = 0;
};

int check(const CheckArguments& arguments) {
  const data::Dataset dataset = data::read_dataset(arguments.data, split_names(arguments.names));
  say_notes(dataset);
  const auto folder = arguments.folder.make();
  data::CheckOptions options{
      .image_size = arguments.image_size, .threads = arguments.threads, .sheet = folder / "labels.png"};
  data::DatasetCheck result;
  {
    ProgressLine line;
    options.progress = [&](const std::string& what, int64_t done, int64_t total) {
      line.show(what, done, total);
    };
    result = data::check_dataset(dataset, options);
  }
  const std::string text = data::check_text(dataset, result, arguments.image_size);
  const std::string json = data::check_json(dataset, result, arguments.image_size) + "\n";
  write_file_atomically(folder / "check.txt", text);
  write_file_atomically(folder / "check.json", json);
  fmt::print("{}", arguments.json ? json : text);
  fmt::print(arguments.json ? stderr : stdout, "pictures with their {} and this report: {}\n",
             dataset.format == data::DatasetFormat::kFolders ? "classes" : "boxes", folder.string());
  return result.errors > 0 ? 1 : 0;
}

Action add_check(CLI::App& data) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App& command = *data.add_subcommand("check", "Find every problem of a dataset, with file and line");
  command.add_option("DATA", arguments->data, "Dataset: a YAML file, a COCO JSON file or a folder")
      ->required()
      ->type_name("");
  command.add_option("--names", arguments->names, "Class names, comma-separated [default: the dataset's]")
      ->type_name("A,B,...");
  command
      .add_option("--imgsz", arguments->image_size,
                  "Longer side in training (pixels), for the sizes of boxes")
      ->check(in_range(32, 8192))
      ->capture_default_str();
  command.add_flag("--json", arguments->json, "Print the report as one JSON object [default: off]");
  add_threads_option(command, arguments->threads);
  add_run_folder_options(command, arguments->folder);
  set_example(command, "marrow data check data.yaml --imgsz 320");
  return [arguments] { return check(*arguments); };
}

struct ConvertArguments {
  std::string in, out, to, names, images = "copy";
  bool polygons = false;
  int threads = 0;
};

int convert(const ConvertArguments& arguments) {
  const data::Dataset dataset = data::read_dataset(arguments.in, split_names(arguments.names));
  say_notes(dataset);
  data::ConvertOptions options{.polygons = arguments.polygons, .threads = arguments.threads};
  options.to = arguments.to == "coco"  ? data::DatasetFormat::kCoco
               : arguments.to == "voc" ? data::DatasetFormat::kVoc
                                       : data::DatasetFormat::kYolo;
  options.transfer = arguments.images == "symlink"    ? data::PictureTransfer::kSymlink
                     : arguments.images == "hardlink" ? data::PictureTransfer::kHardLink
                                                      : data::PictureTransfer::kCopy;
  data::ConvertSummary summary;
  {
    ProgressLine line;
    options.progress = [&](int64_t done, int64_t total) { line.show("pictures", done, total); };
    summary = data::convert_dataset(dataset, arguments.out, options);
  }
  for (const data::Problem& problem : summary.problems)
    fmt::print(stderr, "{}: {}\n", data::severity_name(problem.severity), problem.text());
  fmt::print("{} ({}) -> {} ({}): {}, {}\n", arguments.in, data::format_name(dataset.format), arguments.out,
             arguments.to, counted(summary.images, "picture"), counted(summary.objects, "object"));
  if (summary.ignored > 0)
    fmt::print("{}: {}\n", counted(summary.ignored, "crowd or difficult object"),
               options.to == data::DatasetFormat::kYolo ? "left out, YOLO's format has no place for such"
                                                        : "kept as such");
  if (summary.dropped > 0) fmt::print("{}: left out, unusable\n", counted(summary.dropped, "picture"));
  return summary.dropped > 0 ? 1 : 0;
}

Action add_convert(CLI::App& data) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App& command = *data.add_subcommand("convert", "Write a dataset in another format");
  command.add_option("IN", arguments->in, "Dataset: a YAML file, a COCO JSON file or a folder")
      ->required()
      ->type_name("");
  command.add_option("OUT", arguments->out, "Folder for the new dataset; must not hold one")
      ->required()
      ->type_name("");
  command.add_option("--to", arguments->to, "Format to write")
      ->required()
      ->check(CLI::IsMember({"yolo", "coco", "voc"}));
  command.add_option("--images", arguments->images, "How pictures get there")
      ->check(CLI::IsMember({"copy", "hardlink", "symlink"}))
      ->capture_default_str();
  command.add_flag("--polygons", arguments->polygons,
                   "To yolo: write polygons where the source has them [default: off]");
  command
      .add_option("--names", arguments->names,
                  "Class names in the order wanted, comma-separated [default: the dataset's]")
      ->type_name("A,B,...");
  add_threads_option(command, arguments->threads);
  set_example(command, "marrow data convert data.yaml coco-copy --to coco --images hardlink");
  return [arguments] { return convert(*arguments); };
}

struct SynthArguments {
  std::string out, classes = "shapes";
  data::SynthOptions options;
};

int synth(SynthArguments arguments) {
  if (arguments.classes != "shapes") arguments.options.classes = split_names(arguments.classes);
  data::SynthSummary summary;
  {
    ProgressLine line;
    arguments.options.progress = [&](int64_t done, int64_t total) { line.show("pictures", done, total); };
    summary = data::write_synth_dataset(arguments.out, arguments.options);
  }
  fmt::print("{}: {} to train on, {} to validate\n", arguments.out, counted(summary.train_images, "picture"),
             summary.val_images);
  for (size_t i = 0; i < summary.objects.size(); ++i)
    fmt::print("  {:<10}{:>8}\n", arguments.options.classes[i], summary.objects[i]);
  return 0;
}

Action add_synth(CLI::App& data) {
  auto arguments = std::make_shared<SynthArguments>();
  data::SynthOptions& options = arguments->options;
  CLI::App& command = *data.add_subcommand("synth", "Draw a small dataset of shapes, to try things out with");
  command.add_option("OUT", arguments->out, "Folder for the dataset; must not hold one")
      ->required()
      ->type_name("");
  command.add_option("--images", options.images, "Pictures to draw, of both splits")
      ->check(in_range(1, data::kMostSynthImages))
      ->capture_default_str();
  command
      .add_option(
          "--classes", arguments->classes,
          "shapes for all of " + join(data::synth_classes(), ", ") + "; or some of them, comma-separated")
      ->capture_default_str();
  command.add_option("--val-share", options.val_share, "Share of the pictures that is for validation")
      ->check(in_range(0, data::kMostValShare))
      ->capture_default_str();
  command.add_option("--imgsz", options.image_size, "Longer side of a picture (pixels)")
      ->check(in_range(data::kSmallestSynthSide, data::kLargestSynthSide))
      ->capture_default_str();
  command.add_option("--objects", options.objects, "Objects in a picture, at most")
      ->check(in_range(1, data::kMostSynthObjects))
      ->capture_default_str();
  command.add_option("--seed", options.seed, "The same seed draws the same pictures")->capture_default_str();
  add_threads_option(command, options.threads);
  set_example(command, "marrow data synth shapes --images 500 --classes disc,star --seed 7");
  return [arguments] { return synth(*arguments); };
}

}  // namespace

Action add_data(CLI::App& app) {
  CLI::App& data = *app.add_subcommand("data", "Check, convert, draw or show a dataset");
  data.require_subcommand(1);
  std::vector<std::pair<CLI::App*, Action>> commands;
  for (Action (*add)(CLI::App&) : {add_check, add_convert, add_synth, add_data_show}) {
    const size_t before = data.get_subcommands(nullptr).size();
    Action action = add(data);
    commands.emplace_back(data.get_subcommands(nullptr).at(before), std::move(action));
  }
  set_example(data, "marrow data check data.yaml");
  return [commands] {
    for (const auto& [command, action] : commands)
      if (command->parsed()) return action();
    return 2;
  };
}

}  // namespace marrow::cli
