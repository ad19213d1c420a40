// A whole training run, from options to a run folder.
#pragma once

#include <filesystem>
#include <functional>

#include "marrow/train/recipe/train_options.h"
#include "marrow/train/step/training_executor.h"
#include "marrow/train/train_state.h"

namespace marrow::train {

// Makes the run folder, trains, validates the best model. Talks on stderr, prints the final table on stdout.
// Throws Error.
RunOutcome run_training(const TrainOptions& options, const ChooseBackend& choose_backend);

// Goes on with the run of a folder, or of a checkpoint in one (FOLDER/weights/last.safetensors). `changes`
// may set the options that are resumable in the table: those that change no result, and `data` (to where the
// same images and labels lie now), `epochs`, `patience` and `time`. A finished run goes on when it gets more
// epochs, else it is said to be finished. A folder whose run had not come to its first checkpoint begins anew
// with its args.yaml. Throws Error{kUsage} for a folder without a run, Error{kModel} for a checkpoint that
// holds no training state.
RunOutcome resume_training(const std::filesystem::path& run,
                           const std::function<void(TrainOptions&)>& changes,
                           const ChooseBackend& choose_backend);

// What the two above throw at once, before they read anything: for a run that begins, and for one that goes
// on.
void require_data(const TrainOptions& options);
void require_run(const std::filesystem::path& run);

// The latest run that can be resumed below `project` (empty: runs/detect and runs/classify), by the time of
// its checkpoint. Throws Error{kUsage} when there is none.
std::filesystem::path latest_run(const std::filesystem::path& project);

}  // namespace marrow::train
