#include "marrow/train/stop_request.h"

#include <atomic>
#include <csignal>
#include <mutex>

namespace marrow::train {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free);  // or a handler could not use it

struct sigaction old_interrupt, old_terminate;
std::mutex counting;
int living = 0;

void note(int signal) {
  received = signal;
  std::signal(signal, SIG_DFL);  // the next one ends the process
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
