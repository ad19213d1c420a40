#include "train/run_training.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/run_folder.h"
#include "model/summary.h"
#include "train/detection_task.h"
#include "train/start_model.h"
#include "train/torch.h"
#include "train/trainer.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArguments = "args.yaml";
constexpr const char* kLast = "last.safetensors";
constexpr int kDefaultBatch = 16;
constexpr int kSmallestMultiple = 32;  // of the image size

void say(const std::string& line) {
  fmt::print(stderr, "{}\n", line);
}

ImageCache cache_of(const std::string& text) {
  return text == "ram" || text == "true" ? ImageCache::kAll : ImageCache::kWhenItFits;
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
    if (dataset.format == DatasetFormat::kFolders)
      throw Error(ErrorKind::kUnsupported,
                  this->options.data + ": folders of classes; this run trains detectors");
    for (const std::string& note : dataset.notes) say(note);
    names = this->options.single_cls ? std::vector<std::string>{"item"} : dataset.names;
  }

  RunOutcome train(const Model& model, const TrainSnapshot& start, const fs::path& folder) {
    if (model.task != "detect")
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: a model for '{}'; this run trains detectors", options.model, model.task));
    const int stride = std::max(model.largest_stride, kSmallestMultiple);
    const int image_size = (options.imgsz + stride - 1) / stride * stride;
    if (image_size != options.imgsz)
      say(fmt::format("imgsz {} becomes {}, a multiple of the stride {}", options.imgsz, image_size, stride));
    OpenSplitOptions open{.image_size = image_size,
                          .cache = cache_of(options.cache),
                          .single_class = options.single_cls,
                          .fraction = options.fraction,
                          .threads = options.threads,
                          .say = say};
    OpenedSplit images = open_split(dataset, "train", open);
    open.fraction = 1;
    open.cache = ImageCache::kWhenItFits;
    OpenedSplit held_out = open_split(dataset, options.split, open);

    options.imgsz = image_size;
    if (options.batch < 1) options.batch = kDefaultBatch;
    options.batch =
        static_cast<int>(std::min<int64_t>(options.batch, static_cast<int64_t>(images.images->size())));
    DetectionTask task(options, model.graph, model.names, image_size, stride, std::move(images),
                       std::move(held_out));
    TrainerSettings settings;
    settings.folder = folder;
    settings.on_terminal = isatty(STDERR_FILENO) != 0;
    settings.executor.device = device;
    settings.executor.channels_last = options.channels_last;
    settings.executor.frozen = frozen_parts(model, options.freeze);
    settings.executor.compute_type = compute_type();
    say(fmt::format("{}, {} parameters, on {} with {} threads; {} images in {} batches of {}, {} px",
                    options.backbone.empty() ? options.model : options.model + " with " + options.backbone,
                    count_parameters(model.graph), device.str(), torch::get_num_threads(), task.images(),
                    task.batches_per_epoch(), options.batch, image_size));
    say(fmt::format("results go to {}", folder.string()));
    return Trainer(options, model, start, task, std::move(settings)).run();
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
  const fs::path project = options.project.empty() ? fs::path("runs") / "detect" : fs::path(options.project);
  const fs::path folder = make_run_folder(project, options.name, options.exist_ok);
  write_file_atomically(folder / kArguments, to_yaml(options, {{"save_dir", folder.string()}}));
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
    return begin(start_model(options, setup.names, say), folder, setup);
  }
  TrainCheckpoint checkpoint = read_train_checkpoint(file);
  changes(checkpoint.options);
  say(fmt::format("going on with {} at epoch {} of {}", folder.string(), checkpoint.snapshot.state.epoch + 1,
                  checkpoint.snapshot.state.epochs));
  make_weights_folder(folder);
  RunSetup setup(checkpoint.options);
  return setup.train(checkpoint.model, checkpoint.snapshot, folder);
}

fs::path latest_run(const fs::path& project) {
  fs::path latest;
  fs::file_time_type newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(project, ignored)) {
    const fs::path file = entry.path() / "weights" / kLast;
    if (!fs::exists(file, ignored)) continue;
    const auto time = fs::last_write_time(file, ignored);
    if (latest.empty() || time > newest) {
      latest = entry.path();
      newest = time;
    }
  }
  if (latest.empty())
    throw Error(ErrorKind::kUsage,
                "--resume: no run with a checkpoint in " + project.string() + "; name its folder");
  return latest;
}

}  // namespace marrow
