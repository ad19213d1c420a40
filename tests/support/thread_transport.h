// Workers that are threads of one process: messages in memory, and accidents when a test wants them.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "marrow/distributed/communicator.h"

namespace marrow::testing {

// What the threads share.
struct ThreadNetwork {
  explicit ThreadNetwork(int size) : size(size), gone(static_cast<size_t>(size)) {}

  const int size;
  std::mutex mutex;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> messages;  // from, to
  std::vector<std::deque<distributed::Farewell>> farewells{static_cast<size_t>(size)};
  std::vector<bool> gone;
  int leaving = 0;
  std::condition_variable left;
};

class ThreadTransport final : public distributed::Transport {
 public:
  ThreadTransport(std::shared_ptr<ThreadNetwork> network, int rank)
      : network_(std::move(network)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return network_->size; }
  std::string place(int rank) const override { return "thread " + std::to_string(rank); }
  Ticket send(int to, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(network_->mutex);
    network_->messages[{rank_, to}].emplace_back(bytes.begin(), bytes.end());
    return -1;
  }
  Ticket receive(int from, std::span<std::byte> bytes) override {
    open_[++latest_] = {from, bytes};
    return latest_;
  }
  bool done(Ticket ticket) override {
    if (ticket < 0) return true;
    const auto [from, bytes] = open_.at(ticket);
    for (const auto& [earlier, other] : open_)
      if (earlier < ticket && other.first == from) return false;
    const std::lock_guard lock(network_->mutex);
    auto& waiting = network_->messages[{from, rank_}];
    if (waiting.empty()) return false;
    if (waiting.front().size() != bytes.size()) std::terminate();  // the two do not agree
    std::ranges::copy(waiting.front(), bytes.begin());
    waiting.pop_front();
    open_.erase(ticket);
    return true;
  }
  bool is_gone(int rank) const override {
    const std::lock_guard lock(network_->mutex);
    return network_->gone[static_cast<size_t>(rank)];
  }
  void say_farewell(std::string_view reason) override {
    const std::lock_guard lock(network_->mutex);
    for (int to = 0; to < network_->size; ++to)
      if (to != rank_) network_->farewells[static_cast<size_t>(to)].push_back({rank_, std::string(reason)});
  }
  std::optional<distributed::Farewell> farewell() override {
    const std::lock_guard lock(network_->mutex);
    auto& mine = network_->farewells[static_cast<size_t>(rank_)];
    if (mine.empty()) return {};
    const distributed::Farewell first = mine.front();
    mine.pop_front();
    return first;
  }
  // As MPI_Finalize, which returns when all have called it.
  void leave(bool together) override {
    std::unique_lock lock(network_->mutex);
    ++network_->leaving;
    if (!together) network_->gone[static_cast<size_t>(rank_)] = true;
    network_->left.notify_all();
    network_->left.wait(lock, [&] {
      return !together || network_->leaving == network_->size || std::ranges::count(network_->gone, true) > 0;
    });
    network_->gone[static_cast<size_t>(rank_)] = true;
  }

 private:
  std::shared_ptr<ThreadNetwork> network_;
  int rank_;
  std::map<Ticket, std::pair<int, std::span<std::byte>>> open_;
  Ticket latest_ = 0;
};

inline std::unique_ptr<distributed::Communicator> thread_communicator(
    const std::shared_ptr<ThreadNetwork>& network, int rank, distributed::CommunicatorOptions options = {}) {
  return std::make_unique<distributed::Communicator>(
      [network, rank] { return std::make_unique<ThreadTransport>(network, rank); }, std::move(options));
}

// Runs work(communicator) on so many workers and returns what each threw; "" for none.
inline std::vector<std::string> run_workers(int size,
                                            const std::function<void(distributed::Communicator&)>& work,
                                            const distributed::CommunicatorOptions& options = {}) {
  const auto network = std::make_shared<ThreadNetwork>(size);
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      const auto communicator = thread_communicator(network, rank, options);
      try {
        work(*communicator);
      } catch (const std::exception& error) {
        communicator->fail(error.what());
        errors[static_cast<size_t>(rank)] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace marrow::testing
