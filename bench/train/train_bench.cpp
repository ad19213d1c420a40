// How many images a second training takes in: the steps of marrow train (loader, forward, loss, backward, and
// after each fourth batch clipping, SGD and the moving average), without validation and checkpoints.
//
// bench/train/compare.py runs it beside a plain PyTorch loop of the same network. It takes the settings of
// marrow train as key=value, and its own:
//
//   train_bench data=data.yaml model=yolov8n imgsz=320 batch=16 threads=2 input=loader
//
//   input=loader|ready   batches from the loader, or made before and used again
//   dump=FILE writes the start's weights, a batch, its losses and gradients, for the peer to compare
//
// A number on a line of its input is a number of steps to do; it answers with the seconds they took, the
// share of them that it waited for batches, and the most memory that the process has held.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "marrow/benchmark/machine.h"
#include "marrow/data/dataset.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/start_model.h"
#include "marrow/weights/safetensors.h"

namespace marrow {
namespace {

constexpr int kReadyBatches = 8;
constexpr double kLargestNorm = 10;
constexpr int64_t kEndless = 1'000'000;  // epochs
// Long after the warm-up.
constexpr train::IterationSettings kSettings{.bias_lr = 0.01, .lr = 0.01, .momentum = 0.937, .accumulate = 4};

class TrainBench {
 public:
  TrainBench(const train::TrainOptions& options, bool ready)
      : dataset_(data::read_dataset(options.data)),
        start_(train::start_model(options, dataset_.names, dataset_.reading, [](const std::string&) {})) {
    train::ExecutorSettings settings;
    settings.objective = loss::DetectionLossOptions();
    settings.groups =
        train::parameter_groups(start_.model.graph, options.weight_decay, train::OptimizerKind::kSgd);
    settings.threads = options.threads;
    settings.precision = train::native_backend(options).precision;  // by `amp`
    executor_ = train::make_native_executor(start_.model.graph,
                                            {.weights = start_.weights, .average = start_.weights}, settings);
    evaluate::OpenedSplit split = evaluate::open_split(
        dataset_, "train",
        {.image_size = options.imgsz, .cache = loader::ImageCache::kAll, .say = [](const std::string&) {}});
    loader::DetectionLoaderOptions loader;
    loader.batch = options.batch;
    loader.workers = options.workers;
    loader.augment = loader::AugmentSettings();
    loader.partners_from_all = true;
    loader.epochs = kEndless;
    for (size_t i = 0; i < split.images->size(); ++i) split.images->load(i);
    loader_ = std::make_unique<loader::DetectionLoader>(split.images, loader);
    if (!ready) return;
    for (int i = 0; i < kReadyBatches; ++i) {
      ready_.push_back(from_loader());
      ready_.back().images = floats_of(ready_.back().images);
    }
    loader_.reset();
  }

  void step() {
    const train::TrainingBatch batch =
        loader_ ? from_loader() : ready_[static_cast<size_t>(steps_ % kReadyBatches)];
    executor_->accumulate(batch, {.position = steps_});
    if (++steps_ % kSettings.accumulate != 0) return;
    executor_->clip_gradients(kLargestNorm, 1);
    executor_->update(kSettings);
  }

  double waited_seconds() const { return loader_ ? loader_->waited_seconds() : 0; }

  void dump(const std::string& path) {
    Weights tensors;
    for (const auto& [name, tensor] : start_.weights) tensors.emplace("weight/" + name, tensor);
    train::TrainingBatch batch = loader_ ? from_loader() : ready_[0];
    if (loader_) batch.images = floats_of(batch.images);
    tensors.emplace("images", batch.images);
    const auto count = batch.targets.dim(0);
    Tensor image({count}, DType::kInt64), classes({count}, DType::kInt64), boxes({count, 4});
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const auto row = batch.targets.values().subspan(6 * i, 6);
      image.values<int64_t>()[i] = static_cast<int64_t>(row[0]);
      classes.values<int64_t>()[i] = static_cast<int64_t>(row[1]);
      std::copy_n(row.begin() + 2, 4, boxes.values().begin() + static_cast<std::ptrdiff_t>(4 * i));
    }
    tensors.emplace("image", image);
    tensors.emplace("classes", classes);
    tensors.emplace("boxes", boxes);
    const std::vector<double> losses = executor_->accumulate(batch, {});
    tensors.emplace("losses", Tensor::from({static_cast<int64_t>(losses.size())},
                                           std::vector<float>(losses.begin(), losses.end())));
    for (const auto& [name, gradient] : executor_->gradients()) tensors.emplace("gradient/" + name, gradient);
    executor_->drop_gradients();
    weights::write_safetensors(path, tensors, {});
  }

 private:
  static Tensor floats_of(const Tensor& pixels) {
    Tensor floats(pixels.shape());
    for (size_t i = 0; i < floats.values().size(); ++i)
      floats.values()[i] = static_cast<float>(pixels.values<uint8_t>()[i]) / 255;
    return floats;
  }

  train::TrainingBatch from_loader() {
    const loader::DetectionBatch batch = *loader_->next();
    return {batch.images, batch.targets, batch.ignored};
  }

  data::Dataset dataset_;
  model::TrainedModel start_;
  std::unique_ptr<train::TrainingExecutor> executor_;
  std::vector<train::TrainingBatch> ready_;
  std::unique_ptr<loader::DetectionLoader> loader_;
  int64_t steps_ = 0;
};

void serve(int argc, char** argv) {
  train::TrainOptions options;
  options.workers = 2;
  std::string input = "loader", dump;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = std::min(argument.find('='), argument.size() - 1);
    const std::string key = argument.substr(0, equals), value = argument.substr(equals + 1);
    if (key == "input")
      input = value;
    else if (key == "dump")
      dump = value;
    else
      train::set_train_option(options, key, value);
  }
  TrainBench bench(options, input == "ready");
  if (!dump.empty()) bench.dump(dump);
  fmt::print("ready\n");
  std::fflush(stdout);
  for (int steps = 0; std::cin >> steps;) {
    const auto start = std::chrono::steady_clock::now();
    const double waited = bench.waited_seconds();
    for (int i = 0; i < steps; ++i) bench.step();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{} {} {}\n", seconds, (bench.waited_seconds() - waited) / seconds,
               benchmark::peak_memory_bytes());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  try {
    marrow::serve(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
