#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/run_folder.h"
#include "model/summary.h"
#include "train/make_task.h"
#include "train/run_training.h"
#include "train/start_model.h"
#include "train/torch.h"
#include "train/trainer.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArguments = "args.yaml";
constexpr const char* kLast = "last.safetensors";

void say(std::string_view line) {
  fmt::print(stderr, "{}\n", line);
}

// Everything that a run needs besides its weights, made from the options alone, so that a resumed one gets the same.
class RunSetup {
 public:
  explicit RunSetup(TrainOptions options) : options(std::move(options)) {
    set_torch_threads(this->options.threads);
    if (this->options.data.empty()) throw Error(ErrorKind::kUsage, "--data is missing: the dataset's YAML");
    device = parse_device(this->options.device.empty() ? (torch::cuda::is_available() ? "cuda" : "cpu")
                                                       : this->options.device);
    dataset = read_dataset(this->options.data);
    for (const std::string& note : dataset.notes) say(note);
    const bool as_one = this->options.single_cls && dataset.format != DatasetFormat::kFolders;
    names = as_one ? std::vector<std::string>{"item"} : dataset.names;
  }

  // The model is settled.
  RunOutcome train(Model model, const TrainSnapshot& start, const fs::path& folder) {
    const std::unique_ptr<Task> task = make_task(options, model, dataset, say);
    TrainerSettings settings;
    settings.folder = folder;
    settings.on_terminal = isatty(STDERR_FILENO) != 0;
    settings.executor.device = device;
    settings.executor.channels_last = options.channels_last;
    settings.executor.frozen = frozen_parts(model, options.freeze);
    settings.executor.compute_type = compute_type();
    say(fmt::format("{}, {} parameters, on {} with {} threads; {} images in {} batches of {}, {} px",
                    options.backbone.empty() ? options.model : options.model + " with " + options.backbone,
                    count_parameters(model.graph), device.str(), torch::get_num_threads(), task->images(),
                    task->batches_per_epoch(), options.batch, options.imgsz));
    say(fmt::format("results go to {}", folder.string()));
    return Trainer(options, std::move(model), start, *task, std::move(settings)).run();
  }

  TrainOptions options;
  torch::Device device = torch::kCPU;
  Dataset dataset;
  std::vector<std::string> names;  // of the classes

 private:
  // On a CPU everything is float32 unless asked for by name.
  torch::ScalarType compute_type() const {
    const bool automatic = options.amp_type == "auto";
    if (!options.amp || (automatic && !device.is_cuda())) return torch::kFloat32;
    if (options.amp_type == "fp16") {
      if (!device.is_cuda()) throw Error(ErrorKind::kUsage, "amp_type: fp16 needs CUDA; a CPU may have bf16");
      return torch::kHalf;
    }
    return torch::kBFloat16;
  }
};

void make_weights_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "weights", error);
  if (error)
    throw Error(ErrorKind::kFile,
                (folder / "weights").string() + ": cannot make this folder: " + error.message());
}

RunOutcome begin(TrainedModel model, const fs::path& folder, RunSetup& setup) {
  make_weights_folder(folder);
  TrainSnapshot start;
  start.average = model.weights;
  start.weights = std::move(model.weights);
  start.state.epochs = setup.options.epochs;
  return setup.train(model.model, start, folder);
}

}  // namespace

RunOutcome run_training(const TrainOptions& options) {
  RunSetup setup(options);
  TrainedModel model = start_model(options, setup.names, say);
  settle(setup.options, model.model, setup.dataset, say);
  const fs::path project =
      options.project.empty() ? fs::path("runs") / model.model.task : fs::path(options.project);
  const fs::path folder = make_run_folder(project, options.name, options.exist_ok);
  write_file_atomically(folder / kArguments, to_yaml(setup.options, {{"save_dir", folder.string()}}));
  return begin(std::move(model), folder, setup);
}

RunOutcome resume_training(const fs::path& run, const std::function<void(TrainOptions&)>& changes) {
  const bool is_folder = fs::is_directory(run);
  const fs::path file = is_folder ? run / "weights" / kLast : run;
  const fs::path folder = is_folder ? run : fs::absolute(run).parent_path().parent_path();
  if (is_folder && !fs::exists(file) && fs::exists(folder / kArguments)) {
    TrainOptions options;
    read_train_options(folder / kArguments, options);
    changes(options);
    say(fmt::format("{}: no checkpoint yet; the run begins anew", folder.string()));
    RunSetup setup(options);
    TrainedModel model = start_model(options, setup.names, say);
    settle(setup.options, model.model, setup.dataset, say);
    return begin(std::move(model), folder, setup);
  }
  TrainCheckpoint checkpoint = read_train_checkpoint(file);
  changes(checkpoint.options);
  say(fmt::format("going on with {} at epoch {} of {}", folder.string(), checkpoint.snapshot.state.epoch + 1,
                  checkpoint.snapshot.state.epochs));
  make_weights_folder(folder);
  RunSetup setup(checkpoint.options);
  settle(setup.options, checkpoint.model, setup.dataset, say);
  return setup.train(checkpoint.model, checkpoint.snapshot, folder);
}

fs::path latest_run(const fs::path& project) {
  fs::path latest;
  fs::file_time_type newest;
  std::error_code ignored;
  const fs::path runs = "runs";
  const auto projects =
      project.empty() ? std::vector{runs / "detect", runs / "classify"} : std::vector{project};
  for (const fs::path& place : projects)
    for (const auto& entry : fs::directory_iterator(place, ignored)) {
      const fs::path file = entry.path() / "weights" / kLast;
      if (!fs::exists(file, ignored)) continue;
      const auto time = fs::last_write_time(file, ignored);
      if (latest.empty() || time > newest) {
        latest = entry.path();
        newest = time;
      }
    }
  if (latest.empty())
    throw Error(ErrorKind::kUsage, fmt::format("--resume: no run with a checkpoint in {}; name its folder",
                                               project.empty() ? runs.string() : project.string()));
  return latest;
}

}  // namespace marrow
