// The program `marrow-train-mpi`: one worker of a training that several processes do together, started by
// mpirun or srun. `marrow train` becomes this program where it sees that it is one of several, and starts
// them all for --nproc.
//
// Exit codes: 0, 1 (failed), 2 (usage), 128 + the signal when one ended the run (with a checkpoint).
#include <fmt/format.h>
#include <sched.h>

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <vector>

#include "command_line/program.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/cpu/simd_level.h"
#include "marrow/distributed/mpi/mpi_transport.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/stop_request.h"
#include "training/run_train.h"
#include "training/train_flags.h"

namespace {

using marrow::distributed::Communicator;

int number_in(std::initializer_list<const char*> variables, int otherwise) {
  for (const char* name : variables)
    if (const char* text = std::getenv(name)) return std::atoi(text);
  return otherwise;
}

// The workers of a machine deal its cores out, unless they were bound to fewer when they were started.
void take_own_cores() {
  const auto workers = static_cast<size_t>(number_in({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}, 1));
  const auto worker =
      static_cast<size_t>(number_in({"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}, 0));
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<size_t> cores;
  for (size_t core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  if (cores.size() < workers || worker >= workers) return;
  cpu_set_t own;
  CPU_ZERO(&own);
  for (size_t i = cores.size() * worker / workers; i < cores.size() * (worker + 1) / workers; ++i)
    CPU_SET(cores[i], &own);
  sched_setaffinity(0, sizeof own, &own);
}

int train(const marrow::cli::TrainFlags& flags, std::unique_ptr<Communicator>& communicator) {
  take_own_cores();  // before there are threads
  communicator = std::make_unique<Communicator>(
      marrow::distributed::join_mpi, marrow::distributed::CommunicatorOptions{
                                         .timeout_seconds = flags.options().dist_timeout, .is_stopping = [] {
                                           return marrow::train::StopRequest::signal() != 0;
                                         }});
  marrow::set_talking(communicator->is_first());
  try {
    return marrow::cli::run_train(flags, [&](const marrow::train::TrainOptions& options) {
      marrow::train::TrainingBackend backend = marrow::train::native_backend(options);
      backend.communicator = communicator.get();
      backend.program = fmt::format("marrow {}, {}", MARROW_VERSION,
                                    marrow::cpu::simd_name(marrow::cpu::choose_simd_level()));
      return backend;
    });
  } catch (const marrow::Error& error) {
    communicator->fail(error.what());
    throw marrow::Error(error.kind(),
                        fmt::format("{}: {}", communicator->name(communicator->rank()), error.what()));
  } catch (const std::exception& error) {
    communicator->fail(error.what());
    throw;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::unique_ptr<Communicator>
      communicator;  // is the last to end: it takes the others with it after an error
  marrow::cli::TrainFlags flags;
  const auto declare = [&](marrow::cli::Command& command) {
    marrow::cli::declare_train_flags(command, flags);
    command.action([&] { return train(flags, communicator); });
  };
  return marrow::cli::run_program("marrow train", declare, argc, argv);
}
