// What activations cost: nanoseconds a float, on as many as fit the first cache. A layer pays this on top of
// its sums.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target elementwise_bench
//   build/release/bench/elementwise_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only
//
// MARROW_SIMD chooses the level.
#include <benchmark/benchmark.h>

#include <vector>

#include "marrow/base/random.h"
#include "marrow/engine/kernels/kernels.h"
#include "marrow/graph/operation.h"

namespace marrow {
namespace {

constexpr int64_t kCount = 4096;

void run_activation(benchmark::State& state, engine::Unary unary) {
  Random random(1, "input");
  std::vector<float> src(kCount), dst(kCount);
  for (float& value : src) value = static_cast<float>(random.normal());
  for (auto _ : state) {
    unary(src.data(), dst.data(), kCount, 0.1f);
    benchmark::ClobberMemory();
  }
  state.counters["each"] =
      benchmark::Counter(kCount, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  using namespace marrow;
  benchmark::Initialize(&argc, argv);
  const cpu::SimdLevel level = cpu::choose_simd_level();
  const engine::Kernels& kernels = engine::kernels_of(level);
  benchmark::AddCustomContext("simd", std::string(cpu::simd_name(level)));
  for (const ActivationKind kind :
       {ActivationKind::kRelu, ActivationKind::kHardSwish, ActivationKind::kSigmoid, ActivationKind::kSilu,
        ActivationKind::kTanh, ActivationKind::kMish, ActivationKind::kElu, ActivationKind::kGelu})
    benchmark::RegisterBenchmark(std::string(activation_name(kind)).c_str(), run_activation,
                                 kernels.unary[static_cast<size_t>(kind)]);
  benchmark::RunSpecifiedBenchmarks();
}
