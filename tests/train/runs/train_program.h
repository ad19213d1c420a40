// marrow train as a process: started, watched, killed.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "marrow/base/files.h"

namespace marrow::testing {

class TrainProgram {
 public:
  // Starts `marrow train ARGUMENTS`; what it says goes into the file `log`. `most_file_bytes` does what a
  // full disk does.
  TrainProgram(std::vector<std::string> arguments, std::filesystem::path log,
               std::optional<rlim_t> most_file_bytes = {},
               const std::vector<std::string>& command = {MARROW_PROGRAM, "train"})
      : log_(std::move(log)) {
    arguments.insert(arguments.begin(), command.begin(), command.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    child_ = fork();
    if (child_ != 0) return;
    if (most_file_bytes) {
      const rlimit limit = {*most_file_bytes, *most_file_bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (std::freopen(log_.c_str(), "w", stderr) == nullptr || dup2(2, 1) < 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~TrainProgram() {
    if (!ended()) kill(SIGKILL);
  }
  TrainProgram(const TrainProgram&) = delete;
  TrainProgram& operator=(const TrainProgram&) = delete;

  bool ended() {
    if (!code_) {
      int status = 0;
      if (waitpid(child_, &status, WNOHANG) == child_) note(status);
    }
    return code_.has_value();
  }
  // The exit code, or minus the signal that ended it.
  int wait() {
    if (!code_) {
      int status = 0;
      waitpid(child_, &status, 0);
      note(status);
    }
    return *code_;
  }
  void send(int signal) {
    if (!ended()) ::kill(child_, signal);
  }
  int kill(int signal) {
    send(signal);
    return wait();
  }
  pid_t process() const { return child_; }
  std::string said() const { return read_file(log_, 1 << 20); }

 private:
  void note(int status) { code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

  std::filesystem::path log_;
  pid_t child_ = 0;
  std::optional<int> code_;
};

// Counts files that are made in folders, or renamed into place there: what a run does to its folder, step by
// step.
class FolderEvents {
 public:
  explicit FolderEvents(const std::vector<std::filesystem::path>& folders)
      : file_(inotify_init1(IN_NONBLOCK)) {
    for (const auto& folder : folders)
      EXPECT_GE(inotify_add_watch(file_, folder.c_str(), IN_CREATE | IN_MOVED_TO), 0) << folder;
  }
  ~FolderEvents() { close(file_); }
  FolderEvents(const FolderEvents&) = delete;
  FolderEvents& operator=(const FolderEvents&) = delete;

  // So far; waits a little for the next one.
  int count() {
    pollfd waiting = {file_, POLLIN, 0};
    constexpr int kWaitMs = 10;
    poll(&waiting, 1, kWaitMs);
    alignas(inotify_event) char buffer[4096];
    for (ssize_t size; (size = read(file_, buffer, sizeof buffer)) > 0;)
      for (ssize_t at = 0; at < size; ++count_)
        at +=
            static_cast<ssize_t>(sizeof(inotify_event) + reinterpret_cast<inotify_event*>(buffer + at)->len);
    return count_;
  }

 private:
  int file_;
  int count_ = 0;
};

}  // namespace marrow::testing
