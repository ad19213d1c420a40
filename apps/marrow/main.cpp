// The program `marrow`.
//
// Results go to stdout, talk to stderr. Exit codes: 0, 1 (failed, or a part of the input failed), 2 (usage).
#include "command_line/program.h"
#include "commands/commands.h"
#include "marrow/base/memory.h"

int main(int argc, char** argv) {
  marrow::keep_freed_memory();
  const auto declare = [&](marrow::cli::Command& program) {
    marrow::cli::add_commands(program, {argv + 1, argv + argc});
  };
  return marrow::cli::run_program("marrow", declare, argc, argv);
}
