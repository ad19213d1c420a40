// marrow serve: becomes marrow-serve, so that this program links no HTTP.
#include <fmt/format.h>

#include <memory>
#include <utility>

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
        fmt::format(
            "'serve' is the program {0}, which is neither beside this program nor in the PATH: Debian's "
            "package {0}; from source './run build' makes it",
            kServeProgram));
  std::vector<std::string> words = words_of(command);
  words.insert(words.begin(),
               fmt::format("--precision={}", engine::precision_name(flags.network.engine.precision)));
  become_program(*found, std::move(words));
}

}  // namespace

void declare_serve(Command& command) {
  auto flags = std::make_shared<ServeFlags>();
  declare_serve_flags(command, *flags);
  command.action([&command, flags]() -> int { become_server(command, *flags); });
}

}  // namespace marrow::cli
