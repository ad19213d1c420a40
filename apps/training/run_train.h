// A training run as the command line asks for it, whatever computes its steps.
#pragma once

#include "marrow/train/step/training_executor.h"
#include "training/train_flags.h"

namespace marrow::cli {

// Throws what run_train would throw at once, before it reads anything but a file of settings.
void check_train(const TrainFlags& flags);

// The program's exit code: 0, or 128 + the signal when one ended the run (with a checkpoint). Throws Error.
int run_train(const TrainFlags& flags, const train::ChooseBackend& choose_backend);

}  // namespace marrow::cli
