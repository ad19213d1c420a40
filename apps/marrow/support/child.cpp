#include "support/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "marrow/base/error.h"

namespace marrow::cli {
namespace {

int open_output(const std::filesystem::path& path) {
  if (path.empty()) return -1;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
  return file;
}

}  // namespace

int exit_code(int wait_status) {
  constexpr int kSignal = 128;
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : kSignal + WTERMSIG(wait_status);
}

Child::Child(const std::vector<std::string>& arguments, const ChildOutput& output)
    : Child("/proc/self/exe", arguments, output) {}

Child::Child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
             const ChildOutput& output) {
  const bool itself = program == "/proc/self/exe";
  std::vector<std::string> words = {itself ? "marrow" : program.filename().string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int out = open_output(output.out), err = open_output(output.err);
  std::fflush(stdout);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kCannotStart);  // it ended before the line above
    const auto stand_for = [](int file, int standard) {
      if (file >= 0 && ::dup2(file, standard) < 0) ::_exit(kCannotStart);
    };
    stand_for(out, STDOUT_FILENO);
    stand_for(err, STDERR_FILENO);
    stand_for(output.socket, STDIN_FILENO);
    stand_for(output.socket, STDOUT_FILENO);
    ::execv(program.c_str(), argv.data());
    ::_exit(kCannotStart);
  }
  const int problem = errno;
  if (out >= 0) ::close(out);
  if (err >= 0) ::close(err);
  if (pid_ < 0)
    throw Error(ErrorKind::kFile, fmt::format("no process can be started: {}", std::strerror(problem)));
  std::signal(SIGINT, SIG_IGN);
}

Child::~Child() {
  wait();
}

std::optional<int> Child::poll() {
  return collect(false);
}

int Child::wait() {
  return *collect(true);
}

std::optional<int> Child::collect(bool wait) {
  if (code_) return code_;
  int status = 0;
  pid_t ended = 0;
  do ended = ::waitpid(pid_, &status, wait ? 0 : WNOHANG);
  while (ended < 0 && errno == EINTR);
  if (ended == 0) return {};
  std::signal(SIGINT, SIG_DFL);
  code_ = ended < 0 ? kCannotStart : exit_code(status);
  return code_;
}

}  // namespace marrow::cli
