// VanillaNet's deep training: the slope of its inner activations grows during a run, and everything that the
// run writes and measures has the slope of its epoch. Chen et al. 2023, section 3.1.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "marrow/evaluate/classifier_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/train/train_checkpoint.h"
#include "marrow/train/trainer.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_classes.h"

namespace marrow::train {
namespace {

constexpr const char* kSlope = "act_learn";

double slope_of(const Weights& weights) {
  return weights.at(kSlope).to_float().values()[0];
}

TrainOptions options_of(const testing::TinyClasses& tiny, const std::string& name, const std::string& shape) {
  TrainOptions options = tiny.options(name);
  options.model = (tiny.folder / "vanilla.yaml").string();
  options.act_decay = shape;
  options.act_decay_epochs = 4;
  options.nbs = 4;  // a step a batch
  options.save_period = 1;
  return options;
}

TEST(ActivationSlopeInARun, IsInEveryCheckpointAndNeverAveraged) {
  const testing::TinyClasses tiny;
  for (const char* shape : {"linear", "cos"}) {
    TrainOptions options = options_of(tiny, shape, shape);
    options.epochs = 5;
    run_training(options);
    for (int epoch = 0; epoch < 5; ++epoch) {
      const double wanted = activation_slope(epoch, 4, shape);
      const TrainSnapshot snapshot =
          read_train_checkpoint(tiny.weights(shape, "epoch" + std::to_string(epoch))).snapshot;
      EXPECT_FLOAT_EQ(slope_of(snapshot.average), wanted) << shape << " " << epoch;
      EXPECT_FLOAT_EQ(slope_of(snapshot.weights), wanted) << shape << " " << epoch;
    }
    EXPECT_EQ(slope_of(model::load_trained(tiny.weights(shape, "last")).weights), 1);
  }
}

Tensor logits_by_engine(const model::TrainedModel& trained, const Tensor& images) {
  return evaluate::EnginePredictor(trained, {.threads = 1})(images);
}

TEST(ActivationSlopeInARun, CountsInBothValidations) {
  const testing::TinyClasses tiny;
  TrainOptions options = options_of(tiny, "half", "linear");
  options.epochs = 3;
  run_training(options);
  model::TrainedModel trained = model::load_trained(tiny.weights("half", "last"));
  EXPECT_FLOAT_EQ(slope_of(trained.weights), 0.5);
  const evaluate::OpenedSplit split = evaluate::open_split(data::read_dataset(options.data), "val", {});
  loader::ClassificationLoader loader(
      split.images, evaluate::validation_loader_options(input_format(trained.model.graph), 3, 9, 0));
  const loader::ClassificationBatch batch = *loader.next();
  const Tensor& images = batch.images;
  const Value output = trained.model.graph.find("logits");
  const auto by_executor = [&] {
    return testing::executor_of(trained, ClassificationObjective())
        ->evaluate_average({images, batch.targets}, std::span(&output, 1))
        .outputs.front();
  };
  const Tensor engine = logits_by_engine(trained, images), executor = by_executor();
  EXPECT_LT(relative_difference(engine, executor), 1e-5);
  // At another slope both say something else, and the same.
  trained.weights.at(kSlope) = Tensor::from(trained.weights.at(kSlope).shape(), std::vector<float>{1});
  const Tensor engine_at_one = logits_by_engine(trained, images), executor_at_one = by_executor();
  EXPECT_LT(relative_difference(engine_at_one, executor_at_one), 1e-5);
  EXPECT_GT(relative_difference(engine, engine_at_one), 1e-3);
}

// Fine-tuning a detector, as its authors do.
TEST(ActivationSlopeInARun, IsOneUnlessAskedForOtherwise) {
  EXPECT_EQ(activation_slope(0, TrainOptions().act_decay_epochs, "linear"), 1);
  const model::Model model = model::make_model("yolov8n", "vanillanet_5");
  int scalars = 0;
  for (const Parameter& parameter : model.graph.parameters) {
    if (parameter.role != ParameterRole::kScalar) continue;
    ++scalars;
    EXPECT_EQ(parameter.init.value, 1) << parameter.name;
  }
  EXPECT_EQ(scalars, 1);
}

}  // namespace
}  // namespace marrow::train
