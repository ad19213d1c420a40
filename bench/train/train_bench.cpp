// How many images a second training takes in: the steps of marrow-train (loader, forward, loss, backward, and
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
// A number on a line of its input is a number of steps to do; it answers with the seconds they took.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "marrow/data/dataset.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/start_model.h"
#include "marrow/train/torch/ema.h"
#include "marrow/train/torch/loss.h"
#include "marrow/train/torch/optimizer.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "marrow/weights/safetensors.h"

namespace marrow {
namespace {

constexpr int kReadyBatches = 8;
constexpr double kLargestNorm = 10;
constexpr int64_t kEndless = 1'000'000;  // epochs
// Long after the warm-up.
constexpr train::IterationSettings kSettings{.bias_lr = 0.01, .lr = 0.01, .momentum = 0.937, .accumulate = 4};

struct Batch {
  torch::Tensor images;
  train::DetectionTargets targets;
};

class TrainBench {
 public:
  TrainBench(const train::TrainOptions& options, bool ready)
      : options_(options),
        dataset_(data::read_dataset(options.data)),
        start_(train::start_model(options, dataset_.names, dataset_.reading, [](const std::string&) {})),
        model_(start_.model.graph, start_.weights, executor_options()),
        average_(start_.model.graph, start_.weights, executor_options()),
        optimizer_(
            model_,
            train::parameter_groups(start_.model.graph, options.weight_decay, train::OptimizerKind::kSgd),
            {}),
        ema_(average_),
        loss_(start_.model.graph),
        maps_(loss::detection_maps(start_.model.graph)) {
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
      ready_.back().images = ready_.back().images.to(torch::kFloat32) / 255;
    }
    loader_.reset();
  }

  void step() {
    const Batch batch = loader_ ? from_loader() : ready_[static_cast<size_t>(steps_ % kReadyBatches)];
    const train::DetectionLossResult result =
        loss_(model_.train(batch.images, maps_, {.position = steps_}), batch.targets);
    result.loss.sum().backward();
    result.items.to(torch::kCPU);  // they are shown
    if (++steps_ % kSettings.accumulate != 0) return;
    optimizer_.clip_gradients(kLargestNorm);
    optimizer_.step(kSettings);
    model_.zero_gradients();
    ema_.update(model_);
  }

  void dump(const std::string& path) {
    Weights tensors;
    for (const auto& [name, tensor] : start_.weights) tensors.emplace("weight/" + name, tensor);
    const Batch batch = loader_ ? from_loader() : ready_[0];
    tensors.emplace("images", train::from_torch(batch.images.to(torch::kFloat32) / (loader_ ? 255 : 1)));
    tensors.emplace("image", train::from_torch(batch.targets.image));
    tensors.emplace("classes", train::from_torch(batch.targets.classes));
    tensors.emplace("boxes", train::from_torch(batch.targets.boxes));
    const train::DetectionLossResult result = loss_(model_.train(batch.images, maps_, {}), batch.targets);
    result.loss.sum().backward();
    tensors.emplace("losses", train::from_torch(result.items));
    for (const auto& [name, tensor] : model_.state())
      if (tensor.grad().defined()) tensors.emplace("gradient/" + name, train::from_torch(tensor.grad()));
    weights::write_safetensors(path, tensors, {});
  }

 private:
  train::TorchExecutorOptions executor_options() const {
    train::TorchExecutorOptions executor;
    executor.device = train::parse_device(options_.device.empty() ? "cpu" : options_.device);
    executor.channels_last = options_.channels_last;
    if (options_.amp == "bf16") executor.compute_type = torch::kBFloat16;
    if (options_.amp == "fp16") executor.compute_type = torch::kHalf;
    return executor;
  }

  Batch from_loader() {
    const loader::DetectionBatch batch = *loader_->next();
    return {train::to_torch(batch.images), train::targets_of({batch.images, batch.targets, batch.ignored})};
  }

  train::TrainOptions options_;
  data::Dataset dataset_;
  model::TrainedModel start_;
  train::TorchExecutor model_, average_;
  train::Optimizer optimizer_;
  train::Ema ema_;
  train::DetectionLoss loss_;
  std::vector<Value> maps_;
  std::vector<Batch> ready_;
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
  train::set_torch_threads(options.threads);
  TrainBench bench(options, input == "ready");
  if (!dump.empty()) bench.dump(dump);
  fmt::print("ready\n");
  std::fflush(stdout);
  for (int steps = 0; std::cin >> steps;) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) bench.step();
    fmt::print("{}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
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
