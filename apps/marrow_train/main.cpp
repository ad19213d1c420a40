// The program `marrow-train`, which `marrow train` starts: the part that needs LibTorch.
//
// Exit codes: 0, 1 (failed), 2 (usage), 128 + the signal when one ended the run (with a checkpoint).
#include <fmt/format.h>

#include <filesystem>

#include "command_line/program.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/train/run_training.h"
#include "marrow/train/stop_request.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "marrow_train/train_flags.h"

namespace {

using marrow::cli::TrainFlags;
using marrow::train::TrainOption;
using marrow::train::TrainOptions;

constexpr int kSignal = 128;

// `model=RUN/weights/last.safetensors resume=True` names the run by its model.
bool names_the_run(const TrainFlags& flags, const TrainOption& row) {
  return flags.resume->empty() && row.key == "model";
}

marrow::train::RunOutcome resume(const TrainFlags& flags, const marrow::train::TrainOptions& given) {
  for (const marrow::train::TrainOption* row : flags.given())
    if (!row->resumable && !names_the_run(flags, *row))
      throw marrow::Error(
          marrow::ErrorKind::kUsage,
          fmt::format("{} cannot change in a resumed run, which goes on with its own settings. "
                      "Start a new run with --model FOLDER/weights/last.safetensors",
                      marrow::cli::flag_of(row->key)));
  std::filesystem::path folder = *flags.resume;
  if (folder.empty())
    folder =
        given.model.empty() ? marrow::train::latest_run(given.project) : std::filesystem::path(given.model);
  return marrow::train::resume_training(
      folder,
      [&](marrow::train::TrainOptions& options) {
        const std::string project = options.project, model = options.model;
        flags.apply(options);
        options.project = project;
        options.model = model;
      },
      marrow::train::torch_backend);
}

int train(const TrainFlags& flags) {
  marrow::train::TrainOptions options;
  if (!flags.cfg.empty())
    for (const std::string& notice : marrow::train::read_train_options(flags.cfg, options))
      marrow::talk(fmt::format("marrow: {}", notice));
  flags.apply(options);
  const marrow::train::RunOutcome outcome =
      flags.resume ? resume(flags, options)
                   : marrow::train::run_training(options, marrow::train::torch_backend);
  return outcome == marrow::train::RunOutcome::kFinished ? 0 : kSignal + marrow::train::StopRequest::signal();
}

}  // namespace

int main(int argc, char** argv) {
  TrainFlags flags;
  marrow::cli::Command command("marrow train");
  marrow::cli::declare_train_flags(command, flags);
  command.action([&flags] { return train(flags); });
  return marrow::cli::run_program(command, argc, argv);
}
