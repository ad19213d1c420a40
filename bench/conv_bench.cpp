// How near the convolution kernels come to what the processor can do: GFLOP/s of representative layers of
// YOLOv8n at 640, and their share of the multiply-add peak measured in the same run.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target conv_bench
//   build/release/bench/conv_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only
//
// The time is that of the layer's step alone (with bias and SiLU, batch 1), not of packing or unpacking maps
// around it. MARROW_SIMD chooses the level, MARROW_THREADS the threads (default 1).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/benchmark/machine.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/builder.h"

namespace marrow {
namespace {

struct Layer {
  int in, out, size, kernel, stride, groups;
};

constexpr Layer kLayers[] = {
    {3, 16, 640, 3, 2, 1},  {16, 32, 320, 3, 2, 1},    {16, 16, 160, 3, 1, 1},  {32, 32, 80, 3, 1, 1},
    {64, 64, 40, 3, 1, 1},  {128, 128, 20, 3, 1, 1},   {128, 256, 40, 3, 2, 1}, {64, 80, 80, 3, 1, 1},
    {48, 32, 160, 1, 1, 1}, {192, 128, 40, 1, 1, 1},   {384, 256, 20, 1, 1, 1}, {512, 1024, 20, 1, 1, 1},
    {96, 96, 80, 3, 1, 96}, {128, 128, 40, 5, 1, 128}, {64, 64, 40, 7, 1, 64},
};

int threads() {
  const char* value = std::getenv("MARROW_THREADS");
  return value == nullptr ? 1 : std::max(std::atoi(value), 1);
}

void run_layer(::benchmark::State& state, const Layer& layer, double peak) {
  GraphBuilder g;
  Value x = g.input(layer.in);
  if (layer.in > 3) x = g.max_pool(x, 1, 1);  // makes the input blocked
  x = g.conv(x, "layer",
             {.out = layer.out,
              .kernel = layer.kernel,
              .stride = layer.stride,
              .groups = layer.groups,
              .bias = true});
  g.output("out", g.activation(x, ActivationKind::kSilu));
  const Graph graph = std::move(g).build();
  const Shape shape = {1, layer.in, layer.size, layer.size};
  engine::Engine engine(graph, randomize(graph, 1), shape, {},
                        {.threads = threads(), .simd = "", .deploy = false});
  Tensor input(shape);
  Random random(1, "input");
  for (float& value : input.values()) value = static_cast<float>(random.normal());

  double macs = 0;
  double best_ms = 1e9;
  for (auto _ : state)
    for (const engine::StepTime& step : engine.time_steps(input, 1)) {
      if (step.macs == 0) continue;
      state.SetIterationTime(step.ms / 1e3);
      best_ms = std::min(best_ms, step.ms);
      macs = step.macs;
      state.SetLabel(step.kernel);
    }
  const double gflops = 2 * macs / best_ms / 1e6;
  state.counters["best_GFLOPs"] = gflops;
  state.counters["share_of_peak"] = gflops / peak / threads();
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  using namespace marrow;
  ::benchmark::Initialize(&argc, argv);
  const cpu::SimdLevel level = cpu::choose_simd_level();
  const double peak = marrow::benchmark::peak_gflops(level);
  ::benchmark::AddCustomContext("simd", std::string(cpu::simd_name(level)));
  ::benchmark::AddCustomContext("threads", std::to_string(threads()));
  ::benchmark::AddCustomContext("peak GFLOP/s of a thread", fmt::format("{:.1f}", peak));
  for (const Layer& layer : kLayers)
    ::benchmark::RegisterBenchmark(
        fmt::format("conv{0}x{0}/{1} {2}->{3} at {4}{5}", layer.kernel, layer.stride, layer.in, layer.out,
                    layer.size, layer.groups > 1 ? " depthwise" : "")
            .c_str(),
        run_layer, layer, peak)
        ->UseManualTime()
        ->Unit(::benchmark::kMillisecond)
        ->MinTime(0.2);
  ::benchmark::RunSpecifiedBenchmarks();
}
