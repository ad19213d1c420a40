// What a training keeps of itself: its settings, its table of results, and where it stands.
#include "fuzz/readers.h"
#include "fuzz/small_model.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/train_checkpoint.h"

namespace marrow::fuzz {
namespace {

train::TrainSnapshot some_snapshot(const Weights& weights) {
  train::TrainSnapshot snapshot;
  snapshot.weights = snapshot.average = weights;
  for (const auto& [name, tensor] : weights) snapshot.optimizer.emplace("momentum/" + name, tensor);
  snapshot.state.epochs = 3;
  snapshot.state.epoch = 1;
  snapshot.state.batches_per_epoch = 4;
  snapshot.state.loss_sums = {1, 2, 3};
  snapshot.state.validations[0] = {{0.1, 0.2}, {1, 2, 3}, 0.15};
  return snapshot;
}

}  // namespace

void read_args_yaml(Bytes bytes) {
  const InputFile file(bytes);
  train::TrainOptions options;
  train::read_train_options(file.path(), options);
  train::to_yaml(options);
}

Seeds args_yaml_seeds() {
  return {train::to_yaml({}),
          "model: yolov8n.pt\ndata: coco8.yaml\nepochs: 3\nbatch: 0.6\nfraction: [0.5, 10, 1]\n"
          "classes: [0, cat]\nfreeze: 10\namp: True\nscale: [0.5, 1.5]\ntime: None\n"};
}

void read_results_table(Bytes bytes) {
  const InputFile file(bytes);
  train::read_results_csv(file.path());
}

Seeds results_table_seeds() {
  return {"epoch,time,train/box_loss\n1,2.5,0.1\n2,5e3,nan\n3,", "   epoch,  train/loss\n   1,  0.5\n"};
}

void read_resumed_run(Bytes bytes) {
  if (bytes.size() > kLongestNetwork) return;
  const InputFile file(bytes);
  train::TrainCheckpoint checkpoint = train::read_train_checkpoint(file.path());
  constexpr size_t kLosses = 3, kMeasured = 5;
  train::fit_state(checkpoint.snapshot.state, 4, kLosses, kMeasured);
}

Seeds resumed_run_seeds() {
  const model::TrainedModel small = small_model();
  const train::TrainSnapshot snapshot = some_snapshot(small.weights);
  return {written([&](const std::string& path) {
            train::write_train_checkpoint(path, small.model, snapshot, {});
          }),
          written([&](const std::string& path) {
            train::write_finished_checkpoint(path, small.model, snapshot);
          })};
}

}  // namespace marrow::fuzz
