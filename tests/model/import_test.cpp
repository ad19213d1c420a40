#include "marrow/model/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/graph/passes/fold_batch_norm.h"
#include "marrow/model/zoo.h"
#include "marrow/weights/safetensors.h"
#include "nn/backbones/published_file.h"
#include "support/expect_says.h"
#include "support/graphs.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::model {
namespace {

namespace fs = std::filesystem;

// Different numbers in every tensor, so that one in a wrong place shows.
Weights numbered(Weights weights) {
  float next = 1;
  for (auto& [name, tensor] : weights) {
    Tensor filled(tensor.shape());
    for (float& value : filled.values()) value = next += 0.125f;
    tensor = filled;
  }
  return weights;
}

class ImportFile : public ::testing::Test {
 protected:
  fs::path write(const Weights& weights) const {
    const fs::path path = folder_ / "file.safetensors";
    weights::write_safetensors(path, weights, {});
    return path;
  }
  std::string message_of(const Weights& weights, const ImportOptions& options = {}) const {
    const std::string message = testing::message_of([&] { import_checkpoint(write(weights), options); });
    EXPECT_SAYS(message, "file.safetensors");
    return message;
  }

  const testing::TemporaryFolder folder_;
};

const InputFormat& format_of(const Model& model) {
  return std::get<Input>(model.graph.nodes.at(0).operation).format;
}

const BatchNorm& first_batch_norm(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) return *norm;
  throw std::logic_error("no batch norm");
}

// ---- classifiers ----

TEST_F(ImportFile, RecognisesEveryFamilyByItsKeys) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"starnet_s050", "rewrite-the-stars"},
                                                                  {"shufflenet_v2_x0_5", "torchvision"},
                                                                  {"pp_lcnet_x0_25", "paddle"},
                                                                  {"vanillanet_5", "vanillanet"}};
  for (const auto& [name, source] : cases) {
    SCOPED_TRACE(name);
    const Import import = import_checkpoint(write(testing::published_file(name)));
    EXPECT_EQ(import.network, name + " (" + source + ")");
    EXPECT_EQ(import.kind, "safetensors");
    EXPECT_EQ(import.trained.model.classes(), 10);
    EXPECT_TRUE(import.report.complete()) << to_string(import.report);
    EXPECT_EQ(import.backbone_share, 1);
  }
}

TEST_F(ImportFile, ReadsADeployedVanillaNet) {
  const Import import = import_checkpoint(write(testing::published_file("vanillanet_6", {{"deploy", true}})));
  EXPECT_EQ(import.network, "vanillanet_6 (vanillanet)");
  EXPECT_TRUE(import.report.complete()) << to_string(import.report);
  EXPECT_EQ(import.trained.model.graph.find_parameter("act_learn"), nullptr);
}

TEST_F(ImportFile, ListsTheCandidatesOfAnEfficientNetAndTakesTheOptions) {
  const Weights file = testing::published_file("efficientnet_b0", {{"source", "timm"}});
  const std::string message = message_of(file);
  EXPECT_SAYS(message, "efficientnet_b0 (timm)");
  EXPECT_SAYS(message, "tf_efficientnet_b0 (tf)");
  EXPECT_SAYS(message, "--model NAME and --source NAME");

  // Of TensorFlow: eps 1e-3, and SAME padding that follows the size.
  for (const ImportOptions& options :
       {ImportOptions{.model = "tf_efficientnet_b0"}, ImportOptions{.source = "tf"}}) {
    const Import tf = import_checkpoint(write(file), options);
    EXPECT_TRUE(tf.network.ends_with("efficientnet_b0 (tf)")) << tf.network;
    EXPECT_EQ(first_batch_norm(tf.trained.model.graph).eps, 1e-3);
    EXPECT_FALSE(tf.trained.model.graph == make_model("efficientnet_b0", {}, {.classes = 10}).graph);
  }
  const Import timm = import_checkpoint(write(file), {.source = "timm"});
  EXPECT_EQ(timm.network, "efficientnet_b0 (timm)");
  EXPECT_EQ(first_batch_norm(timm.trained.model.graph).eps, 1e-5);
}

// The two differ in strides alone, which no tensor shows.
TEST(RecogniseVanillaNet, LeavesTheWideOnesToTheUser) {
  const Weights file = testing::published_file("vanillanet_13_x1_5", {{"deploy", true}});
  std::vector<std::string> names;
  for (const nn::ImportCandidate& candidate : nn::recognise(file)) names.push_back(candidate.choice.name);
  EXPECT_EQ(names, (std::vector<std::string>{"vanillanet_13_x1_5", "vanillanet_13_x1_5_ada_pool"}));
  EXPECT_EQ(nn::recognise(file, "vanillanet_13_x1_5").size(), 1u);
}

TEST_F(ImportFile, GivesAFileWithoutHeadAFreshOne) {
  Weights file = testing::published_file("starnet_s050");
  std::erase_if(file, [](const auto& entry) { return entry.first.starts_with("head."); });
  const Import import = import_checkpoint(write(file));
  EXPECT_EQ(import.backbone_share, 1);
  EXPECT_EQ(import.report.missing, (std::vector<std::string>{"head.weight", "head.bias"}));
  EXPECT_EQ(import.trained.model.classes(), 1000);
  EXPECT_NO_THROW(verify(import.trained.model.graph, import.trained.weights));
  EXPECT_THROW(load_trained(folder_ / "file.safetensors"), Error);
}

TEST_F(ImportFile, ReadsAConfigurationOfOnesOwn) {
  const fs::path yaml = folder_ / "tiny.yaml";
  std::ofstream(yaml)
      << "classifier: vanillanet\nsettings: {dims: [16, 32, 64, 128], strides: [2, 2, 2]}\nnc: 3\n";
  const Weights file =
      testing::published_file("vanillanet", {{"dims", {16, 32, 64, 128}}, {"strides", {2, 2, 2}}});
  const std::string message = message_of(file);
  EXPECT_SAYS(message, "'vanillanet_5' (vanillanet)");
  EXPECT_SAYS(message, "'classifier: vanillanet'");
  const Import import = import_checkpoint(write(file), {.model = yaml.string()});
  EXPECT_TRUE(import.report.complete()) << to_string(import.report);
  EXPECT_EQ(import.trained.model.classes(), 10);
}

TEST_F(ImportFile, RefusesAnIncompleteBackboneUnlessAskedTo) {
  Weights file = testing::published_file("starnet_s050");
  ASSERT_EQ(file.erase("stages.1.0.bn.weight"), 1u);
  ASSERT_EQ(file.erase("stages.2.1.f1.conv.weight"), 1u);
  EXPECT_SAYS(message_of(file), "first: tensor 'stages.");
  const Import import = import_checkpoint(write(file), {.partial = true});
  EXPECT_EQ(import.network, "starnet_s050 (rewrite-the-stars)");
  EXPECT_LT(import.backbone_share, 1);
  EXPECT_GT(import.backbone_share, 0.9);
  EXPECT_EQ(import.trained.model.classes(), 10);
  EXPECT_NO_THROW(verify(import.trained.model.graph, import.trained.weights));
}

TEST_F(ImportFile, SaysWhatItCannotPlace) {
  EXPECT_SAYS(message_of({{"somebody.elses.weight", Tensor({2})}}),
              "its 1 tensors ('somebody.elses.weight', ...)");
  EXPECT_SAYS(message_of(testing::published_file("starnet_s050"), {.model = "vanillanet_5"}),
              "not named like a published 'vanillanet_5'");
  EXPECT_SAYS(message_of(testing::published_file("starnet_s050"), {.source = "torchvison"}),
              "Did you mean 'torchvision'?");
  EXPECT_SAYS(message_of(testing::published_file("starnet_s050"), {.model = "yolov8n"}),
              "a model with that backbone");
  EXPECT_SAYS(message_of(testing::published_file("starnet_s050"), {.model = "yolov8n-vanillanet_5"}),
              "not named like a published 'vanillanet_5'");
  EXPECT_THROW(import_checkpoint(write({}), {.model = "starnet_s5"}), Error);
  EXPECT_THROW(import_checkpoint(folder_ / "none.pt"), Error);
}

// ---- a backbone's file into a detector ----

TEST_F(ImportFile, FillsADetectorsBackbone) {
  const Weights file = numbered(testing::published_file("starnet_s050"));
  const Import import = import_checkpoint(write(file), {.model = "yolov8n-starnet_s050"});
  EXPECT_EQ(import.backbone_share, 1);
  EXPECT_FALSE(import.report.complete());
  EXPECT_EQ(import.trained.model.task, "detect");
  EXPECT_TRUE(std::ranges::equal(import.trained.weights.at("model.0.stem.0.conv.weight").values(),
                                 file.at("stem.0.conv.weight").values()));
  for (const std::string& name : import.report.unused)
    EXPECT_TRUE(name.starts_with("model.0.norm") || name.starts_with("model.0.head")) << name;
  // The normalisation of the published weights; no crop, for a detector.
  EXPECT_NEAR(format_of(import.trained.model).mean[0], 0.485, 1e-9);
  EXPECT_EQ(format_of(import.trained.model).crop, 0);
  EXPECT_NO_THROW(verify(import.trained.model.graph, import.trained.weights));
}

TEST_F(ImportFile, AdaptsADetectorToTheSourceOfItsWeights) {
  const Weights file = testing::published_file("efficientnet_b0", {{"source", "lukemelas"}});
  const Import import = import_checkpoint(write(file), {.model = "yolov8n-efficientnet_b0"});
  EXPECT_EQ(import.backbone_share, 1);
  EXPECT_EQ(first_batch_norm(import.trained.model.graph).eps, 1e-3);
  const auto is_same_padded = [](const Node& node) {
    const auto* conv = std::get_if<Conv>(&node.operation);
    return conv != nullptr && conv->padding.same;
  };
  EXPECT_TRUE(std::ranges::any_of(import.trained.model.graph.nodes, is_same_padded));
  EXPECT_FALSE(std::ranges::any_of(make_model("yolov8n-efficientnet_b0").graph.nodes, is_same_padded));

  // And its checkpoint stays so.
  save_checkpoint(folder_ / "ours.safetensors", import.trained.model, import.trained.weights);
  const TrainedModel read = load_trained(folder_ / "ours.safetensors");
  testing::expect_same(read.model.graph, import.trained.model.graph);
  EXPECT_EQ(format_of(read.model), format_of(import.trained.model));
}

TEST_F(ImportFile, FillsADetectorWithADeployedVanillaNet) {
  const Weights file = testing::published_file("vanillanet_5", {{"deploy", true}});
  const Import import = import_checkpoint(write(file), {.model = "yolov8n-vanillanet_5"});
  EXPECT_EQ(import.backbone_share, 1);
  EXPECT_EQ(import.trained.model.graph.find_parameter("model.0.act_learn"), nullptr);
  EXPECT_TRUE(import.trained.weights.contains("model.0.stem.1.weight"));
}

// A width that the YAML states is not overruled by the file.
TEST_F(ImportFile, KeepsTheWidthOfTheYaml) {
  const fs::path yaml = folder_ / "wide.yaml";
  std::ofstream(yaml) << "nc: 2\nbackbone: [[-1, 1, pp_lcnet, [0.5]], [-1, 1, SPPF, [64, 5]]]\n"
                         "head: [[[2, 3, 5], 1, Detect, [nc]]]\n";
  const Import fits =
      import_checkpoint(write(testing::published_file("pp_lcnet_x0_5")), {.model = yaml.string()});
  EXPECT_EQ(fits.backbone_share, 1);
  EXPECT_SAYS(message_of(testing::published_file("pp_lcnet_x0_25"), {.model = yaml.string()}),
              "but it differs in");
}

// ---- YOLO state dicts without a description ----

Weights state_of(const std::string& name, int classes, uint64_t seed = 1) {
  return randomize(make_model(name, {}, {.classes = classes}).graph, seed);
}

TEST_F(ImportFile, SaysWhatMayBeMeantByAFileThatIsNotThere) {
  std::ofstream(folder_ / "last.safetensors") << "x";
  const auto refusal = [&](const char* name) {
    return testing::message_of([&] { import_checkpoint(folder_ / name); }, ErrorKind::kFile);
  };
  EXPECT_SAYS(refusal("last.pt"),
              "last.pt: there is no such file; " + (folder_ / "last.safetensors").string());
  EXPECT_SAYS(refusal("yolov8x.pt"), "nothing is downloaded. Without weights the network is called yolov8x");
  EXPECT_SAYS(refusal("yolo8n.pt"), "Did you mean 'yolov8n.pt'?");
  EXPECT_EQ(refusal("zebra.pt"), (folder_ / "zebra.pt").string() + ": there is no such file");
}

TEST_F(ImportFile, FindsTheModelOfABareStateDict) {
  for (const std::string name : {"yolov8n", "yolov8s", "yolov8n-seg", "yolov8n-p2", "yolov8n-ghost",
                                 "yolov8n-cls", "yolov8n-starnet", "yolo11n-seg"}) {
    SCOPED_TRACE(name);
    const Weights state = state_of(name, 7);
    const Import import = import_checkpoint(write(state));
    EXPECT_EQ(import.network, name);
    EXPECT_EQ(import.trained.model.classes(), 7);
    EXPECT_TRUE(import.report.complete() && import.report.unused.empty()) << to_string(import.report);
    EXPECT_EQ(import.backbone_share, 1);
  }
}

// As a fine-tune of a model with many classes leaves it.
TEST_F(ImportFile, FindsTheModelWhoseClassBranchIsWide) {
  for (const std::string name : {"yolov8n", "yolo11n", "yolo12n"}) {
    SCOPED_TRACE(name);
    const Model wide = rebuild_model(make_model(name, {}, {.classes = 3}), {.classes = 3}, 80);
    const Import import = import_checkpoint(write(randomize(wide.graph, 1)));
    EXPECT_EQ(import.network, name);
    EXPECT_TRUE(import.report.complete() && import.report.unused.empty()) << to_string(import.report);
    testing::expect_same(import.trained.model.graph, wide.graph);
  }
}

TEST_F(ImportFile, ReadsAFusedStateDict) {
  const Graph graph = make_model("yolov8n", {}, {.classes = 3}).graph;
  const Import import =
      import_checkpoint(write(passes::fold_batch_norm({graph, randomize(graph, 1)}).weights));
  EXPECT_EQ(import.network, "yolov8n");
  EXPECT_TRUE(import.report.complete() && import.report.unused.empty()) << to_string(import.report);
}

TEST_F(ImportFile, ReportsWhatABareStateDictLacks) {
  Weights state = state_of("yolov8n", 7);
  state.erase("model.2.cv1.conv.weight");
  EXPECT_SAYS(message_of(state), "name its YAML with --model");
  const Import import = import_checkpoint(write(state), {.model = "yolov8n"});
  EXPECT_EQ(import.report.missing, std::vector<std::string>{"model.2.cv1.conv.weight"});
  EXPECT_LT(import.backbone_share, 1);
  try {
    load_trained(folder_ / "file.safetensors", {.model = "yolov8n"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_SAYS(std::string(error.what()), "model.2.cv1.conv.weight");
  }
}

TEST_F(ImportFile, DropsThePrefixOfDataParallel) {
  Weights state;
  for (const auto& [name, tensor] : state_of("yolov8n", 2)) state["module." + name] = tensor;
  EXPECT_EQ(import_checkpoint(write(state)).network, "yolov8n");
}

TEST_F(ImportFile, ReportsWhatItDoesNotUse) {
  Weights state = state_of("yolov8n", 2);
  state["optimizer.step"] = Tensor::scalar(3);
  const Import import = import_checkpoint(write(state));
  EXPECT_EQ(import.report.unused, std::vector<std::string>{"optimizer.step"});
}

// A number of classes no head can have must not be believed.
TEST_F(ImportFile, BoundsTheNumberOfClasses) {
  Weights state = state_of("yolov8n", 2);
  state["model.22.cv3.0.2.bias"] = Tensor({3'000'000});
  EXPECT_SAYS(message_of(state), "'model.22.cv3.0.2.bias' is (3000000): 3000000 classes");
}

}  // namespace
}  // namespace marrow::model
