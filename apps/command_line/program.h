// main() of a program that takes commands.
#pragma once

#include <functional>
#include <string>

#include "command_line/command_line.h"

namespace marrow::cli {

// Runs what the words ask for, of the program of that name that `declare` describes. Results go to stdout;
// what went wrong is a line "marrow: ..." on stderr. The result is the exit code: the command's own, 1 where
// it failed, 2 where the words do not fit.
int run_program(const std::string& name, const std::function<void(Command&)>& declare, int argc, char** argv);

}  // namespace marrow::cli
