// A counter-based random generator: every draw is a pure function of (seed, stream, index), so that no order
// of work, number of threads or resume can change it.
//
// The mixing function is SplitMix64's finaliser (Steele, Lea, Flood 2014), applied twice with the stream
// between.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <utility>
#include <vector>

namespace marrow {

constexpr uint64_t mix_bits(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// FNV-1a: names a stream by text.
constexpr uint64_t stream_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

class Random {
 public:
  constexpr Random(uint64_t seed, uint64_t stream) : key_(mix_bits(mix_bits(seed) ^ stream)) {}
  Random(uint64_t seed, std::string_view stream) : Random(seed, stream_of(stream)) {}

  uint64_t bits() { return mix_bits(key_ ^ mix_bits(index_++)); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }  // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // [0, n), n > 0; the bias is below n / 2^53
  uint64_t below(uint64_t n) { return static_cast<uint64_t>(uniform() * static_cast<double>(n)); }
  double normal() {  // Box-Muller, one of the pair, so that a draw always takes two indices
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  uint64_t key_;
  uint64_t index_ = 0;
};

// Puts the items in an order that the generator decides (Fisher and Yates).
template <class T>
void shuffle(std::vector<T>& items, Random random) {
  for (size_t left = items.size(); left > 1; --left) std::swap(items[left - 1], items[random.below(left)]);
}

}  // namespace marrow
