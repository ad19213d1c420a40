// Whole classification runs: what they leave behind, that nothing but the options changes a byte of it, and
// that the engine and the training executor measure the same.
#include "marrow/train/classification_task.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/data/dataset.h"
#include "marrow/evaluate/classifier_validation.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/geometry/input_format.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/predict/classifier.h"
#include "marrow/train/train_checkpoint.h"
#include "marrow/weights/safetensors.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_classes.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;
using testing::kNoChanges;
using testing::TinyClasses;

const std::vector<std::string> kNames = {"blue", "green", "red"};

// Everything that draws: smoothing, both mixes, dropout, RandAugment, erasing.
TrainOptions all_at_once(TrainOptions options) {
  options.label_smoothing = 0.1;
  options.mixup = options.cutmix = 0.4;
  options.dropout = 0.2;
  return options;
}

TEST(ClassificationRun, LeavesARunFolder) {
  const TinyClasses tiny;
  TrainOptions options = tiny.options("first");
  options.imgsz = 0;  // 224 for such a YAML
  options.epochs = 2;
  EXPECT_EQ(run_training(options), RunOutcome::kFinished);
  const std::vector<std::string> csv = tiny.results("first");
  ASSERT_EQ(csv.size(), 3u);
  EXPECT_EQ(
      csv[0],
      "epoch,time,train/loss,metrics/accuracy_top1,metrics/accuracy_top5,val/loss,lr/pg0,lr/pg1,lr/pg2");
  TrainOptions written;
  read_train_options(tiny.run("first") / "args.yaml", written);
  EXPECT_EQ(written.imgsz, 224);
  for (const char* name : {"last", "best"}) {
    const model::TrainedModel trained = model::load_trained(tiny.weights("first", name));
    EXPECT_EQ(trained.model.names, kNames);
    EXPECT_EQ(trained.model.task, "classify");
    EXPECT_EQ(input_format(trained.model.graph).crop, 224);
    EXPECT_EQ(input_format(trained.model.graph).resize, 224);
  }
}

TEST(ClassificationRun, KeepsTheEpochThatIsBestByTheMetricNamed) {
  const TinyClasses tiny;
  for (const auto& [metric, column] : {std::pair{"top1", 3}, {"top5", 4}}) {
    TrainOptions options = tiny.options(metric);
    options.best_metric = metric;
    options.epochs = 2;
    run_training(options);
    const auto notes = weights::read_safetensors(tiny.weights(metric, "best")).metadata;
    const std::string line = tiny.results(metric).at(std::stoul(notes.at("epoch")));
    std::istringstream cells(line);
    std::string cell;
    for (int i = 0; i <= column; ++i) std::getline(cells, cell, ',');
    EXPECT_NEAR(std::stod(notes.at("fitness")), std::stod(cell), 1e-5) << metric << ": " << line;
  }
}

TEST(ClassificationRun, LearnsWhatIsEasy) {
  const TinyClasses tiny;
  TrainOptions options = tiny.options("learns");
  options.epochs = 30;
  options.nbs = 4;
  options.lr0 = 0.05;
  options.auto_augment = "none";
  options.hsv_h = options.hsv_s = options.erasing = 0;
  run_training(options);
  const std::string last = tiny.results("learns").back();
  std::vector<double> row;
  std::istringstream cells(last);
  for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stod(cell));
  EXPECT_LT(row.at(2), 0.5) << last;  // from log 3
  EXPECT_EQ(row.at(4), 1) << last;    // three classes are within five
}

TEST(ClassificationRun, GivesTheSameBytesForTheSameSeed) {
  const TinyClasses tiny;
  testing::expect_same_bytes_for_the_same_seed(tiny, all_at_once(tiny.options("")));
}

// The list is sorted by class, so its first half would lack some.
TEST(ClassificationRun, FractionTakesImagesFromAllOverTheList) {
  const TinyClasses tiny;
  evaluate::OpenSplitOptions options;
  options.kept = [](size_t n) { return n / 2; };
  const auto images = evaluate::open_split(data::read_dataset(tiny.folder / "data"), "train", options).images;
  std::map<std::string, int> of_class;
  for (size_t i = 0; i < images->size(); ++i)
    ++of_class[images->labels(i).path.parent_path().filename().string()];
  EXPECT_EQ(of_class, (std::map<std::string, int>{{"blue", 2}, {"green", 2}, {"red", 2}}));
}

// Each setting reaches the run: alone it changes the bytes.
TEST(ClassificationRun, EverySettingHasAnEffect) {
  const TinyClasses tiny;
  TrainOptions plain = tiny.options("plain");
  plain.epochs = 2;
  run_training(plain);
  const std::vector<std::pair<const char*, const char*>> settings = {
      {"label_smoothing", "0.1"}, {"mixup", "1"},     {"cutmix", "1"},  {"dropout", "0.5"},
      {"auto_augment", "none"},   {"erasing", "0.9"}, {"scale", "0.1"}, {"fliplr", "0"}};
  for (const auto& [key, value] : settings) {
    TrainOptions options = plain;
    options.name = key;
    set_train_option(options, key, value);
    run_training(options);
    EXPECT_NE(tiny.bytes(key, "last"), tiny.bytes("plain", "last")) << key;
  }
}

// A checkpoint from the middle of the run goes on to the bytes of one that was never stopped.
TEST(ClassificationRun, GoesOnToTheByte) {
  const TinyClasses tiny;
  for (const char* model : {"tiny.yaml", "vanilla.yaml"}) {
    SCOPED_TRACE(model);
    TrainOptions options = all_at_once(tiny.options(std::string("straight ") + model));
    options.model = (tiny.folder / model).string();
    options.save_period = 1;
    if (model[0] == 'v') options.act_decay_epochs = 3;
    run_training(options);
    for (const char* at : {"epoch0", "epoch1", "epoch2"}) {
      const std::string resumed = std::string("from ") + at + model;
      fs::create_directories(tiny.run(resumed) / "weights");
      fs::copy_file(tiny.weights(options.name, at), tiny.weights(resumed, "last"));
      fs::copy_file(tiny.weights(options.name, "best"), tiny.weights(resumed, "best"));
      fs::copy_file(tiny.run(options.name) / "results.csv", tiny.run(resumed) / "results.csv");
      EXPECT_EQ(resume_training(tiny.run(resumed), kNoChanges), RunOutcome::kFinished);
      EXPECT_EQ(tiny.bytes(resumed, "last"), tiny.bytes(options.name, "last")) << at;
    }
  }
}

// The scores of a validation by the engine and by the training executor.
struct BothWays {
  evaluate::ClassifierValidation engine, executor;
  double largest_difference = 0;
};
BothWays validate_both_ways(const model::TrainedModel& trained, const fs::path& data,
                            const std::string& split) {
  const evaluate::OpenedSplit opened = evaluate::open_split(data::read_dataset(data), split, {});
  const loader::ClassificationLoaderOptions options =
      evaluate::validation_loader_options(input_format(trained.model.graph), trained.model.classes(), 4, 1);
  evaluate::EnginePredictor engine(trained, {.threads = 1});
  const auto executor = testing::executor_of(trained, ClassificationObjective());
  const Value logits = trained.model.graph.find("logits");
  const auto by_executor = [&](const loader::ClassificationBatch& batch) {
    return executor->evaluate_average({batch.images, batch.targets}, std::span(&logits, 1)).outputs.front();
  };
  std::vector<Tensor> scores;
  loader::ClassificationLoader first(opened.images, options), second(opened.images, options);
  BothWays both{evaluate::validate_classifier(first, trained.model.names, {},
                                              [&](const loader::ClassificationBatch& batch) {
                                                scores.push_back(engine(batch.images));
                                                return scores.back();
                                              }),
                evaluate::validate_classifier(second, trained.model.names, {}, by_executor)};
  loader::ClassificationLoader third(opened.images, options);
  for (const Tensor& found : scores) {
    const Tensor wanted = by_executor(*third.next());
    for (size_t i = 0; i < wanted.values().size(); ++i)
      both.largest_difference =
          std::max(both.largest_difference, std::abs(double{found.values()[i]} - wanted.values()[i]));
  }
  return both;
}

TEST(ClassificationRun, EngineAndExecutorMeasureTheSame) {
  const TinyClasses tiny;
  for (const char* model : {"starnet_s050", "tiny.yaml"}) {
    SCOPED_TRACE(model);
    TrainOptions options = tiny.options("both");
    options.exist_ok = true;
    options.epochs = 1;
    options.imgsz = 64;
    options.model = model == std::string("tiny.yaml") ? (tiny.folder / model).string() : model;
    run_training(options);
    const model::TrainedModel trained = model::load_trained(tiny.weights("both", "best"));
    for (const char* split : {"train", "val"}) {
      const BothWays both = validate_both_ways(trained, tiny.folder / "data", split);
      EXPECT_EQ(both.engine.report.table(true), both.executor.report.table(true));
      EXPECT_EQ(both.engine.report.confusion(), both.executor.report.confusion());
      EXPECT_EQ(both.engine.report.total().images, split[0] == 't' ? 12 : 9);
      // Logits of a few units, sums of hundreds of products in float32.
      EXPECT_LT(both.largest_difference, 1e-4);
    }
    // What a run wrote of its best epoch is what the engine finds.
    const std::string line = tiny.results("both").at(1);
    const evaluate::ClassAccuracy total =
        validate_both_ways(trained, tiny.folder / "data", "val").engine.report.total();
    EXPECT_NE(line.find(fmt::format(",{:.6g},{:.6g},", total.top1_share(), total.top5_share())),
              std::string::npos)
        << line;
  }
}

TEST(ClassificationRun, PredictionShowsTheNamesAndUsesTheTrainedSquare) {
  const TinyClasses tiny;
  TrainOptions options = tiny.options("named");
  options.model = "starnet_s050";
  options.imgsz = 64;
  options.epochs = 1;
  run_training(options);
  const model::TrainedModel trained = model::load_trained(tiny.weights("named", "best"));
  EXPECT_EQ(trained.model.names, kNames);
  predict::Classifier classifier(trained.model.graph, trained.weights, {.engine = {.threads = 1}});
  image::Image image(80, 70);
  const predict::ClassificationResult result = classifier.classify(image, 5);
  EXPECT_EQ(result.network, (Size{64, 64}));
  EXPECT_EQ(result.top.size(), 3u);
  // The published proportion of resize and crop, at the new size.
  const InputFormat published = input_format(model::make_model("starnet_s050").graph);
  const InputFormat own = input_format(trained.model.graph);
  EXPECT_EQ(own.resize, std::lround(64.0 * published.resize / published.crop));
  EXPECT_EQ(own.mean, published.mean);
}

}  // namespace
}  // namespace marrow::train
