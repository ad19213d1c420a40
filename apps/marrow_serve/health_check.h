// Asking a server whether it is ready, for containers that hold no other program that could.
#pragma once

#include <string>

namespace marrow::cli {

// The exit code: 0 where it says 200, otherwise 1, with a line on stderr.
int check_health(const std::string& host, int port);

}  // namespace marrow::cli
