#include "marrow/train/stop_request.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <mutex>

namespace marrow::train {
namespace {

std::atomic<int> received{0};
std::atomic<int64_t> received_at{0};  // ns
static_assert(std::atomic<int>::is_always_lock_free &&
              std::atomic<int64_t>::is_always_lock_free);  // or a handler could not use them

// What comes so soon after the first one is the same request: `timeout` sends its signal to a process and to
// its group.
constexpr int64_t kTogether = 500'000'000;  // ns

struct sigaction old_interrupt, old_terminate;
std::mutex counting;
int living = 0;

void note(int signal) {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const int64_t now = int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  if (received == 0) {
    received = signal;
    received_at = now;
  } else if (now - received_at > kTogether) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // which ends the process when this returns
  }
}

void take_over(int signal, struct sigaction& old) {
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, &old);
}

}  // namespace

StopRequest::StopRequest() {
  const std::lock_guard lock(counting);
  if (living++ > 0) return;
  received = 0;
  take_over(SIGINT, old_interrupt);
  take_over(SIGTERM, old_terminate);
}

StopRequest::~StopRequest() {
  const std::lock_guard lock(counting);
  if (--living > 0) return;
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGTERM, &old_terminate, nullptr);
}

int StopRequest::signal() {
  return received;
}

}  // namespace marrow::train
