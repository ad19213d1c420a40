// marrow train: on this processor, by Marrow's own kernels. Other devices are for the program
// marrow-train-torch, which is built only where LibTorch is asked for, and takes the place of this one.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/train/native/native_executor.h"
#include "support/program_files.h"
#include "training/run_train.h"

namespace marrow::cli {
namespace {

constexpr const char* kTorchProgram = "marrow-train-torch";

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
    return run_train(*flags, [&flags](const train::TrainOptions& options) {
      if (!options.device.empty() && options.device != "cpu") become_torch(*flags, options.device);
      return train::native_backend(options);
    });
  });
}

}  // namespace marrow::cli
