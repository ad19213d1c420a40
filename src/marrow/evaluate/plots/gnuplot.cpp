#include "marrow/evaluate/plots/gnuplot.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::evaluate {
namespace {

constexpr size_t kMostOutput = 256 << 20;

[[noreturn]] void fail(const std::string& what, int error_number) {
  throw Error(ErrorKind::kUnsupported, fmt::format("gnuplot: {}: {}", what, std::strerror(error_number)));
}

// A file in memory without a name. With files instead of pipes nobody waits for anybody's buffer.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {
    if (fd_ < 0) fail("no memory for its files", errno);
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const { return fd_; }

  void fill(std::string_view content) const {
    while (!content.empty()) {
      const ssize_t written = ::write(fd_, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot hold its script", errno);
      content.remove_prefix(static_cast<size_t>(written));
    }
    ::lseek(fd_, 0, SEEK_SET);
  }

  std::string content() const {
    const off_t size = ::lseek(fd_, 0, SEEK_END);
    if (size < 0 || static_cast<size_t>(size) > kMostOutput)
      throw Error(ErrorKind::kFormat, fmt::format("gnuplot wrote {} bytes", size));
    std::string text(static_cast<size_t>(size), '\0');
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t count = ::pread(fd_, text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail("cannot read its plot", errno);
      done += static_cast<size_t>(count);
    }
    return text;
  }

 private:
  int fd_;
};

// What the child may know of ours: where programs, fonts and their caches are. GNUTERM and the like stay
// behind.
std::vector<std::string> child_environment() {
  std::vector<std::string> environment = {"LC_ALL=C.UTF-8"};
  for (const char* name :
       {"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "FONTCONFIG_PATH", "FONTCONFIG_FILE"})
    if (const char* value = std::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
  return environment;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t start(const std::string& program, int input, int output, int messages) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, messages, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> arguments = {"gnuplot", "-d", "-"};  // -d: no settings of the user's
  std::vector<std::string> environment = child_environment();
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, program.c_str(), &files, &attributes, pointers(arguments).data(),
                                   pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error == ENOENT)
    throw Error(ErrorKind::kUnsupported,
                "gnuplot is not installed, so plots are left out (Debian's package: gnuplot-nox)");
  if (error != 0) fail("cannot be started", error);
  return child;
}

// Whether it ended by itself, with `status`; killed when not.
bool wait_for(pid_t child, double seconds, int& status) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  auto pause = std::chrono::microseconds(500);
  while (true) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return true;
    if (ended < 0 && errno != EINTR) fail("was lost", errno);
    if (Clock::now() >= deadline) break;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(8000));
  }
  ::kill(child, SIGKILL);
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return false;
}

}  // namespace

std::string run_gnuplot(const std::string& script, const GnuplotOptions& options) {
  const MemoryFile input("plot-script"), output("plot-drawing"), messages("plot-messages");
  input.fill(script);
  int status = 0;
  const pid_t child = start(options.program, input.fd(), output.fd(), messages.fd());
  if (!wait_for(child, options.seconds, status))
    throw Error(ErrorKind::kUnsupported,
                fmt::format("gnuplot did not end within {:g} s, so plots are left out", options.seconds));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    constexpr size_t kLongestMessage = 300;
    throw Error(ErrorKind::kFormat, fmt::format("gnuplot failed (status {:#x}): {}", status,
                                                printable(messages.content(), kLongestMessage)));
  }
  return output.content();
}

}  // namespace marrow::evaluate
