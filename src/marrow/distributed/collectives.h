// What workers do together, one call after another, in the thread that has the transport: sums, and what one
// of them sends to all. communicator.h says what they promise.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/base/stopwatch.h"
#include "marrow/distributed/transport.h"

namespace marrow::distributed {

// How floats travel. bfloat16 halves the bytes: every term, and the sum, is rounded once.
enum class Travel { kFloat32, kBfloat16 };

struct CommunicatorOptions {
  double timeout_seconds = 120;         // that others may be silent
  std::function<bool()> is_stopping{};  // whether a signal asked this worker to end
};

class Collectives {
 public:
  // `is_awaited`: whether someone waits for this thread, whose core it may keep busy then; outlives this.
  Collectives(std::unique_ptr<Transport> transport, CommunicatorOptions options,
              const std::atomic<bool>& is_awaited);

  int rank() const { return rank_; }
  int size() const { return size_; }
  std::string name(int rank) const;
  int64_t bytes_sent() const { return bytes_sent_; }

  void sum(std::span<float> values, Travel travel);
  void sum(std::span<double> values);
  void broadcast(std::span<std::byte> bytes);
  std::vector<std::string> gather(std::string_view bytes);

  // To all others, once.
  void say_farewell(std::string_view reason) noexcept;
  // Together with the others; or at once, when these have had time to say why they end.
  void leave(bool together);

 private:
  struct Open {
    Transport::Ticket ticket = 0;
    int peer = 0;
    bool done = false;
  };

  template <class T>
  void sum_at_once(std::span<T> values);
  template <class Wire>
  void sum_in_parts(std::span<float> values);
  void exchange(const std::function<std::span<const std::byte>(int)>& out,
                const std::function<std::span<std::byte>(int)>& in);
  void send(int to, std::span<const std::byte> bytes);
  void receive(int from, std::span<std::byte> bytes);
  void await(std::span<Open> open);
  void look_for_failures(std::span<const Open> open, double silent_seconds, bool& has_said);
  std::optional<Farewell> hear();

  std::unique_ptr<Transport> transport_;
  CommunicatorOptions options_;
  const std::atomic<bool>& is_awaited_;
  const int rank_, size_;
  // Messages go from and to these alone, which outlive any error.
  std::vector<std::byte> outbox_, inbox_;
  std::set<int> ended_;  // others who said farewell
  bool has_said_farewell_ = false;
  int64_t bytes_sent_ = 0;
};

}  // namespace marrow::distributed
