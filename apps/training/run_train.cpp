#include "training/run_train.h"

#include <fmt/format.h>

#include <csignal>
#include <filesystem>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/train/run_training.h"
#include "marrow/train/stop_request.h"

namespace marrow::cli {
namespace {

constexpr int kEndedBySignal = 128;

// `model=RUN/weights/last.safetensors resume=True` names the run by its model.
bool names_the_run(const TrainFlags& flags, const train::TrainOption& row) {
  return flags.resume->empty() && row.key == "model";
}

std::filesystem::path run_to_resume(const TrainFlags& flags, const train::TrainOptions& given) {
  for (const train::TrainOption* row : flags.given())
    if (!row->resumable && !names_the_run(flags, *row))
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} cannot change in a resumed run, which goes on with its own settings. "
                              "Start a new run with --model FOLDER/weights/last.safetensors",
                              flag_of(row->key)));
  if (!flags.resume->empty()) return *flags.resume;
  return given.model.empty() ? train::latest_run(given.project) : std::filesystem::path(given.model);
}

train::RunOutcome resume(const TrainFlags& flags, const train::TrainOptions& given,
                         const train::ChooseBackend& choose_backend) {
  return train::resume_training(
      run_to_resume(flags, given),
      [&](train::TrainOptions& options) {
        const std::string project = options.project, model = options.model;
        flags.apply(options);
        options.project = project;
        options.model = model;
      },
      choose_backend);
}

}  // namespace

void check_train(const TrainFlags& flags) {
  const train::TrainOptions options = flags.options();
  if (flags.resume)
    train::require_run(run_to_resume(flags, options));
  else
    train::require_data(options);
}

int run_train(const TrainFlags& flags, const train::ChooseBackend& choose_backend) {
  const train::TrainOptions options =
      flags.options([](const std::string& notice) { talk(fmt::format("marrow: {}", notice)); });
  const train::RunOutcome outcome =
      flags.resume ? resume(flags, options, choose_backend) : train::run_training(options, choose_backend);
  if (outcome == train::RunOutcome::kFinished) return 0;
  const int signal = train::StopRequest::signal();
  return kEndedBySignal + (signal != 0 ? signal : SIGTERM);  // another worker's
}

}  // namespace marrow::cli
