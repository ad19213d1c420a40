// The program `marrow-train-torch`: training by LibTorch, which knows CUDA. `marrow train --device cuda`
// starts it.
//
// Exit codes: 0, 1 (failed), 2 (usage), 128 + the signal when one ended the run (with a checkpoint).
#include "command_line/program.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "training/run_train.h"
#include "training/train_flags.h"

int main(int argc, char** argv) {
  marrow::cli::TrainFlags flags;
  const auto declare = [&flags](marrow::cli::Command& command) {
    marrow::cli::declare_train_flags(command, flags);
    command.action([&flags] { return marrow::cli::run_train(flags, marrow::train::torch_backend); });
  };
  return marrow::cli::run_program("marrow train", declare, argc, argv);
}
