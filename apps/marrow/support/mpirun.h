// mpirun as a child, for the workers of one machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace marrow::cli {

// Runs it to its end; returns its exit code, or 128 + the signal that ended it. Ctrl-C, SIGTERM and Ctrl-Z go
// to the workers at once: mpirun itself passes them on seconds later. It ends with this process. Throws
// Error{kFile} when no process can be started.
int run_mpirun(const std::filesystem::path& mpirun, std::vector<std::string> words);

}  // namespace marrow::cli
