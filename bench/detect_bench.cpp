// What follows the network for other tasks than detection: the masks of 20 objects at 640 pixels, and the
// suppression of 30,000 turned boxes.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target detect_bench
//   build/release/bench/detect_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only
//
// One thread. The argument of the masks is the side of an object's box, that of the turned boxes the distance
// between neighbours: at 0 all lie in one place, at 4 nearly all go, at 40 all stay. `marrow benchmark
// yolov8n-seg --threads 1` has the network's time beside them.
#include <benchmark/benchmark.h>

#include <random>

#include "marrow/base/memory.h"
#include "marrow/detect/masks.h"
#include "marrow/detect/rotated_nms.h"

namespace marrow {
namespace {

constexpr int kObjects = 20, kPrototypes = 32;
constexpr Size kInput = {640, 640}, kSmall = {160, 160};

void masks(::benchmark::State& state) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> prototypes(static_cast<size_t>(kPrototypes * kSmall.width * kSmall.height));
  for (float& value : prototypes) value = normal(random);
  const auto side = static_cast<float>(state.range(0));
  std::vector<detect::MaskRequest> requests(kObjects);
  for (detect::MaskRequest& request : requests) {
    for (int m = 0; m < kPrototypes; ++m) request.coefficients.push_back(normal(random));
    std::uniform_real_distribution<float> place(0, static_cast<float>(kInput.width) - side);
    const float x = place(random), y = place(random);
    request.box = {x, y, x + side, y + side};
  }
  for (auto _ : state)
    ::benchmark::DoNotOptimize(
        detect::input_masks({prototypes.data(), kPrototypes, kSmall}, requests, kInput).data());
}
BENCHMARK(masks)->Arg(40)->Arg(160)->Arg(320)->Arg(640)->Unit(::benchmark::kMillisecond);

void turned_boxes(::benchmark::State& state) {
  constexpr int kBoxes = 30000, kAcross = 175;
  const auto step = static_cast<float>(state.range(0));
  std::vector<float> rows(6 * kBoxes);
  for (int i = 0; i < kBoxes; ++i) {
    const std::array<float, 6> box = {static_cast<float>(i % kAcross) * step,
                                      static_cast<float>(i / kAcross) * step,
                                      30.0f,
                                      20.0f,
                                      0.9f - 1e-5f * static_cast<float>(i),
                                      0.3f};
    for (size_t r = 0; r < box.size(); ++r) rows[r * kBoxes + static_cast<size_t>(i)] = box[r];
  }
  detect::NmsOptions options;
  options.max_detections = kBoxes;
  size_t kept = 0;
  for (auto _ : state) kept = detect::rotated_suppression(rows.data(), 1, kBoxes, options).size();
  state.counters["kept"] = static_cast<double>(kept);
}
BENCHMARK(turned_boxes)->Arg(0)->Arg(4)->Arg(40)->Unit(::benchmark::kMillisecond);

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  marrow::keep_freed_memory();  // as the programs do
  ::benchmark::Initialize(&argc, argv);
  ::benchmark::RunSpecifiedBenchmarks();
}
