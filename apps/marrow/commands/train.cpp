// marrow train: on this processor, by Marrow's own kernels. Other devices are for the program
// marrow-train-torch, which is built only where LibTorch is, and started as git starts its subcommands.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/train/native/native_executor.h"
#include "support/program_files.h"
#include "training/run_train.h"

namespace marrow::cli {
namespace {

constexpr const char* kTorchProgram = "marrow-train-torch";

int start_torch(const TrainFlags& flags, const std::string& device) {
  const auto found = find_beside(kTorchProgram);
  if (!found)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("device '{}': this program trains on the processor. For CUDA install LibTorch, configure "
                    "with -DMARROW_TORCH=ON and build {}; it is looked for beside this program and in the "
                    "PATH",
                    device, kTorchProgram));
  const std::string program = found->string();
  std::vector<std::string> words = {program};
  for (std::string& word : flags.words()) words.push_back(std::move(word));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // OpenMP's threads spin while they wait for each other. Where other processes want the cores too, that is
  // most of the work; threads that sleep at once are slow on a quiet machine.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", "1000", 0);
  execvp(program.c_str(), argv.data());
  throw Error(ErrorKind::kFile, fmt::format("{}: cannot be started: {}", program, std::strerror(errno)));
}

}  // namespace

void declare_train(Command& command) {
  auto flags = std::make_shared<TrainFlags>();
  declare_train_flags(command, *flags);
  command.action([flags] {
    const std::string device = options_of(*flags).device;
    if (!device.empty() && device != "cpu") return start_torch(*flags, device);
    return run_train(*flags, train::native_backend);
  });
}

}  // namespace marrow::cli
