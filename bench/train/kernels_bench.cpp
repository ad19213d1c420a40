// How near the kernels of training come to what the processor can do: GFLOP/s of products and their share of
// the multiply-add peak measured in the same run, GB/s of what prepares and finishes maps, nanoseconds a
// packed weight. Operands lie in the second-level cache, as a step's scratch does; "to memory" writes a map
// that is larger than the caches.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target kernels_bench
//   build/release/bench/kernels_bench
//
// Figures are those of the best run of each kernel. MARROW_SIMD chooses the level.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/benchmark/machine.h"
#include "marrow/graph/operation.h"
#include "marrow/train/native/kernels/pack.h"

namespace marrow::train::native {
namespace {

// Floats that begin at a line of the caches.
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : lines_(static_cast<size_t>(count) * sizeof(float) / sizeof(Line) + 1), count_(count) {
    Random random(1, "bench");
    for (int64_t i = 0; i < count; ++i) data()[i] = static_cast<float>(random.normal());
  }
  float* data() { return lines_.front().of; }
  int64_t size() const { return count_; }

 private:
  struct alignas(64) Line {
    float of[16];
  };
  std::vector<Line> lines_;
  int64_t count_;
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The best time of a call, each measured over 20 us or more.
template <class Run>
double best_seconds(::benchmark::State& state, const Run& run) {
  constexpr double kLeast = 20e-6;
  int64_t calls = 1;
  double best = 1e9;
  for (auto _ : state) {
    const double begin = seconds();
    for (int64_t i = 0; i < calls; ++i) run();
    const double took = seconds() - begin;
    best = std::min(best, took / static_cast<double>(calls));
    if (took < kLeast) calls *= 2;
  }
  return best;
}

struct Peaks {
  const Kernels& kernels;
  double gflops;
};

// `products`: multiply-adds of vectors.
template <class Run>
void report_products(::benchmark::State& state, const Peaks& peaks, double products, const Run& run) {
  const double gflops = 2 * products * peaks.kernels.lanes / best_seconds(state, run) / 1e9;
  state.counters["best_GFLOPs"] = gflops;
  state.counters["share_of_peak"] = gflops / peaks.gflops;
}

// The scratch that a layer's chunk lies in: rows of pixels with a border, one block of channels after
// another.
struct Layer {
  int in, out, kernel, stride;  // channels
  int64_t rows, width;          // of outputs
};

constexpr Layer kLayers[] = {
    {16, 16, 1, 1, 1, 384}, {64, 64, 1, 1, 1, 384}, {128, 128, 1, 1, 1, 192}, {384, 256, 1, 1, 1, 96},
    {16, 32, 3, 2, 4, 80},  {64, 128, 3, 2, 8, 20}, {128, 256, 3, 2, 10, 10},
};

int blocks_of(int channels, const Kernels& kernels) {
  return (channels + kernels.lanes - 1) / kernels.lanes;
}

struct LayerScratch {
  int inputs, outputs;  // blocks
  int64_t lanes, taps, row, block, pixels;
  std::vector<int64_t> offsets;
  Buffer x, y, weights, acc;

  LayerScratch(const Layer& layer, const Kernels& kernels)
      : inputs(blocks_of(layer.in, kernels)),
        outputs(blocks_of(layer.out, kernels)),
        lanes(kernels.lanes),
        taps(int64_t{layer.kernel} * layer.kernel),
        row((layer.width * layer.stride + layer.kernel) * lanes),
        block((layer.rows * layer.stride + layer.kernel) * row),
        pixels(layer.rows * layer.width),
        x(inputs * block),
        y(outputs * pixels * lanes),
        weights(outputs * inputs * lanes * lanes * taps),
        acc(outputs * inputs * lanes * lanes) {
    for (int64_t tap = 0; tap < taps; ++tap)
      offsets.push_back(tap / layer.kernel * row + tap % layer.kernel * lanes);
  }
};

// With `pairs` the same of pairs of bfloat16, in half the room; their rows lie as far apart as floats do.
void run_multiply(::benchmark::State& state, const Layer& layer, bool pairs, const Peaks& peaks) {
  const Kernels& kernels = peaks.kernels;
  LayerScratch s(layer, kernels);
  const auto multiply = pairs ? kernels.multiply_pairs : kernels.multiply;
  const int64_t block_channels = pairs ? s.lanes / 2 : s.lanes;
  report_products(state, peaks, static_cast<double>(s.pixels * s.inputs * s.outputs * s.lanes * s.taps), [&] {
    const float* weights = s.weights.data();
    for (int first = 0; first < s.outputs;) {
      const int group = next_group(s.outputs - first, kernels.output_group);
      for (int64_t row = 0; row < layer.rows; ++row)
        multiply({s.x.data() + row * layer.stride * s.row, s.block, layer.stride * block_channels, s.inputs,
                  static_cast<int>(block_channels), s.offsets.data(), static_cast<int>(s.taps), weights,
                  group, s.y.data() + (first * s.pixels + row * layer.width) * s.lanes, s.pixels * s.lanes,
                  s.lanes, layer.width});
      weights += group * s.lanes * s.inputs * block_channels * s.taps;
      first += group;
    }
  });
}

void run_outer(::benchmark::State& state, const Layer& layer, bool pairs, const Peaks& peaks) {
  LayerScratch s(layer, peaks.kernels);
  const auto outer = pairs ? peaks.kernels.outer_pairs : peaks.kernels.outer;
  const int64_t x_step = pairs ? s.lanes : layer.stride * s.lanes;
  const int64_t pixels = pairs ? (layer.width + 1) / 2 : layer.width;
  report_products(state, peaks, static_cast<double>(s.pixels * s.inputs * s.outputs * s.lanes * s.taps), [&] {
    for (const int64_t offset : s.offsets)
      outer({s.y.data(), s.pixels * s.lanes, layer.width * s.lanes, s.outputs, s.x.data() + offset, s.block,
             layer.stride * s.row, x_step, s.inputs, layer.rows, pixels, s.acc.data(), s.inputs * s.lanes});
  });
}

// One block of channels, square maps.
void run_lane_taps(::benchmark::State& state, int kernel, int stride, int width, const Peaks& peaks) {
  LayerScratch s({1, 1, kernel, stride, width, width}, peaks.kernels);
  report_products(state, peaks, static_cast<double>(s.pixels * s.taps), [&] {
    for (int64_t row = 0; row < width; ++row)
      peaks.kernels.lane_taps({s.x.data() + row * stride * s.row, stride * s.lanes, s.offsets.data(),
                               static_cast<int>(s.taps), s.weights.data(), s.y.data() + row * width * s.lanes,
                               s.lanes, width});
  });
}

void run_lane_outer(::benchmark::State& state, int kernel, int stride, int width, const Peaks& peaks) {
  LayerScratch s({1, 1, kernel, stride, width, width}, peaks.kernels);
  report_products(state, peaks, static_cast<double>(s.pixels * s.taps), [&] {
    for (int row = 0; row < kernel; ++row)
      peaks.kernels.lane_outer({s.y.data(), width * s.lanes, s.x.data() + row * s.row, stride * s.row,
                                stride * s.lanes, kernel, width, width,
                                s.weights.data() + row * kernel * s.lanes});
  });
}

// What passes over a chunk of a block: 12 KB with eight lanes.
constexpr int64_t kChunk = 384;

// `maps`: how many are read or written.
template <class Run>
void report_passes(::benchmark::State& state, const Kernels& kernels, int64_t pixels, int maps,
                   const Run& run) {
  const double best = best_seconds(state, run);
  state.counters["best_GBs"] =
      static_cast<double>(maps * pixels * kernels.lanes) * sizeof(float) / best / 1e9;
  state.counters["best_ns_a_vector"] = best / static_cast<double>(pixels) * 1e9;
}

struct Chunk {
  Buffer src, other, dst, lanes;
  std::vector<double> sums, products;

  explicit Chunk(const Kernels& kernels, int64_t chunks = 1)
      : src(kChunk * kernels.lanes),
        other(kChunk * kernels.lanes),
        dst(chunks * kChunk * kernels.lanes),
        lanes(kernels.lanes),
        sums(static_cast<size_t>(kernels.lanes)),
        products(static_cast<size_t>(kernels.lanes)) {}
};

void run_prepare(::benchmark::State& state, size_t kind, const Kernels& kernels) {
  Chunk c(kernels);
  report_passes(state, kernels, kChunk, 2, [&] {
    kernels.prepare[kind]({c.src.data(), c.lanes.data(), c.lanes.data(), 0.1f, c.dst.data(), kChunk});
  });
}

void run_finish_gradient(::benchmark::State& state, size_t kind, const Kernels& kernels) {
  Chunk c(kernels);
  report_passes(state, kernels, kChunk, 3, [&] {
    kernels.finish_gradient[kind]({c.src.data(), c.other.data(), c.lanes.data(), c.lanes.data(),
                                   c.lanes.data(), 0.1f, c.dst.data(), false, false, kChunk, c.sums.data(),
                                   c.products.data()});
  });
}

void run_prepare_gradient(::benchmark::State& state, const Kernels& kernels) {
  Chunk c(kernels);
  report_passes(state, kernels, kChunk, 3, [&] {
    kernels.prepare_gradient({c.src.data(), c.other.data(), c.lanes.data(), c.lanes.data(), c.lanes.data(),
                              c.lanes.data(), c.dst.data(), kChunk});
  });
}

// A call for each of `chunks` places that are written one after the other.
void run_finish(::benchmark::State& state, int64_t chunks, bool streamed, const Kernels& kernels) {
  Chunk c(kernels, chunks);
  report_passes(state, kernels, chunks * kChunk, 2, [&] {
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      kernels.finish({c.src.data(), c.dst.data() + chunk * kChunk * kernels.lanes, streamed, kChunk,
                      c.sums.data(), c.products.data()});
  });
}

void run_pack(::benchmark::State& state, int channels, int taps, bool gradient, bool winograd,
              const Kernels& kernels) {
  Buffer weights(int64_t{channels} * channels * taps);
  std::vector<int> in_order(static_cast<size_t>(channels)), all(static_cast<size_t>(taps));
  std::iota(in_order.begin(), in_order.end(), 0);
  std::iota(all.begin(), all.end(), 0);
  const int64_t rows = int64_t{channels} * taps;
  const PackArgs args = {
      weights.data(), gradient ? taps : rows, gradient ? rows : taps, in_order, in_order, kernels.lanes, all};
  Buffer packed(4 * packed_size(args));
  const double best = best_seconds(state, [&] {
    if (winograd)
      pack_winograd_weights(args, kernels, packed.data());
    else
      pack_weights(args, kernels, packed.data());
  });
  state.counters["best_ns_a_weight"] = best / static_cast<double>(weights.size()) * 1e9;
}

// Runs for 0.1 s and more.
template <class... Args>
void add(const std::string& name, const Args&... args) {
  ::benchmark::RegisterBenchmark(name.c_str(), args...)->MinTime(0.1);
}

void add_all(const Peaks& peaks) {
  const Kernels& kernels = peaks.kernels;
  for (const Layer& layer : kLayers) {
    const std::string name = fmt::format("{0}x{0}/{1} {2}->{3} at {4}x{5}", layer.kernel, layer.stride,
                                         layer.in, layer.out, layer.rows, layer.width);
    for (const bool pairs : {false, true}) {
      if (pairs && kernels.multiply_pairs == nullptr) continue;
      const std::string of = pairs ? " of bf16" : "";
      add("multiply " + name + of, run_multiply, layer, pairs, peaks);
      add("outer " + name + of, run_outer, layer, pairs, peaks);
    }
  }
  for (const int kernel : {3, 5, 7})
    for (const int stride : {1, 2})
      for (const int width : {10, 40}) {
        const std::string name = fmt::format("{0}x{0}/{1} at {2}", kernel, stride, width);
        add("lane_taps " + name, run_lane_taps, kernel, stride, width, peaks);
        add("lane_outer " + name, run_lane_outer, kernel, stride, width, peaks);
      }
  for (size_t kind = 0; kind < kActivationKinds; ++kind) {
    const std::string name(activation_name(static_cast<ActivationKind>(kind)));
    add("prepare " + name, run_prepare, kind, kernels);
    add("finish_gradient " + name, run_finish_gradient, kind, kernels);
  }
  add("prepare_gradient", run_prepare_gradient, kernels);
  constexpr int64_t kLarge = 4000;  // chunks
  add("finish", run_finish, int64_t{1}, false, kernels);
  add("finish to memory", run_finish, kLarge, false, kernels);
  add("finish to memory, streamed", run_finish, kLarge, true, kernels);
  for (const bool gradient : {false, true}) {
    const std::string way = gradient ? " for the data's gradient" : "";
    add("pack 1x1 256->256" + way, run_pack, 256, 1, gradient, false, kernels);
    add("pack 3x3 128->128" + way, run_pack, 128, 9, gradient, false, kernels);
    add("pack 3x3 128->128 for Winograd" + way, run_pack, 128, 9, gradient, true, kernels);
  }
}

}  // namespace
}  // namespace marrow::train::native

int main(int argc, char** argv) {
  using namespace marrow;
  ::benchmark::Initialize(&argc, argv);
  const cpu::SimdLevel level = cpu::choose_simd_level();
  const train::native::Peaks peaks{train::native::kernels_of(level), marrow::benchmark::peak_gflops(level)};
  ::benchmark::AddCustomContext("simd", std::string(cpu::simd_name(level)));
  ::benchmark::AddCustomContext("cpu", marrow::benchmark::this_machine().cpu);
  ::benchmark::AddCustomContext("peak GFLOP/s of a thread", fmt::format("{:.1f}", peaks.gflops));
  train::native::add_all(peaks);
  ::benchmark::RunSpecifiedBenchmarks();
}
