#include "command_line/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <string_view>

#include "command_line/help.h"
#include "command_line/parse.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"

namespace marrow::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

void complain(const std::string& message) {
  marrow::complain("marrow: " + message);
}

// What was printed may still wait in a buffer, and the disk behind it may be full.
bool output_written() {
  std::cout.flush();
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
}

// The pages of a mapped file that are not there any more: there is nothing to go back to.
void on_lost_file(int) {
  constexpr std::string_view kMessage =
      "marrow: a file became shorter while it was read, or its disk failed; replace files by renaming\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(kFailed);
}

int run(const Command& program, const std::vector<std::string>& words) {
  const Parsed parsed = parse(program, words);
  switch (parsed.wanted) {
    case Parsed::Wanted::kHelp:
      fmt::print("{}", help_text(*parsed.command));
      return 0;
    case Parsed::Wanted::kVersion:
      fmt::print("{}\n", parsed.command->version());
      return 0;
    case Parsed::Wanted::kRun:
      break;
  }
  return parsed.command->action()();
}

}  // namespace

int run_program(const std::string& name, const std::function<void(Command&)>& declare, int argc,
                char** argv) {
  // A limit on file sizes is an error of the write that meets it, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGBUS, on_lost_file);
  try {
    Command program(name);
    declare(program);
    const int code = run(program, {argv + 1, argv + argc});
    if (output_written()) return code;
    complain(std::string("the output cannot be written: ") + std::strerror(errno));
  } catch (const Error& error) {
    complain(error.what());
    return error.kind() == ErrorKind::kUsage ? kUsage : kFailed;
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return kFailed;
}

}  // namespace marrow::cli
