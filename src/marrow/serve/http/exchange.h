// A request that is here as a whole, until it is answered. answer() and gone() from any thread; the rest
// belongs to whoever works on it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "marrow/serve/http/budget.h"
#include "marrow/serve/http/framing.h"
#include "marrow/serve/http/message.h"
#include "marrow/serve/http/target.h"

namespace marrow::serve {

class Exchange {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Exchange(std::function<void(Response)> send) : send_(std::move(send)) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The first call counts.
  void answer(Response response) {
    std::function<void(Response)> send;
    {
      const std::lock_guard lock(mutex_);
      send.swap(send_);
    }
    if (send) send(std::move(response));
  }

  // The client left: what is not yet begun need not be.
  bool gone() const { return gone_; }
  void leave() { gone_ = true; }

  Head head;
  Target target;
  Framing framing;
  std::string body;
  std::shared_ptr<Share> held;  // the body's part of what all bodies may take
  // The template of its route, one of a fixed set, for metrics and the log.
  const char* route = "other";
  std::string peer;
  size_t body_bytes = 0;  // as they came
  Clock::time_point begin = Clock::now();

 private:
  std::mutex mutex_;
  std::function<void(Response)> send_;
  std::atomic<bool> gone_{false};
};

// What the server asks the program behind it. All calls come from the server's own thread and return at once.
class Application {
 public:
  virtual ~Application() = default;
  // Before the body is read: names the route, and throws HttpError for what is refused whatever it holds.
  virtual void check(Exchange& exchange) = 0;
  // Sees to it that it is answered.
  virtual void handle(const std::shared_ptr<Exchange>& exchange) = 0;
  // The response was sent, or what could be sent of it. `exchange` may be null: the head was malformed.
  virtual void finished(const Exchange* exchange, const std::string& peer, int status, size_t sent) = 0;
};

}  // namespace marrow::serve
