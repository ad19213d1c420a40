// How long a validation's figures take: 5,000 images with 100 detections each, as many as COCO's val2017
// has, through both definitions of mAP and the confusion matrix.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target metrics_bench
//   build/release/bench/metrics_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only
//
// One thread. Classes and places are random; about half of the detections lie near a truth box of their
// class, the rest anywhere. The argument is the number of classes: one is the most work, for then every
// detection meets every truth box. "Add" is the part that validation does image by image.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>

#include "marrow/evaluate/metrics/detection_validator.h"

namespace marrow {
namespace {

constexpr int kImages = 5000, kDetections = 100, kTruth = 7;
constexpr Size kSize = {640, 640};

struct Data {
  std::vector<std::vector<evaluate::TruthBox>> truth;
  std::vector<std::vector<detect::InputDetection>> detections;
};

Data random_data(int classes) {
  std::mt19937 random(1);
  const auto uniform = [&](float low, float high) {
    return low + (high - low) * static_cast<float>(random()) / static_cast<float>(std::mt19937::max());
  };
  const auto box = [&] {
    const float x = uniform(0, 500), y = uniform(0, 500);
    return Box<InputPixels>{x, y, x + uniform(8, 140), y + uniform(8, 140)};
  };
  const auto any_class = [&] { return static_cast<int>(random() % static_cast<unsigned>(classes)); };
  Data data;
  for (int i = 0; i < kImages; ++i) {
    auto& truth = data.truth.emplace_back();
    for (int k = 0; k < kTruth; ++k) truth.push_back({box(), any_class()});
    auto& detections = data.detections.emplace_back();
    for (int k = 0; k < kDetections; ++k) {
      detect::InputDetection one{box(), uniform(0.001f, 1.0f), any_class()};
      if (k % 2 == 0) {
        const evaluate::TruthBox& near = truth[random() % kTruth];
        one.class_id = near.class_id;
        one.box = near.box;
        for (float* side : {&one.box.x1, &one.box.y1, &one.box.x2, &one.box.y2}) *side += uniform(-6, 6);
      }
      detections.push_back(one);
    }
    std::ranges::sort(detections, std::greater<>(), &detect::InputDetection::confidence);
  }
  return data;
}

evaluate::DetectionValidator filled(const Data& data, int classes) {
  evaluate::DetectionValidator validator(std::vector<std::string>(static_cast<size_t>(classes), "thing"));
  for (size_t i = 0; i < data.truth.size(); ++i)
    validator.add({"000000000001.jpg", kSize, kSize, {}, data.truth[i], data.detections[i], {}});
  return validator;
}

void add(benchmark::State& state) {
  const auto classes = static_cast<int>(state.range(0));
  const Data data = random_data(classes);
  for (auto _ : state) benchmark::DoNotOptimize(filled(data, classes).predictions().size());
}

void add_and_report(benchmark::State& state) {
  const auto classes = static_cast<int>(state.range(0));
  const Data data = random_data(classes);
  double map50 = 0.0;
  for (auto _ : state) map50 = filled(data, classes).report().ultralytics.map50();
  state.counters["map50"] = map50;
}

BENCHMARK(add)->Arg(1)->Arg(80)->Unit(benchmark::kMillisecond);
BENCHMARK(add_and_report)->Arg(1)->Arg(80)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace marrow

BENCHMARK_MAIN();
