#include "marrow/benchmark/machine.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <string_view>
#include <vector>

#include "marrow/base/stopwatch.h"
#include "marrow/cpu/caches.h"
#include "marrow/cpu/processor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/engine/kernels/kernels.h"

namespace marrow::benchmark {
namespace {

// The text behind "key\t: " of the first line of a /proc file that begins so; empty when there is none.
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

}  // namespace

Machine this_machine() {
  return {cpu::processor_name(),
          cpu::available_threads(),
          cpu::choose_simd_level(),
          {cpu::cache_bytes(1), cpu::cache_bytes(2), cpu::cache_bytes(3)}};
}

double peak_gflops(cpu::SimdLevel level) {
  constexpr int kChannels = 64;
  const engine::Kernels& kernels = engine::kernels_of(level);
  const int pixels = kernels.tile_pixels;
  const int lanes = kernels.lanes;
  const std::vector<float> src(static_cast<size_t>((pixels + kChannels) * lanes), 0.5f);
  const std::vector<float> weights(static_cast<size_t>(kChannels * 2 * lanes), 0.5f);
  const std::vector<float> bias(static_cast<size_t>(2 * lanes));
  std::vector<float> dst(static_cast<size_t>(2 * pixels * lanes));
  std::vector<int64_t> offsets(kChannels);
  std::iota(offsets.begin(), offsets.end(), int64_t{0});
  engine::PointwiseTileArgs args{};
  args.src = src.data();
  args.offsets = offsets.data();
  args.channels = kChannels;
  args.weights = weights.data();
  args.bias = bias.data();
  args.dst = dst.data();
  args.dst_block = int64_t{pixels} * lanes;
  const engine::PointwiseTile tile =
      kernels.pointwise_tile[engine::kMaxTileHalves - 1][static_cast<size_t>(pixels - 1)];
  const double flops_per_call = 2.0 * pixels * 2 * lanes * kChannels;
  constexpr double kFlops = 1e8;  // of a try: long beside the clock, short beside a change of frequency
  const int calls = level == cpu::SimdLevel::kPlain ? 20 : static_cast<int>(kFlops / flops_per_call);
  double best = 0;
  for (int repeat = 0; repeat < 20; ++repeat) {
    const Stopwatch clock;
    for (int i = 0; i < calls; ++i) tile(args);
    best = std::max(best, calls * flops_per_call / clock.seconds() / 1e9);
  }
  return best;
}

int64_t peak_memory_bytes() {
  const std::string text = proc_value("/proc/self/status", "VmHWM");  // "12345 kB"
  constexpr int64_t kKilobyte = 1024;
  return text.empty() ? 0 : std::stoll(text) * kKilobyte;
}

}  // namespace marrow::benchmark
