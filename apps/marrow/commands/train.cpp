// marrow train: starts the program marrow-train, which is built only where LibTorch is, as git starts its
// subcommands. The options are checked here: help and mistakes need no LibTorch.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow_train/train_flags.h"
#include "support/program_files.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "marrow-train";

fs::path find_program() {
  if (const auto program = find_beside(kProgram)) return *program;
  throw Error(
      ErrorKind::kUnsupported,
      "this build has no training. Install LibTorch (Debian: libtorch-dev), configure with "
      "-DMARROW_TORCH=ON and build marrow-train; it is looked for beside this program and in the PATH");
}

int start(const std::vector<std::string>& arguments) {
  const std::string program = find_program().string();
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // OpenMP's threads spin while they wait for each other. Where other processes want the cores too, that is
  // most of the work; threads that sleep at once are slow on a quiet machine. Images/s of a small detector,
  // two threads on two cores, quiet and with four busy processes: spinning 84 and less than 4, a thousand
  // turns 60 and 13, sleeping 38 and 16.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", "1000", 0);
  execvp(program.c_str(), argv.data());
  throw Error(ErrorKind::kFile, fmt::format("{}: cannot be started: {}", program, std::strerror(errno)));
}

}  // namespace

void require_training() {
  find_program();
}

void declare_train(Command& command) {
  auto flags = std::make_shared<TrainFlags>();
  declare_train_flags(command, *flags);
  command.action([flags] { return start(flags->words()); });
}

}  // namespace marrow::cli
