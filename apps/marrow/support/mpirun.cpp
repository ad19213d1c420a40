#include "support/mpirun.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "marrow/base/error.h"
#include "support/child.h"

namespace marrow::cli {
namespace {

// For as long as one lives these signals wait until they are asked for.
class HeldSignals {
 public:
  HeldSignals() {
    sigemptyset(&held_);
    for (const int signal : {SIGINT, SIGTERM, SIGTSTP, SIGCHLD}) sigaddset(&held_, signal);
    sigprocmask(SIG_BLOCK, &held_, &before_);
  }
  ~HeldSignals() { release(); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  void release() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  int next() const {
    int signal = 0;
    while (sigwait(&held_, &signal) != 0) {
    }
    return signal;
  }

 private:
  sigset_t held_ = {}, before_ = {};
};

[[noreturn]] void become_mpirun(const HeldSignals& signals, pid_t parent, char* const* argv) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kCannotStart);  // it ended before the line above
  setpgid(0, 0);                                 // so that a terminal's signals go to the parent alone
  if (const int nothing = open("/dev/null", O_RDONLY); nothing >= 0) dup2(nothing, STDIN_FILENO);
  signals.release();
  execv(argv[0], argv);
  _exit(kCannotStart);
}

void send_to_workers(pid_t mpirun, int signal) {
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", mpirun));
  bool any = false;
  for (pid_t worker = 0; children >> worker; any = true) kill(worker, signal);
  if (!any) kill(mpirun, signal);  // it has not started them yet
}

}  // namespace

int run_mpirun(const std::filesystem::path& mpirun, std::vector<std::string> words) {
  words.insert(words.begin(), mpirun.string());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(stdout);
  const HeldSignals signals;
  const pid_t parent = getpid(), child = fork();
  if (child == 0) become_mpirun(signals, parent, argv.data());
  if (child < 0)
    throw Error(ErrorKind::kFile, fmt::format("no process can be started: {}", std::strerror(errno)));
  while (true) {
    const int signal = signals.next();
    int status = 0;
    if (signal == SIGTSTP) {
      send_to_workers(child, SIGSTOP);
      raise(SIGSTOP);
      send_to_workers(child, SIGCONT);
    } else if (signal != SIGCHLD) {
      send_to_workers(child, signal);
    } else if (waitpid(child, &status, WNOHANG) == child) {
      return exit_code(status);
    }
  }
}

}  // namespace marrow::cli
