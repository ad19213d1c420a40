// marrow serve: becomes marrow-serve, so that this program links no HTTP.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/engine/precision.h"
#include "serving/serve_flags.h"
#include "support/program_files.h"

namespace marrow::cli {
namespace {

constexpr const char* kServeProgram = "marrow-serve";

[[noreturn]] void become_server(const Command& command, const ServeFlags& flags) {
  const auto found = find_beside(kServeProgram);
  if (!found)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("{} is neither beside this program nor in the PATH; 'serve' needs it", kServeProgram));
  const std::string program = found->string();
  std::vector<std::string> words = {
      program, fmt::format("--precision={}", engine::precision_name(flags.engine.precision))};
  const std::vector<std::string> said = words_of(command);
  words.insert(words.end(), said.begin(), said.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(program.c_str(), argv.data());
  throw Error(ErrorKind::kFile, fmt::format("{}: cannot be started: {}", program, std::strerror(errno)));
}

}  // namespace

void declare_serve(Command& command) {
  auto flags = std::make_shared<ServeFlags>();
  declare_serve_flags(command, *flags);
  command.action([&command, flags]() -> int { become_server(command, *flags); });
}

}  // namespace marrow::cli
