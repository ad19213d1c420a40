// marrow train: on this processor, by Marrow's own kernels. Other devices are for the program
// marrow-train-torch, which is built only where LibTorch is asked for, and takes the place of this one;
// several workers for marrow-train-mpi, which is built only where MPI is.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/recipe/progress.h"
#include "support/mpirun.h"
#include "support/program_files.h"
#include "training/run_train.h"

namespace marrow::cli {
namespace {

constexpr const char* kTorchProgram = "marrow-train-torch";
constexpr const char* kMpiProgram = "marrow-train-mpi";
constexpr const char* kStarter = "mpirun";

bool is_above_one(const char* variable) {
  const char* text = std::getenv(variable);
  return text != nullptr && std::atoi(text) > 1;
}

// Whether mpirun or srun has started this process as one of several. In a job of Slurm, mpirun aside, all
// processes that srun starts know PMI.
bool is_one_of_several() {
  return is_above_one("OMPI_COMM_WORLD_SIZE") || is_above_one("PMI_SIZE") ||
         ((std::getenv("PMIX_RANK") != nullptr || std::getenv("PMI_RANK") != nullptr) &&
          is_above_one("SLURM_STEP_NUM_TASKS"));
}

std::filesystem::path mpi_program() {
  if (const auto found = find_beside(kMpiProgram)) return *found;
  throw Error(
      ErrorKind::kUnsupported,
      fmt::format("several workers: that takes the program {}, which is neither beside this program nor "
                  "in the PATH: Debian's package {}; from source it is built where MPI is (libopenmpi-dev)",
                  kMpiProgram, kMpiProgram));
}

int start_workers(const TrainFlags& flags, int workers) {
  check_train(flags);  // or each of them would say it
  const std::filesystem::path program = mpi_program();
  const auto starter = find_beside(kStarter);
  if (!starter)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("--nproc {}: there is no {}; Debian's package openmpi-bin has it", workers, kStarter));
  // The workers deal the cores out themselves, and may be more than those. When one is killed the others have
  // some seconds to say so; what mpirun says to that is left out.
  std::vector<std::string> words = {
      "-np",   std::to_string(workers),     "--quiet", "--oversubscribe", "--bind-to", "none",
      "--mca", "odls_base_sigkill_timeout", "5"};
  if (geteuid() == 0) words.push_back("--allow-run-as-root");
  words.push_back(program.string());
  for (const std::string& word : flags.words()) words.push_back(word);
  if (train::is_watched()) ::setenv(train::kProgressVariable, "1", 1);
  return run_mpirun(*starter, words);
}

[[noreturn]] void become_torch(const TrainFlags& flags, const std::string& device) {
  const auto found = find_beside(kTorchProgram);
  if (!found)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("device '{}': this program trains on the processor (--device cpu). CUDA is for {}, which "
                    "is neither beside this program nor in the PATH; it is built with LibTorch and "
                    "-DMARROW_TORCH=ON",
                    device, kTorchProgram));
  // OpenMP's threads spin while they wait for each other. Where other processes want the cores too, that is
  // most of the work; threads that sleep at once are slow on a quiet machine.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", "1000", 0);
  become_program(*found, flags.words());
}

}  // namespace

void declare_train(Command& command) {
  auto flags = std::make_shared<TrainFlags>();
  declare_train_flags(command, *flags);
  command.action([flags] {
    if (is_one_of_several()) become_program(mpi_program(), flags->words());
    if (const int workers = flags->options().nproc; workers > 1) return start_workers(*flags, workers);
    return run_train(*flags, [&flags](const train::TrainOptions& options) {
      if (!options.device.empty() && options.device != "cpu") become_torch(*flags, options.device);
      return train::native_backend(options);
    });
  });
}

}  // namespace marrow::cli
