// marrow serve as a process.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace marrow::testing {

// A server in a process of its own, started as a user does it.
class ServerProcess {
 public:
  explicit ServerProcess(std::vector<std::string> words) {
    words.insert(words.begin(), {MARROW_PROGRAM, "serve"});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], 2);
      ::execv(argv[0], argv.data());
      ::_exit(99);
    }
    ::close(ends[1]);
    errors_ = ends[0];
  }
  ~ServerProcess() { ::close(errors_); }

  // What it says until `wanted`.
  std::string said_until(const std::string& wanted) {
    char byte;
    while (said_.find(wanted) == std::string::npos && ::read(errors_, &byte, 1) == 1) said_ += byte;
    return said_;
  }
  uint16_t port() {
    const std::string before = "listening on http://127.0.0.1:";
    said_until("ready, on port");
    const size_t at = said_.find(before);
    EXPECT_NE(at, std::string::npos) << said_;
    return at == std::string::npos ? 0 : static_cast<uint16_t>(std::stoi(said_.substr(at + before.size())));
  }
  pid_t process() const { return process_; }
  void signal(int number) { ::kill(process_, number); }
  int exit_code() {
    int status = 0;
    ::waitpid(process_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t process_ = -1;
  int errors_ = -1;
  std::string said_;
};

}  // namespace marrow::testing
