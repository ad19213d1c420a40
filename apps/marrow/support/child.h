// This program, run again by itself with other arguments as a user would run it, or one that comes with it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace marrow::cli {

struct ChildOutput {
  std::filesystem::path out, err;  // files for its stdout and stderr; empty: as ours
  int socket = -1;                 // for its stdin and stdout instead; the caller closes it
};

// The exit code of a child, or 128 + the signal that ended it, from what waitpid() said of it.
int exit_code(int wait_status);

// What a child ends with that could not become the program.
inline constexpr int kCannotStart = 127;

// Ctrl-C goes to the child alone, which knows how to stop; it is told to stop when this process ends before
// it.
class Child {
 public:
  // Throws Error{kFile} when a file cannot be opened or no process be started.
  explicit Child(const std::vector<std::string>& arguments, const ChildOutput& output = {});
  // Another program instead of this one.
  Child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
        const ChildOutput& output = {});
  ~Child();  // waits
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Its exit code, or 128 + the signal that ended it; nothing while it runs.
  std::optional<int> poll();
  int wait();

 private:
  std::optional<int> collect(bool wait);

  pid_t pid_ = -1;
  std::optional<int> code_;
};

}  // namespace marrow::cli
