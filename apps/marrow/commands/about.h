// The commands that tell of the program itself: help, completion, man.
#pragma once

#include "command_line/command_line.h"

namespace marrow::cli {

void add_commands_about(Command& program);

}  // namespace marrow::cli
