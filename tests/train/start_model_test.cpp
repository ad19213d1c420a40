// Where a run's weights come from.
#include "marrow/train/start_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/train/class_rows.h"
#include "marrow/weights/safetensors.h"
#include "support/temporary_folder.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.bytes(), a.bytes() + a.byte_size(), b.bytes());
}

class StartModel : public ::testing::Test {
 protected:
  StartModel() { write_file_atomically(folder_ / "tiny.yaml", testing::kTinyModel); }
  model::TrainedModel start(const TrainOptions& options) {
    said_.clear();
    return start_model(options, {"a", "b"}, {}, [this](const std::string& line) { said_ += line + "\n"; });
  }
  // A checkpoint with weights that no seed gives.
  std::string checkpoint(const std::string& name, const model::Model& model) {
    model::save_checkpoint(folder_ / name, model, randomize(model.graph, 77));
    return (folder_ / name).string();
  }
  static size_t shared(const Weights& a, const Weights& b, const std::string& prefix = "") {
    size_t count = 0;
    for (const auto& [name, tensor] : b)
      if (const auto found = a.find(prefix + name); found != a.end()) count += same(found->second, tensor);
    return count;
  }

  testing::TemporaryFolder folder_;
  TrainOptions options_;
  std::string said_;
};

TEST_F(StartModel, DrawsFromTheSeed) {
  options_.model = (folder_ / "tiny.yaml").string();
  const model::TrainedModel first = start(options_);
  EXPECT_EQ(first.model.names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(shared(first.weights, start(options_).weights), first.weights.size());
  options_.seed = 1;
  EXPECT_FALSE(
      same(first.weights.at("model.0.conv.weight"), start(options_).weights.at("model.0.conv.weight")));
}

TEST_F(StartModel, BoxBranchesStartAtTheRulesBias) {
  options_.model = (folder_ / "tiny.yaml").string();
  for (const auto& [rules, wanted] : {std::pair{"8.4", 2.0f}, {"8.3", 1.0f}}) {
    options_.rules = rules;
    int seen = 0;
    for (const auto& [name, tensor] : start(options_).weights) {
      if (tail_of_branch(name, "cv2") != "2.bias") continue;
      ++seen;
      for (const float value : tensor.values()) EXPECT_EQ(value, wanted) << name;
    }
    EXPECT_EQ(seen, 3);
  }
}

// A classifier's YAML has PyTorch's batch norms, in the file that it is stored in too; a detector's its own.
TEST_F(StartModel, AClassifiersYamlHasOtherBatchNorms) {
  for (const auto& [name, eps, momentum] : {std::tuple{"yolov8n-cls", 1e-5, 0.1}, {"yolov8n", 1e-3, 0.03}}) {
    options_.model = name;
    const model::TrainedModel fresh = start(options_);
    const auto file = folder_ / "fresh.safetensors";
    model::save_checkpoint(file, fresh.model, fresh.weights);
    for (const model::TrainedModel& one : {fresh, model::load_trained(file)})
      for (const Node& node : one.model.graph.nodes)
        if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) {
          EXPECT_EQ(norm->eps, eps);
          EXPECT_EQ(norm->momentum, momentum);
        }
  }
}

TEST_F(StartModel, SaysThatClassesHaveAnotherOrder) {
  for (const std::vector<std::string>& names : {std::vector<std::string>{"b", "a"}, {"a", "b"}}) {
    options_.model = checkpoint("own.safetensors",
                                model::make_model((folder_ / "tiny.yaml").string(), {}, {.names = names}));
    options_.cls_remap = false;
    start(options_);
    EXPECT_EQ(said_.find("another order") != std::string::npos, names.front() == "b") << said_;
    options_.cls_remap = true;
    said_.clear();
    start(options_);
    EXPECT_EQ(said_.find("the outputs of 2 of 2 classes") != std::string::npos, names.front() == "b")
        << said_;
    options_.rules = "8.3";
    said_.clear();
    start(options_);
    EXPECT_EQ(said_.find("another order") != std::string::npos, names.front() == "b") << said_;
    options_.rules = "8.4";
  }
}

// Rows of classes go by name; the others stay as they are drawn, and the branch is as wide as it was.
TEST_F(StartModel, TakesClassesByNameAndTheBranchAsWideAsItWas) {
  const model::Model many = model::make_model("yolov8n", {}, {.names = [] {
                                                std::vector<std::string> names = {" B ", "x"};
                                                for (int i = 2; i < 80; ++i)
                                                  names.push_back("class " + std::to_string(i));
                                                return names;
                                              }()});
  options_.model = checkpoint("many.safetensors", many);
  const Weights stored = randomize(many.graph, 77);
  const model::TrainedModel trained = start(options_);
  EXPECT_NE(said_.find("the outputs of 1 of 2 classes"), std::string::npos) << said_;
  for (const char* name : {"model.22.cv3.0.2.weight", "model.22.cv3.2.2.bias"}) {
    const auto found = trained.weights.at(name).values(), from = stored.at(name).values();
    const size_t row = found.size() / 2;
    EXPECT_TRUE(std::equal(found.begin() + static_cast<std::ptrdiff_t>(row), found.end(), from.begin()))
        << name;
    EXPECT_FALSE(std::equal(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(row),
                            from.begin() + static_cast<std::ptrdiff_t>(row)))
        << name;
  }
  EXPECT_EQ(trained.weights.at("model.22.cv3.0.2.weight").dim(1), 80);
  EXPECT_TRUE(
      same(trained.weights.at("model.22.cv3.0.1.conv.weight"), stored.at("model.22.cv3.0.1.conv.weight")));
  // It is stored with the model.
  const auto file = folder_ / "again.safetensors";
  model::save_checkpoint(file, trained.model, trained.weights);
  EXPECT_EQ(model::load_trained(file).weights.at("model.22.cv3.0.2.weight").dim(1), 80);
  // YOLOv8n for three classes, as the reference has it after fine-tuning.
  const model::Model narrow = model::make_model("yolov8n", {}, {.classes = 3});
  EXPECT_EQ(class_branch_of(narrow.graph, many.graph), 80);
  const model::Model three = model::rebuild_model(narrow, {}, 80);
  int64_t parameters = 0;
  for (const Parameter& parameter : three.graph.parameters)
    if (parameter.counted()) parameters += element_count(parameter.shape);
  EXPECT_EQ(parameters, 3138489);
  options_.rules = "8.3";
  EXPECT_EQ(start(options_).weights.at("model.22.cv3.0.2.weight").dim(1), 64);
}

// Another number of classes, and so a branch of another width, leaves the batch norms' settings as they are.
TEST_F(StartModel, KeepsTheBatchNormsOfACheckpointForOtherClasses) {
  model::Model many = model::make_model("yolov8n", {}, {.classes = 80});
  const std::map<std::string, weights::BatchNormSettings> odd = {
      {"model.0.bn", {.eps = 0.5, .momentum = 0.25}},
      {"model.22.cv3.0.0.bn", {.eps = 0.125, .momentum = 0.5}}};
  model::apply_batch_norms(many.graph, odd);
  const std::string file = checkpoint("odd.safetensors", many);
  for (const bool as_model : {true, false}) {
    options_.model = as_model ? file : "yolov8n";
    options_.pretrained = as_model ? "true" : file;
    const model::Model model = start(options_).model;
    EXPECT_EQ(class_branch_of(many.graph, model.graph), 0) << "as wide as it was";
    int found = 0;
    for (const Node& node : model.graph.nodes)
      if (const auto* norm = std::get_if<BatchNorm>(&node.operation))
        if (const auto one = odd.find(norm->weight.substr(0, norm->weight.rfind('.'))); one != odd.end()) {
          ++found;
          EXPECT_EQ(norm->eps, one->second.eps);
          EXPECT_EQ(norm->momentum, one->second.momentum);
        }
    EXPECT_EQ(found, 2);
  }
}

TEST_F(StartModel, RefusesADeployedModel) {
  const model::Model model = model::make_model("yolov8n", {}, {.classes = 2});
  const passes::GraphWithWeights after = passes::deploy({model.graph, randomize(model.graph, 77)});
  const std::string file = (folder_ / "deployed.safetensors").string();
  model::save_checkpoint(file, model::with_graph(model, after.graph), after.weights);
  for (const bool as_model : {true, false}) {
    options_.model = as_model ? file : "yolov8n";
    options_.pretrained = as_model ? "true" : file;
    try {
      start(options_);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("a deployed model"), std::string::npos) << error.what();
    }
  }
}

TEST_F(StartModel, TakesWhatFitsOfACheckpointForOtherClasses) {
  model::Model six = model::make_model("yolov8n", {}, {.classes = 6});
  options_.model = checkpoint("six.safetensors", six);
  const Weights stored = randomize(six.graph, 77);
  const model::TrainedModel trained = start(options_);
  EXPECT_EQ(trained.model.classes(), 2);
  EXPECT_TRUE(same(trained.weights.at("model.9.cv1.conv.weight"), stored.at("model.9.cv1.conv.weight")));
  EXPECT_NE(said_.find("the outputs of the classes are new: 6 in the file, 2 here"), std::string::npos)
      << said_;
  EXPECT_EQ(said_.find("other shapes"), std::string::npos) << said_;
  options_.pretrained = "false";
  EXPECT_FALSE(
      same(start(options_).weights.at("model.9.cv1.conv.weight"), stored.at("model.9.cv1.conv.weight")));
}

TEST_F(StartModel, TakesABackboneFromAClassifierOfOurs) {
  const model::Model classifier = model::make_model("starnet_s050", {}, {.classes = 5});
  options_.pretrained = checkpoint("classifier.safetensors", classifier);
  options_.model = "yolov8n";
  options_.backbone = "starnet_s050";
  const model::TrainedModel trained = start(options_);
  EXPECT_EQ(trained.model.task, "detect");
  EXPECT_EQ(trained.model.classes(), 2);
  const Weights stored = randomize(classifier.graph, 77);
  EXPECT_NE(said_.find(" tensors of the file: model.0.head.bias"), std::string::npos) << said_;
  // All but the classifier's own head.
  EXPECT_GT(shared(trained.weights, stored, "model.0."), stored.size() * 9 / 10);
  // Its pixels come as they came then.
  EXPECT_NE(std::get<Input>(trained.model.graph.nodes[0].operation).format.mean[0], 0);
}

// The square that it was trained on included.
TEST_F(StartModel, TakesAClassifierOfOursForOtherClasses) {
  model::Model classifier = model::make_model("starnet_s050", {}, {.classes = 5});
  std::get<Input>(classifier.graph.nodes[0].operation).format.crop = 96;
  const Weights stored = randomize(classifier.graph, 77);
  const std::string file = checkpoint("classifier.safetensors", classifier);
  options_.pretrained = file;
  options_.model = "starnet_s050";
  const model::TrainedModel by_name = start(options_);
  options_ = {};
  options_.model = file;
  const model::TrainedModel by_file = start(options_);
  for (const model::TrainedModel* trained : {&by_name, &by_file}) {
    EXPECT_EQ(trained->model.classes(), 2);
    EXPECT_EQ(std::get<Input>(trained->model.graph.nodes[0].operation).format.crop, 96);
    EXPECT_GT(shared(trained->weights, stored), stored.size() - 4);
  }
}

TEST_F(StartModel, TakesAForeignBackboneAndDrawsTheRestFromTheSeed) {
  const model::Model classifier = model::make_model("starnet_s050", {}, {.classes = 1000});
  // A plain file of tensors, without our metadata.
  weights::write_safetensors(folder_ / "plain.safetensors", randomize(classifier.graph, 77), {});
  options_.pretrained = (folder_ / "plain.safetensors").string();
  options_.model = "yolov8n";
  options_.backbone = "starnet_s050";
  const model::TrainedModel first = start(options_);
  EXPECT_GT(shared(first.weights, randomize(classifier.graph, 77), "model.0."), 50u);
  options_.seed = 9;
  const model::TrainedModel second = start(options_);
  size_t differing = 0;
  for (const auto& [name, tensor] : first.weights) differing += !same(tensor, second.weights.at(name));
  EXPECT_GT(differing, 20u);
}

TEST_F(StartModel, RefusesWhatHasNoMeaning) {
  const std::string file =
      checkpoint("tiny.safetensors", model::make_model((folder_ / "tiny.yaml").string()));
  options_.model = file;
  options_.backbone = "starnet_s1";
  EXPECT_THROW(start(options_), Error);
  options_.backbone.clear();
  options_.pretrained = file;
  EXPECT_THROW(start(options_), Error);
  // Nothing in common.
  options_.model = "yolov8n-starnet_s1";
  options_.pretrained = checkpoint("vanilla.safetensors", model::make_model("vanillanet_5"));
  EXPECT_THROW(start(options_), Error);
}

TEST_F(StartModel, FreezesByTheNumberOfTheLine) {
  const model::Model model = model::make_model("yolov8n");
  EXPECT_EQ(frozen_parts(model, {"0", "1", "10", "22"}),
            (std::vector<std::string>{"model.0.", "model.1.", "model.22."}));
  EXPECT_THROW(frozen_parts(model, {"23"}), Error);
  EXPECT_EQ(frozen_parts(model, {"22.cv2", "9"}), (std::vector<std::string>{"model.22.cv2.", "model.9."}));
  EXPECT_THROW(frozen_parts(model, {"22.cv7"}), Error);
  const std::vector<std::string> backbone = frozen_parts(model, {"backbone", "22.cv2"});
  EXPECT_EQ(backbone.size(), 11u);
  EXPECT_EQ(backbone.front(), "model.0.");
  EXPECT_EQ(backbone[9], "model.9.");
  EXPECT_EQ(frozen_parts(model::make_model("yolov8n", "starnet_s050"), {"backbone"}),
            std::vector<std::string>{"model.0."});
  std::vector<std::string> all;
  for (size_t i = 0; i < model.layers.size(); ++i) all.push_back(std::to_string(i));
  EXPECT_THROW(frozen_parts(model, all), Error);
  EXPECT_THROW(frozen_parts(model::make_model("starnet_s050"), {"0"}), Error);
  EXPECT_TRUE(frozen_parts(model::make_model("starnet_s050"), {}).empty());
}

}  // namespace
}  // namespace marrow::train
