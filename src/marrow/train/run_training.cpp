#include "marrow/train/run_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/file_lock.h"
#include "marrow/base/files.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"
#include "marrow/model/summary.h"
#include "marrow/train/frozen_part.h"
#include "marrow/train/make_task.h"
#include "marrow/train/recipe/progress.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/run_plots.h"
#include "marrow/train/same_run.h"
#include "marrow/train/start_model.h"
#include "marrow/train/step/workers.h"
#include "marrow/train/trainer.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArguments = "args.yaml";
constexpr const char* kResults = "results.csv";
constexpr const char* kLast = "last.safetensors";
constexpr const char* kBest = "best.safetensors";

// Everything that a run needs besides its weights, made from the options alone, so that a resumed one gets
// the same.
class RunSetup {
 public:
  RunSetup(TrainOptions options, const ChooseBackend& choose_backend) : options(std::move(options)) {
    backend = choose_backend(this->options);
    require_data(this->options);
    // A resumed run may be started in another folder.
    this->options.data = fs::absolute(this->options.data).lexically_normal().string();
    dataset = data::read_dataset(this->options.data);
    for (const std::string& note : dataset.notes) talk(note);
    const bool as_one = this->options.single_cls && dataset.format != data::DatasetFormat::kFolders;
    names = as_one ? std::vector<std::string>{"item"} : dataset.names;
  }

  distributed::Communicator* communicator() const { return backend.communicator; }
  // Files are the first worker's.
  bool writes() const { return communicator() == nullptr || communicator()->is_first(); }

  // Two processes in one run would each go on with what the other wrote. Throws Error{kUsage} for the second.
  void keep_to(const fs::path& folder) {
    if (writes()) lock_.emplace(folder, "trains here; wait for its end, or give a run another --name");
  }

  // The model is settled.
  RunOutcome train(model::Model model, TrainSnapshot start, const fs::path& folder) {
    if (model.classes() != static_cast<int>(names.size()))
      throw Error(
          ErrorKind::kModel,
          fmt::format("{} has {} classes, but the checkpoint's model {}. A run goes on with the classes it "
                      "began with",
                      options.data, names.size(), model.classes()));
    const std::vector<std::string> frozen = frozen_parts(model, options.freeze);
    std::optional<FrozenPart> cached;
    if (options.cache == kFeatureCache) cached.emplace(model.graph, start.weights, frozen, options.threads);
    std::vector<Value> given;
    if (cached) given = cached->border();
    const std::unique_ptr<Task> task =
        make_task(options, model, dataset, talk, std::move(cached), communicator());
    std::optional<Workers> workers;
    if (communicator() != nullptr) workers.emplace(*communicator(), joined(*task));
    compare_data(start.state.data, task->data_fingerprint);
    start.state.data = task->data_fingerprint;
    TrainerSettings settings;
    settings.folder = folder;
    settings.on_terminal = writes() && is_watched();
    settings.backend = backend;
    settings.frozen = frozen;
    settings.given = given;
    settings.workers = workers ? &*workers : nullptr;
    const bool cuts = model.tiles.side > 0;
    talk(fmt::format("{}, {} parameters, on {} with {} in {}; {} in {} of {}, {} px",
                     options.backbone.empty() ? options.model : options.model + " with " + options.backbone,
                     model::count_parameters(model.graph), backend.device, counted(backend.threads, "thread"),
                     backend.precision, counted(task->images(), cuts ? "tile" : "image"),
                     counted(task->batches_per_epoch(), "batch"), options.batch, options.imgsz));
    std::unique_ptr<RunPlots> plots;
    if (options.plots && writes()) {
      plots = std::make_unique<RunPlots>(folder, model.names, talk);
      settings.plots = plots.get();
      task->show_to(*plots);
    }
    talk(fmt::format("results go to {}", folder.string()));
    const RunOutcome outcome = hinting_at_resume(
        folder, [&] { return Trainer(options, std::move(model), start, *task, std::move(settings)).run(); });
    if (outcome == RunOutcome::kFinished)
      talk(fmt::format("results are in {}, the best model in {}{}", folder.string(),
                       (folder / "weights" / kBest).string(),
                       cuts ? ", whose tiles 'marrow predict' and 'marrow val' take" : ""));
    return outcome;
  }

  TrainOptions options;
  TrainingBackend backend;
  data::Dataset dataset;
  std::vector<std::string> names;  // of the classes
  bool data_moved = false;         // a resumed run's dataset is said to be elsewhere

 private:
  // With other workers, any of which may end this one, an error that is not of the model or the settings
  // says how the run goes on. The others hear the error alone.
  template <class Run>
  RunOutcome hinting_at_resume(const fs::path& folder, const Run& run) {
    try {
      return run();
    } catch (const Error& error) {
      std::error_code ignored;
      if (communicator() == nullptr || error.kind() != ErrorKind::kFile ||
          !fs::is_regular_file(folder / "weights" / kLast, ignored))
        throw;
      communicator()->fail(error.what());
      throw Error(error.kind(),
                  fmt::format("{}; 'marrow train --resume {}' goes on", error.what(), folder.string()));
    }
  }

  // The workers are of one run; how they work together.
  WorkerSettings joined(const Task& task) {
    TrainOptions compared = options;
    // What may differ from machine to machine.
    for (const char* key : {"threads", "workers", "data", "project"})
      set_train_option(compared, key, train_option(key).text(TrainOptions()));
    require_same_run(
        *communicator(),
        {{"program", backend.program}, {"setting", to_yaml(compared)}, {"dataset", task.data_fingerprint}});
    const int size = communicator()->size(), part = options.batch / size;
    const bool syncs = options.sync_bn.value_or(size > 1 && part < kSyncBelow);
    talk(fmt::format("{}, each with about {} of a batch; batch norms {}; gradients travel in {}",
                     counted(size, "worker"), counted(std::max(part, 1), "image"),
                     syncs ? "see the whole batch" : "see a worker's part", options.reduce_type));
    return {syncs,
            options.reduce_type == "bf16" ? distributed::Travel::kBfloat16 : distributed::Travel::kFloat32};
  }

  void compare_data(const std::string& before, const std::string& now) const {
    if (before == now) return;
    if (before.empty()) {
      if (data_moved)
        talk(options.data +
             ": taken for the dataset that the run began with, which its checkpoint does not describe");
      return;
    }
    if (data_moved)
      throw Error(
          ErrorKind::kUsage,
          fmt::format("--data {}: its images and labels are not those that the run began with. Start a "
                      "new run with --model FOLDER/weights/last.safetensors",
                      options.data));
    talk(fmt::format("{}: images or labels have changed since the run began", options.data));
  }

  std::optional<FileLock> lock_;
};

// For a run that begins anew where it was killed before its first checkpoint.
TrainOptions with_absolute_paths(TrainOptions options) {
  for (std::string* path : {&options.model, &options.pretrained}) {
    std::error_code ignored;
    if (!path->empty() && fs::is_regular_file(*path, ignored))
      *path = fs::absolute(*path).lexically_normal().string();
  }
  return options;
}

// The dataset of a run that goes on.
void require_data_of(const fs::path& run, const TrainOptions& options) {
  std::error_code ignored;
  if (!fs::exists(options.data, ignored))
    throw Error(
        ErrorKind::kFile,
        fmt::format("{}: the run's dataset is not there any more. If it has moved: --resume {} --data NEW",
                    options.data, run.string()));
}

// Without what a run that was killed in the middle of writing a file has left.
void make_weights_folder(const fs::path& folder) {
  const fs::path weights = folder / "weights";
  std::error_code error;
  fs::create_directories(weights, error);
  if (error)
    throw Error(ErrorKind::kFile, weights.string() + ": cannot make this folder: " + error.message());
  for (const fs::path& place : {folder, weights})
    for (const auto& entry : fs::directory_iterator(place, error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.') && name.ends_with(".tmp")) fs::remove(entry.path(), error);
    }
}

// Of a run that never began to train. Nothing that others left there goes.
void drop_unused_folder(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / kResults, ignored)) return;
  fs::remove(folder / kArguments, ignored);
  fs::remove(folder / "weights", ignored);  // only when it is empty
  fs::remove(folder, ignored);
}

// As many epochs as its options have now.
void take_epochs(TrainCheckpoint& checkpoint) {
  TrainState& state = checkpoint.snapshot.state;
  const int wanted = checkpoint.options.epochs;
  if (wanted <= state.epoch)
    throw Error(ErrorKind::kUsage, fmt::format("--epochs {}: the run has had {} already", wanted,
                                               counted(state.epoch, "epoch")));
  talk(fmt::format("{} instead of {}: the learning rate falls accordingly from here on{}",
                   counted(wanted, "epoch"), state.epochs,
                   checkpoint.finished ? ", and the optimizer's averages begin anew" : ""));
  state.epochs = wanted;
  std::erase_if(state.validations, [&](const auto& entry) { return entry.first >= state.epochs; });
}

// For a finished run, which would end again at once.
void require_room(const TrainCheckpoint& checkpoint) {
  const TrainState& state = checkpoint.snapshot.state;
  const int patience = checkpoint.options.patience;
  if (patience > 0 && state.epoch - state.best.best_epoch > patience)
    throw Error(ErrorKind::kUsage,
                fmt::format("--patience {}: the run ended because epoch {} stayed the best for so long. Give "
                            "a larger one, or 0 for none",
                            patience, state.best.best_epoch + 1));
  if (const auto hours = checkpoint.options.time_hours; hours && state.seconds >= *hours * kSecondsPerHour)
    throw Error(ErrorKind::kUsage,
                fmt::format("--time {}: the run has had these hours already; give more", *hours));
}

// How long a finished run has trained.
double seconds_of(const fs::path& folder) {
  if (!fs::exists(folder / kResults)) return 0;
  const ResultsTable table = read_results_csv(folder / kResults);
  const auto time = std::ranges::find(table.columns, "time");
  if (table.rows.empty() || time == table.columns.end()) return 0;
  const double seconds = table.rows.back()[static_cast<size_t>(time - table.columns.begin())];
  return std::isfinite(seconds) && seconds > 0 ? seconds : 0;
}

// As a model's YAML has it; empty where the dataset has no keypoints.
std::vector<int> keypoint_shape(const data::Dataset& dataset) {
  const data::KeypointShape& shape = dataset.skeleton.shape;
  return shape.count == 0 ? std::vector<int>() : std::vector{shape.count, shape.dimensions};
}

// Of a run that is to go on.
struct RunFiles {
  fs::path folder, checkpoint;
  bool begins_anew = false;  // there is no checkpoint yet
};

RunFiles files_of(const fs::path& run) {
  if (!fs::exists(run))
    throw Error(ErrorKind::kUsage,
                fmt::format("--resume {}: there is no such file or folder; wanted a run's folder, such as "
                            "runs/detect/train, or its weights/last.safetensors. Without a name it is the "
                            "latest run",
                            run.string()));
  if (!fs::is_directory(run)) {
    if (to_lower(run.extension().string()) != ".safetensors")
      throw Error(ErrorKind::kUsage,
                  run.string() +
                      ": no checkpoint of a run of Marrow (RUN/weights/last.safetensors), so it cannot "
                      "be resumed. To train its model further: --model " +
                      run.string());
    return {fs::absolute(run).parent_path().parent_path(), run};
  }
  const fs::path checkpoint = run / "weights" / kLast;
  if (fs::exists(checkpoint)) return {run, checkpoint};
  if (fs::exists(run / kArguments)) return {run, checkpoint, true};
  throw Error(ErrorKind::kUsage,
              run.string() + ": no run has begun here (there is no args.yaml); start it again");
}

RunOutcome begin(model::TrainedModel model, const fs::path& folder, RunSetup& setup) {
  if (setup.writes()) make_weights_folder(folder);
  TrainSnapshot start;
  start.average = model.weights;
  start.weights = std::move(model.weights);
  start.state.epochs = setup.options.epochs;
  return setup.train(model.model, std::move(start), folder);
}

}  // namespace

RunOutcome run_training(const TrainOptions& options, const ChooseBackend& choose_backend) {
  RunSetup setup(options, choose_backend);
  model::TrainedModel model =
      start_model(options, setup.names, setup.dataset.reading, talk, keypoint_shape(setup.dataset));
  settle(setup.options, model.model, setup.dataset, talk);
  const fs::path project =
      options.project.empty() ? fs::path("runs") / model.model.task : fs::path(options.project);
  fs::path folder;
  if (setup.writes()) folder = make_run_folder(project, options.name, options.exist_ok);
  if (setup.communicator() != nullptr) folder = text_of_first(*setup.communicator(), folder.string());
  setup.keep_to(folder);
  try {
    if (setup.writes())
      write_file_atomically(folder / kArguments,
                            to_yaml(with_absolute_paths(setup.options), {{"save_dir", folder.string()}}));
    return begin(std::move(model), folder, setup);
  } catch (...) {
    if (!options.exist_ok && setup.writes()) drop_unused_folder(folder);
    throw;
  }
}

RunOutcome resume_training(const fs::path& run, const std::function<void(TrainOptions&)>& changes,
                           const ChooseBackend& choose_backend) {
  const auto [folder, file, begins_anew] = files_of(run);
  if (begins_anew) {
    TrainOptions options;
    read_train_options(folder / kArguments, options);
    changes(options);
    require_data_of(run, options);
    talk(fmt::format("{}: no checkpoint yet; the run begins anew", folder.string()));
    RunSetup setup(options, choose_backend);
    setup.keep_to(folder);
    model::TrainedModel model =
        start_model(options, setup.names, setup.dataset.reading, talk, keypoint_shape(setup.dataset));
    settle(setup.options, model.model, setup.dataset, talk);
    return begin(std::move(model), folder, setup);
  }
  TrainCheckpoint checkpoint = read_train_checkpoint(file);
  if (checkpoint.finished) {
    read_train_options(folder / kArguments, checkpoint.options);
    checkpoint.options.epochs = checkpoint.snapshot.state.epochs;
    if (const int batch = checkpoint.snapshot.state.batch; batch > 0) {
      checkpoint.options.batch = batch;
      checkpoint.options.batch_memory = 0;
    }
    checkpoint.snapshot.state.seconds = seconds_of(folder);
  }
  const std::string data = checkpoint.options.data;
  const int epochs = checkpoint.options.epochs;
  const std::string cache = checkpoint.options.cache;
  changes(checkpoint.options);
  if ((cache == kFeatureCache) != (checkpoint.options.cache == kFeatureCache))
    throw Error(
        ErrorKind::kUsage,
        fmt::format("--cache {}: the run began with {}, and goes on with that: features change what is "
                    "trained",
                    checkpoint.options.cache, cache));
  if (checkpoint.finished && checkpoint.options.epochs == epochs) {
    talk(fmt::format("{}: this run is finished, so nothing is left to do. --resume {} --epochs {} trains on",
                     folder.string(), run.string(), 2 * epochs));
    return RunOutcome::kFinished;
  }
  require_data_of(run, checkpoint.options);
  if (checkpoint.options.epochs != epochs) take_epochs(checkpoint);
  if (checkpoint.finished) require_room(checkpoint);
  talk(fmt::format("going on with {} at epoch {} of {}", folder.string(), checkpoint.snapshot.state.epoch + 1,
                   checkpoint.snapshot.state.epochs));
  RunSetup setup(checkpoint.options, choose_backend);
  setup.keep_to(folder);
  if (setup.writes()) make_weights_folder(folder);
  setup.data_moved = checkpoint.options.data != data;
  settle(setup.options, checkpoint.model, setup.dataset, talk);
  return setup.train(checkpoint.model, std::move(checkpoint.snapshot), folder);
}

void require_data(const TrainOptions& options) {
  if (options.data.empty())
    throw Error(
        ErrorKind::kUsage,
        "--data is missing: the dataset's YAML. 'marrow data synth shapes' draws one to try things out with");
  data::require_dataset(options.data);
}

void require_run(const fs::path& run) {
  files_of(run);
}

fs::path latest_run(const fs::path& project) {
  fs::path latest;
  fs::file_time_type newest;
  std::error_code ignored;
  const fs::path runs = "runs";
  const auto projects = project.empty() ? std::vector{runs / "detect", runs / "segment", runs / "pose",
                                                      runs / "obb", runs / "classify"}
                                        : std::vector{project};
  for (const fs::path& place : projects)
    for (const auto& entry : fs::directory_iterator(place, ignored)) {
      // A run that was killed early has its arguments only.
      for (const fs::path& file : {entry.path() / kArguments, entry.path() / "weights" / kLast}) {
        if (!fs::exists(file, ignored)) continue;
        const auto time = fs::last_write_time(file, ignored);
        if (!latest.empty() && time <= newest) continue;
        latest = entry.path();
        newest = time;
      }
    }
  if (latest.empty())
    throw Error(ErrorKind::kUsage, fmt::format("--resume: no run is in {}; name its folder",
                                               project.empty() ? runs.string() : project.string()));
  return latest;
}

}  // namespace marrow::train
