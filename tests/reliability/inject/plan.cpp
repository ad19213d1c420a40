// Nothing here allocates: allocations are among what is tried.
#include "plan.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace marrow::faults {
namespace {

struct Plan {
  char call[16] = "";
  long nth = 0;
  bool onwards = false;
  int error = EIO;
  bool is_short = false;
  int signal = 0;
  long forth = 0, back = 0;  // seconds
  char path[PATH_MAX] = "";
  size_t bytes = 0;
  int log = -1;
};

constexpr long kDay = 86400;
struct NamedNumber {
  const char* name;
  int number;
};
constexpr NamedNumber kErrors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EINTR", EINTR},
                                   {"EMFILE", EMFILE}, {"EACCES", EACCES}, {"ENOMEM", ENOMEM},
                                   {"EDQUOT", EDQUOT}, {"ESTALE", ESTALE}};
constexpr NamedNumber kSignals[] = {
    {"KILL", SIGKILL}, {"TERM", SIGTERM}, {"INT", SIGINT}, {"HUP", SIGHUP}, {"PIPE", SIGPIPE}};

// The next part of `text` up to a colon.
bool take(const char*& text, char* to, size_t room) {
  if (text == nullptr || *text == '\0') return false;
  const size_t length = strcspn(text, ":");
  if (length >= room) _exit(98);
  memcpy(to, text, length);
  to[length] = '\0';
  text += length + (text[length] == ':' ? 1 : 0);
  return true;
}

// The processes that the tried one starts are left alone; what it turns into by exec() is not.
constexpr const char* kProcess = "MARROW_FAULT_PROCESS";

void write_own_number(char (&to)[16]) {
  snprintf(to, sizeof to, "%d", getpid());
}

__attribute__((constructor)) void claim_plan() {
  char own[16];
  write_own_number(own);
  setenv(kProcess, own, 0);
}

bool is_for_this_process() {
  char own[16];
  write_own_number(own);
  const char* process = getenv(kProcess);
  return process == nullptr || strcmp(process, own) == 0;
}

Plan read_plan() {
  Plan plan;
  if (!is_for_this_process()) return plan;
  const char* text = getenv("MARROW_FAULT");
  char word[32] = "";
  if (!take(text, plan.call, sizeof plan.call)) return plan;
  if (take(text, word, sizeof word)) {
    plan.nth = strtol(word, nullptr, 10);
    plan.onwards = word[strlen(word) - 1] == '+';
  }
  if (take(text, word, sizeof word)) {
    for (const auto& known : kErrors)
      if (strcmp(word, known.name) == 0) plan.error = known.number;
    plan.is_short = strcmp(word, "short") == 0;
    for (const auto& known : kSignals)
      if (strcmp(word, known.name) == 0) plan.signal = known.number;
    if (strcmp(word, "forth") == 0 || strcmp(word, "both") == 0) plan.forth = kDay;
    if (strcmp(word, "back") == 0 || strcmp(word, "both") == 0) plan.back = kDay;
  }
  if (text != nullptr) {
    snprintf(plan.path, sizeof plan.path, "%s", text);
    plan.bytes = strtoul(text, nullptr, 10);
  }
  if (const char* log = getenv("MARROW_FAULT_LOG"))
    plan.log = static_cast<int>(
        syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  return plan;
}

const Plan& plan() {
  static const Plan read = read_plan();
  return read;
}

void note(const char* call, const char* path) {
  if (plan().log < 0) return;
  char line[PATH_MAX + 32];
  const int length = snprintf(line, sizeof line, "%s %s\n", call, path);
  syscall(SYS_write, plan().log, line, static_cast<size_t>(length));
}

// Counts a call that the plan is about, and says whether it is the one.
bool is_due(const char* call, const char* path) {
  static long calls = 0;
  static std::atomic_flag busy;
  while (busy.test_and_set()) {  // so that the calls of several threads are noted in their order
  }
  const long number = ++calls;
  if (plan().nth == 0 || number <= plan().nth) note(call, path);
  busy.clear();
  if (plan().nth == 0 || (plan().onwards ? number < plan().nth : number != plan().nth)) return false;
  if (plan().signal == 0) return true;
  kill(getpid(), plan().signal);
  return false;
}

}  // namespace

Strike strike(const char* call, const char* path) {
  const bool any = strcmp(plan().call, "any") == 0;
  if (path == nullptr || (!any && strcmp(plan().call, call) != 0) || strstr(path, plan().path) == nullptr)
    return Strike::kNone;
  const int before = errno;
  const bool due = is_due(call, path);
  errno = before;
  if (!due) return Strike::kNone;
  if (plan().is_short) return Strike::kShort;
  errno = plan().error;
  return Strike::kFail;
}

Strike strike(const char* call, int descriptor) {
  if (plan().call[0] == '\0') return Strike::kNone;
  const int before = errno;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0) return Strike::kNone;
  path[length] = '\0';
  return strike(call, path);
}

bool strikes_memory(size_t bytes) {
  // Before main() and its arguments the environment is not there yet.
  if (environ == nullptr || strcmp(plan().call, "memory") != 0 || bytes < plan().bytes) return false;
  char text[32];
  snprintf(text, sizeof text, "%zu", bytes);
  return is_due("memory", text);
}

long clock_error_seconds() {
  if (strcmp(plan().call, "clock") != 0) return 0;
  static std::atomic<long> readings = 0;
  const long number = ++readings;
  note("clock", "");
  if (number < plan().nth) return 0;
  if (plan().forth != 0 && plan().back != 0) return number % 2 == 0 ? plan().forth : -plan().back;
  return plan().forth - plan().back;
}

}  // namespace marrow::faults
