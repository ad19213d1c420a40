// marrow data: look a dataset over, draw one.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/dataset.h"
#include "marrow/data/task_labels.h"
#include "marrow/data/tools/check.h"
#include "marrow/data/tools/synth.h"
#include "support/common_options.h"
#include "support/open_data.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

struct CheckArguments {
  std::string data, task = "detect";
  std::vector<std::string> names;
  RunFolderOptions folder{.project = "runs/data", .name = "check"};
  bool json = false;
  int image_size = data::CheckOptions().image_size, threads = 0;
};

int check(const CheckArguments& arguments) {
  const data::Dataset dataset = open_dataset(arguments.data, arguments.names, arguments.task);
  data::require_keypoints(dataset);
  const auto folder = arguments.folder.make();
  data::CheckOptions options{.image_size = arguments.image_size,
                             .threads = arguments.threads,
                             .sheet = folder / "labels.png",
                             .near_sheet = folder / "near_duplicates.png"};
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
  fmt::print(arguments.json ? stderr : stdout, "images with their {} and this report: {}\n",
             dataset.format == data::DatasetFormat::kFolders ? "classes" : "boxes", folder.string());
  return result.errors > 0 ? 1 : 0;
}

void declare_check(Command& command) {
  auto arguments = std::make_shared<CheckArguments>();
  command.summary("Find every problem of a dataset, with file and line");
  add_data_argument(command, "DATA", arguments->data);
  add_class_names(command, arguments->names);
  add_label_task(command, arguments->task);
  command
      .option("--imgsz", &arguments->image_size, "Longer side in training (pixels), for the sizes of boxes")
      .type("PIXELS")
      .range(32, 8192);
  add_json(command, arguments->json);
  add_threads(command, arguments->threads);
  add_run_folder(command, arguments->folder);
  command.example("marrow data check data.yaml --imgsz 320");
  command.action([arguments] { return check(*arguments); });
}

struct SynthArguments {
  std::string out, task = "detect";
  std::vector<std::string> classes = {"shapes"};
  data::SynthOptions options;
};

int synth(SynthArguments arguments) {
  arguments.options.task = task_named(arguments.task).value_or(Task::kDetect);
  if (arguments.classes != std::vector<std::string>{"shapes"}) arguments.options.classes = arguments.classes;
  data::SynthSummary summary;
  {
    ProgressLine line;
    arguments.options.progress = [&](int64_t done, int64_t total) { line.show("images", done, total); };
    summary = data::write_synth_dataset(arguments.out, arguments.options);
  }
  fmt::print("{}: {} to train on, {} to validate\n", arguments.out, counted(summary.train_images, "image"),
             summary.val_images);
  for (size_t i = 0; i < summary.objects.size(); ++i)
    fmt::print("  {:<10}{:>8}\n", arguments.options.classes[i], summary.objects[i]);
  return 0;
}

void declare_synth(Command& command) {
  auto arguments = std::make_shared<SynthArguments>();
  data::SynthOptions& options = arguments->options;
  command.summary("Draw a small dataset of shapes, to try things out with");
  command.argument("OUT", &arguments->out, "Folder for the dataset; must not hold one").required();
  command.option("--images", &options.images, "Images to draw, of both splits")
      .range(1, data::kMostSynthImages);
  command
      .option(
          "--classes", &arguments->classes,
          "shapes for all of " + join(data::synth_classes(), ", ") + "; or some of them, separated by commas")
      .type("NAME,...");
  command.option("--val-share", &options.val_share, "Share of the images that is for validation")
      .range(0, data::kMostValShare);
  command.option("--imgsz", &options.image_size, "Longer side of an image (pixels)")
      .type("PIXELS")
      .range(data::kSmallestSynthSide, data::kLargestSynthSide);
  command.option("--objects", &options.objects, "Objects in an image, at most")
      .range(1, data::kMostSynthObjects);
  command
      .option("--channels", &options.samples.channels,
              "Channels; others than 3 as TIFF, grey or colours in turn")
      .range(1, kMaxSampleChannels);
  command.option("--bits", &options.samples.bits, "Bits of a sample: 8, or 16 as TIFF").range(8, 16);
  add_label_task(command, arguments->task);
  add_seed(command, options.seed);
  add_threads(command, options.threads);
  command.example("marrow data synth shapes --images 500 --classes disc,star --seed 7");
  command.action([arguments] { return synth(*arguments); });
}

}  // namespace

void declare_data(Command& command) {
  command.summary("Check, convert, divide, merge, draw or show datasets");
  command.add("check", declare_check);
  command.add("convert", declare_data_convert);
  command.add("split", declare_data_split);
  command.add("merge", declare_data_merge);
  command.add("shard", declare_data_shard);
  command.add("synth", declare_synth);
  command.add("show", declare_data_show);
  command.add("suspects", declare_data_suspects);
  command.example("marrow data check data.yaml");
}

}  // namespace marrow::cli
