// From words to values.
#pragma once

#include <string>
#include <vector>

#include "command_line/command_line.h"

namespace marrow::cli {

struct Parsed {
  enum class Wanted { kRun, kHelp, kVersion };
  const Command* command = nullptr;  // the innermost that the words name
  Wanted wanted = Wanted::kRun;
};

// Finds the command and puts the values where its options say. Throws Error{kUsage}, which names the nearest
// option or command where one is unknown.
Parsed parse(const Command& program, const std::vector<std::string>& given);

}  // namespace marrow::cli
