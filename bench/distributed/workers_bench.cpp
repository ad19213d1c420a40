// A training step of several workers: images a second, what travels, and how much of that is hidden behind
// the backward pass. mpirun starts it, or nobody, for one worker; bench/distributed/measure.py does both in
// turns.
//
//   mpirun -np 2 --bind-to core workers_bench model=yolov8n imgsz=320 batch=4 steps=8 sync=1 travel=fp32
//
//   batch    of one worker; the pictures are noise with some boxes
//   threads  of one worker
//   lone=1   begins no MPI
//
// The first worker prints one line of JSON; times are of all steps but the first two, and images a second
// those of the median step, since whatever else disturbs one worker's step, and with it all others', is not
// theirs.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/base/stopwatch.h"
#include "marrow/distributed/mpi/mpi_transport.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/start_model.h"
#include "marrow/train/step/workers.h"

namespace marrow {
namespace {

constexpr int kClasses = 80, kBoxes = 6;  // of an image
constexpr double kLargestNorm = 10;
constexpr int kWarmUp = 2;
constexpr train::IterationSettings kRates{.bias_lr = 0.001, .lr = 0.001, .momentum = 0.937, .accumulate = 1};

struct Settings {
  std::map<std::string, std::string> texts = {{"model", "yolov8n"}, {"backbone", ""}, {"imgsz", "320"},
                                              {"batch", "4"},       {"steps", "8"},   {"sync", "1"},
                                              {"travel", "fp32"},   {"threads", "1"}, {"lone", "0"}};

  explicit Settings(std::span<char*> arguments) {
    for (const std::string argument : arguments) {
      const size_t equals = argument.find('=');
      if (equals == std::string::npos || !texts.contains(argument.substr(0, equals)))
        throw Error(ErrorKind::kUsage, "not a setting: " + argument);
      texts[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
  }
  int number(const std::string& key) const { return std::stoi(texts.at(key)); }
};

train::TrainingBatch noise(int64_t images, int64_t side, uint64_t seed) {
  train::TrainingBatch batch;
  batch.is_part = true;
  batch.images = Tensor({images, 3, side, side}, DType::kUInt8);
  Random random(seed, "pixels");
  for (uint8_t& pixel : batch.images.values<uint8_t>()) pixel = static_cast<uint8_t>(random.below(256));
  std::vector<float> rows;
  for (int64_t image = 0; image < images; ++image)
    for (int box = 0; box < kBoxes; ++box) {
      const auto number = [&](double from, double to) {
        return static_cast<float>(from + (to - from) * random.uniform());
      };
      rows.insert(rows.end(), {static_cast<float>(image), static_cast<float>(random.below(kClasses)),
                               number(0.3, 0.7), number(0.3, 0.7), number(0.1, 0.5), number(0.1, 0.5)});
    }
  batch.targets = Tensor::from({static_cast<int64_t>(rows.size()) / 6, 6}, rows);
  return batch;
}

void run(const Settings& settings) {
  std::unique_ptr<distributed::Communicator> communicator;
  std::optional<train::Workers> workers;
  if (settings.number("lone") == 0) {
    communicator = std::make_unique<distributed::Communicator>(distributed::join_mpi);
    workers.emplace(*communicator, train::WorkerSettings{.sync_batch_norm = settings.number("sync") != 0,
                                                         .travel = settings.texts.at("travel") == "bf16"
                                                                       ? distributed::Travel::kBfloat16
                                                                       : distributed::Travel::kFloat32});
  }
  const int size = communicator ? communicator->size() : 1;
  const uint64_t rank = communicator ? static_cast<uint64_t>(communicator->rank()) : 0;
  train::TrainOptions options;
  options.model = settings.texts.at("model");
  options.backbone = settings.texts.at("backbone");
  std::vector<std::string> names;
  for (int c = 0; c < kClasses; ++c) names.push_back(std::to_string(c));
  const model::TrainedModel start = train::start_model(options, names, {}, [](const std::string&) {});
  train::ExecutorSettings executor_settings;
  executor_settings.objective = loss::DetectionLossOptions();
  executor_settings.groups =
      train::parameter_groups(start.model.graph, options.weight_decay, train::OptimizerKind::kSgd);
  executor_settings.threads = settings.number("threads");
  executor_settings.workers = workers ? &*workers : nullptr;
  const auto executor = train::make_native_executor(
      start.model.graph, {.weights = start.weights, .average = start.weights}, executor_settings);
  const int batch = settings.number("batch"), steps = settings.number("steps");
  const train::TrainingBatch images = noise(batch, settings.number("imgsz"), rank);
  distributed::Traffic before;
  std::vector<double> seconds;  // of each step
  for (int step = 0; step < kWarmUp + steps; ++step) {
    if (step == kWarmUp) {
      if (communicator) {
        communicator->barrier();
        before = communicator->traffic();
      }
      seconds.clear();
    }
    const Stopwatch one;
    executor->accumulate(images, {.position = step});
    executor->clip_gradients(kLargestNorm, 1);
    executor->update(kRates);
    seconds.push_back(one.seconds());
  }
  std::ranges::sort(seconds);
  const double median = (seconds[(seconds.size() - 1) / 2] + seconds[seconds.size() / 2]) / 2;
  if (rank != 0) return;
  const distributed::Traffic after = communicator ? communicator->traffic() : distributed::Traffic();
  int64_t parameters = 0;
  for (const Parameter& parameter : start.model.graph.parameters)
    if (parameter.trainable()) parameters += element_count(parameter.shape);
  const double sums = after.sum_seconds - before.sum_seconds;
  const double waited = after.sum_wait_seconds - before.sum_wait_seconds;
  fmt::print(
      "{{\"workers\": {}, \"images_per_second\": {:.4f}, \"step_seconds\": {:.6f}, \"shortest_seconds\": "
      "{:.6f}, \"parameters\": {}, \"bytes_a_step\": {:.0f}, \"sum_seconds\": {:.6f}, "
      "\"sum_wait_seconds\": {:.6f}, \"call_seconds\": {:.6f}}}\n",
      size, size * batch / median, median, seconds.front(), parameters,
      static_cast<double>(after.bytes - before.bytes) / steps, sums / steps, waited / steps,
      (after.call_seconds - before.call_seconds) / steps);
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  try {
    marrow::run(marrow::Settings(std::span(argv + 1, argv + argc)));
  } catch (const std::exception& error) {
    fmt::print(stderr, "workers_bench: {}\n", error.what());
    return 1;
  }
}
