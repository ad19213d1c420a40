#include "marrow/distributed/collectives.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <thread>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"

namespace marrow::distributed {
namespace {

// Up to so many bytes every worker sends all it has to every other one: one round of messages, not two.
constexpr size_t kAtOnce = 8 << 10;
// Longer messages are cut, so that boxes stay small.
constexpr size_t kLongest = 4 << 20;
constexpr double kLookSeconds = 0.05;    // from one look for failures to the next
constexpr double kFarewellSeconds = 5;   // that others have to say why they end, before this one ends them
constexpr double kHangingSeconds = 0.2;  // after which a worker that is to end says what it waits for

float decode(float wire) {
  return wire;
}
float decode(uint16_t wire) {
  return std::bit_cast<float>(static_cast<uint32_t>(wire) << 16);
}

void encode(float value, float& wire) {
  wire = value;
}
// To the nearest, ties to even; what is not a number stays so.
void encode(float value, uint16_t& wire) {
  const auto bits = std::bit_cast<uint32_t>(value);
  wire = (bits & 0x7fffffffU) > 0x7f800000U
             ? static_cast<uint16_t>(bits >> 16 | 0x40U)
             : static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

template <class T>
T* fit(std::vector<std::byte>& box, size_t count) {
  if (box.size() < count * sizeof(T)) box.resize(count * sizeof(T));
  return reinterpret_cast<T*>(box.data());  // as aligned as anything that new returns
}

}  // namespace

Collectives::Collectives(std::unique_ptr<Transport> transport, CommunicatorOptions options,
                         const std::atomic<bool>& is_awaited)
    : transport_(std::move(transport)),
      options_(std::move(options)),
      is_awaited_(is_awaited),
      rank_(transport_->rank()),
      size_(transport_->size()) {}

std::string Collectives::name(int rank) const {
  return fmt::format("rank {} of {} ({})", rank, size_, transport_->place(rank));
}

void Collectives::sum(std::span<float> values, Travel travel) {
  if (size_ == 1) return;
  if (travel == Travel::kBfloat16)
    sum_in_parts<uint16_t>(values);
  else
    sum_in_parts<float>(values);
}

void Collectives::sum(std::span<double> values) {
  if (size_ == 1) return;
  constexpr size_t kMost = kAtOnce / sizeof(double);
  for (size_t first = 0; first < values.size(); first += kMost)
    sum_at_once(values.subspan(first, std::min(kMost, values.size() - first)));
}

// Everyone's values to everyone, who all add them up in the same order.
template <class T>
void Collectives::sum_at_once(std::span<T> values) {
  const size_t count = values.size(), all = static_cast<size_t>(size_);
  T* const out = fit<T>(outbox_, count);
  T* const in = fit<T>(inbox_, count * all);
  std::ranges::copy(values, out);
  exchange([&](int) { return std::as_bytes(std::span(out, count)); },
           [&](int from) {
             return std::as_writable_bytes(std::span(in + static_cast<size_t>(from) * count, count));
           });
  std::ranges::copy(values, in + static_cast<size_t>(rank_) * count);
  for (size_t i = 0; i < count; ++i) {
    T sum = in[i];
    for (size_t rank = 1; rank < all; ++rank) sum += in[rank * count + i];
    values[i] = sum;
  }
}

// Each worker adds up one part of the values and sends it to all: 2 (N - 1) / N of the values leave it.
template <class Wire>
void Collectives::sum_in_parts(std::span<float> values) {
  const size_t count = values.size(), all = static_cast<size_t>(size_), mine = static_cast<size_t>(rank_);
  const auto begin = [&](size_t rank) { return count * rank / all; };
  const auto part = [&](size_t rank) { return begin(rank + 1) - begin(rank); };
  Wire* const out = fit<Wire>(outbox_, count);
  const size_t own = part(mine);
  Wire* const in = fit<Wire>(inbox_, std::max(own * all, count));
  for (size_t i = 0; i < count; ++i) encode(values[i], out[i]);
  exchange(
      [&](int to) {
        const auto rank = static_cast<size_t>(to);
        return std::as_bytes(std::span(out + begin(rank), part(rank)));
      },
      [&](int from) { return std::as_writable_bytes(std::span(in + static_cast<size_t>(from) * own, own)); });
  for (size_t i = 0; i < own; ++i) in[mine * own + i] = out[begin(mine) + i];
  Wire* const sums = out + begin(mine);
  for (size_t i = 0; i < own; ++i) {
    float sum = decode(in[i]);
    for (size_t rank = 1; rank < all; ++rank) sum += decode(in[rank * own + i]);
    encode(sum, sums[i]);
  }
  exchange([&](int) { return std::as_bytes(std::span(sums, own)); },
           [&](int from) {
             const auto rank = static_cast<size_t>(from);
             return std::as_writable_bytes(std::span(in + begin(rank), part(rank)));
           });
  std::copy_n(sums, own, in + begin(mine));
  for (size_t i = 0; i < count; ++i) values[i] = decode(in[i]);
}

void Collectives::exchange(const std::function<std::span<const std::byte>(int)>& out,
                           const std::function<std::span<std::byte>(int)>& in) {
  std::vector<Open> open;
  for (int step = 1; step < size_; ++step) {
    const int from = (rank_ + size_ - step) % size_;
    if (const auto bytes = in(from); !bytes.empty()) open.push_back({transport_->receive(from, bytes), from});
  }
  // Everyone begins with another neighbour, so that nobody gets all messages at once.
  for (int step = 1; step < size_; ++step) {
    const int to = (rank_ + step) % size_;
    const auto bytes = out(to);
    if (bytes.empty()) continue;
    open.push_back({transport_->send(to, bytes), to});
    bytes_sent_ += static_cast<int64_t>(bytes.size());
  }
  await(open);
}

void Collectives::send(int to, std::span<const std::byte> bytes) {
  for (size_t first = 0; first < bytes.size(); first += kLongest) {
    const auto piece = bytes.subspan(first, std::min(kLongest, bytes.size() - first));
    std::byte* const out = fit<std::byte>(outbox_, piece.size());
    std::ranges::copy(piece, out);
    Open open = {transport_->send(to, {out, piece.size()}), to};
    bytes_sent_ += static_cast<int64_t>(piece.size());
    await({&open, 1});
  }
}

void Collectives::receive(int from, std::span<std::byte> bytes) {
  for (size_t first = 0; first < bytes.size(); first += kLongest) {
    const auto piece = bytes.subspan(first, std::min(kLongest, bytes.size() - first));
    std::byte* const in = fit<std::byte>(inbox_, piece.size());
    Open open = {transport_->receive(from, {in, piece.size()}), from};
    await({&open, 1});
    std::copy_n(in, piece.size(), piece.begin());
  }
}

// A binomial tree: a worker has its bytes from the one without its lowest bit.
void Collectives::broadcast(std::span<std::byte> bytes) {
  int bit = 1;
  while (bit < size_ && (rank_ & bit) == 0) bit <<= 1;
  if (rank_ != 0) receive(rank_ & ~bit, bytes);
  for (bit >>= 1; bit > 0; bit >>= 1)
    if (rank_ + bit < size_) send(rank_ + bit, bytes);
}

std::vector<std::string> Collectives::gather(std::string_view bytes) {
  uint64_t length = bytes.size();
  const auto length_bytes = std::as_writable_bytes(std::span(&length, 1));
  if (rank_ != 0) {
    send(0, length_bytes);
    send(0, std::as_bytes(std::span(bytes)));
    return {};
  }
  std::vector<std::string> all = {std::string(bytes)};
  for (int from = 1; from < size_; ++from) {
    receive(from, length_bytes);
    std::string& text = all.emplace_back(length, '\0');
    receive(from, std::as_writable_bytes(std::span(text)));
  }
  return all;
}

void Collectives::await(std::span<Open> open) {
  Stopwatch silent, looked;
  bool has_said = false;
  constexpr auto kShortest = std::chrono::microseconds(10), kLongestPause = std::chrono::microseconds(200);
  auto pause = kShortest;
  while (true) {
    bool moved = false, all = true;
    for (Open& one : open) {
      if (one.done) continue;
      one.done = transport_->done(one.ticket);
      moved |= one.done;
      all &= one.done;
    }
    if (all) return;
    if (moved) {
      silent = {};
      pause = kShortest;
    }
    if (looked.seconds() > kLookSeconds) {
      looked = {};
      look_for_failures(open, silent.seconds(), has_said);
    }
    // While the caller computes, its core is its own.
    if (is_awaited_ && silent.seconds() < kLookSeconds) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kLongestPause);
    }
  }
}

std::optional<Farewell> Collectives::hear() {
  std::optional<Farewell> farewell = transport_->farewell();
  if (farewell) ended_.insert(farewell->rank);
  return farewell;
}

void Collectives::say_farewell(std::string_view reason) noexcept {
  if (std::exchange(has_said_farewell_, true)) return;
  try {
    transport_->say_farewell(reason);
  } catch (const std::exception& error) {
    debug(fmt::format("no farewell to other workers: {}", error.what()));
  }
}

void Collectives::leave(bool together) {
  const auto all_ended = [this] {
    for (int rank = 0; rank < size_; ++rank)
      if (rank != rank_ && !ended_.contains(rank) && !transport_->is_gone(rank)) return false;
    return true;
  };
  const Stopwatch clock;
  while (!together && !all_ended() && clock.seconds() < kFarewellSeconds) {
    hear();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  transport_->leave(together);
}

void Collectives::look_for_failures(std::span<const Open> open, double silent_seconds, bool& has_said) {
  const auto fail_by_farewell = [this] {
    if (const std::optional<Farewell> farewell = hear())
      throw Error(ErrorKind::kFile, fmt::format("{} ended: {}", name(farewell->rank), farewell->reason));
  };
  fail_by_farewell();
  for (int rank = 0; rank < size_; ++rank)
    if (rank != rank_ && transport_->is_gone(rank)) {
      fail_by_farewell();
      throw Error(ErrorKind::kFile, fmt::format("{} is gone: its process was killed or crashed", name(rank)));
    }
  std::vector<std::string> missing;
  for (const Open& one : open)
    if (!one.done && std::ranges::find(missing, name(one.peer)) == missing.end())
      missing.push_back(name(one.peer));
  if (!has_said && silent_seconds > kHangingSeconds && options_.is_stopping && options_.is_stopping()) {
    has_said = true;
    complain(fmt::format("marrow: rank {} of {}: asked to end while it waits for {}", rank_, size_,
                         join(missing, ", ")));
  }
  if (silent_seconds > options_.timeout_seconds)
    throw Error(ErrorKind::kFile, fmt::format("{} did not answer for {:.0f} s (--dist-timeout)",
                                              join(missing, ", "), options_.timeout_seconds));
}

}  // namespace marrow::distributed
