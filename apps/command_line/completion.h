// Scripts that complete a half-written call in a shell.
#pragma once

#include <string>

#include "command_line/command_line.h"

namespace marrow::cli {

// To be read by bash: `source <(marrow completion bash)`.
std::string bash_completion(const Command& program);
// To be put into a folder of zsh's fpath, as _marrow.
std::string zsh_completion(const Command& program);

}  // namespace marrow::cli
