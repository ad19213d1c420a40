// The commands that write something, each in a folder with all that it needs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/program.h"

namespace marrow::testing {

// A file that a command makes. At every moment it holds what was there before or what a run without a fault
// leaves; one with stages may hold something between them, if that is whole.
struct ResultFile {
  std::string path;
  bool has_stages = false;
  bool has_times = false;  // the bytes do not follow from what was there before; what there is is whole
};

struct TriedCommand {
  std::string name;
  std::vector<std::string> words;
  std::vector<ResultFile> results;
  // After a fault the same words again, or what this says.
  std::function<std::vector<std::string>()> again = {};
  bool leaves_out = false;  // what cannot be read, with a message: the results are of the rest
};

// Everything that the commands read, and what they replace: `folder` is where they run.
void prepare_commands(const fs::path& folder);
std::vector<TriedCommand> tried_commands(const fs::path& folder);
const TriedCommand& tried_command(const std::vector<TriedCommand>& all, const std::string& name);

// Empty, or what is wrong with a file that has to be whole: a checkpoint, a table, a YAML, a list of choices.
std::string fault_of(const fs::path& file);

}  // namespace marrow::testing
