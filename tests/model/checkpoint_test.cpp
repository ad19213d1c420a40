#include "marrow/model/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/import.h"
#include "marrow/model/spec.h"
#include "marrow/model/zoo.h"
#include "marrow/weights/safetensors.h"
#include "support/graphs.h"
#include "support/temporary_folder.h"

namespace marrow::model {
namespace {

using nlohmann::json;
using Metadata = std::map<std::string, std::string>;

InputFormat& format_of(Model& model) {
  return std::get<Input>(model.graph.nodes.at(0).operation).format;
}

void expect_equal_batch_norms(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const auto* one = std::get_if<BatchNorm>(&a.nodes[i].operation);
    const auto* other = std::get_if<BatchNorm>(&b.nodes[i].operation);
    ASSERT_EQ(one == nullptr, other == nullptr);
    if (one == nullptr) continue;
    EXPECT_EQ(one->eps, other->eps) << a.nodes[i].name;
    EXPECT_EQ(one->momentum, other->momentum) << a.nodes[i].name;
  }
}

void expect_equal_weights(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    const Tensor& other = b.at(name);
    ASSERT_EQ(tensor.shape(), other.shape()) << name;
    ASSERT_EQ(tensor.dtype(), other.dtype()) << name;
    ASSERT_EQ(std::memcmp(tensor.bytes(), other.bytes(), tensor.byte_size()), 0) << name;
  }
}

TrainedModel written_and_read(const std::filesystem::path& path, const Model& model, const Weights& weights) {
  save_checkpoint(path, model, weights);
  return load_trained(path);
}

void expect_round_trip(Model model) {
  const testing::TemporaryFolder folder;
  const Weights weights = randomize(model.graph, 7);
  const TrainedModel read = written_and_read(folder / "a.safetensors", model, weights);
  testing::expect_same(read.model.graph, model.graph);
  EXPECT_EQ(read.model.names, model.names);
  EXPECT_EQ(read.model.task, model.task);
  EXPECT_EQ(read.model.scale, model.scale);
  EXPECT_EQ(read.model.strides, model.strides);
  EXPECT_EQ(read.model.largest_stride, model.largest_stride);
  EXPECT_EQ(std::get<Input>(read.model.graph.nodes.at(0).operation).format, format_of(model));
  expect_equal_batch_norms(read.model.graph, model.graph);
  expect_equal_weights(read.weights, weights);
  // What was read writes the same bytes again.
  save_checkpoint(folder / "b.safetensors", read.model, read.weights);
  const auto first = weights::read_safetensors(folder / "a.safetensors"),
             second = weights::read_safetensors(folder / "b.safetensors");
  EXPECT_EQ(first.metadata, second.metadata);
  expect_equal_weights(first.tensors, second.tensors);
}

TEST(Checkpoint, KeepsADetector) {
  BuildOptions options;
  options.names = {"red box", "\"quoted\": {yes}", "Größe\n2", "no"};
  expect_round_trip(make_model("yolov8n", {}, options));
}

TEST(Checkpoint, KeepsEveryTask) {
  for (const char* name : {"yolov8n-cls", "yolov8n-seg", "yolov8n-pose", "yolov8n-obb", "yolov8n-p6"}) {
    SCOPED_TRACE(name);
    expect_round_trip(make_model(name));
  }
}

TEST(Checkpoint, KeepsABackboneInOneLineWithItsSettings) {
  ModelSpec spec = find_model_spec("yolov8n", "efficientnet_b0");
  spec.backbone.front().args = json::array({{{"source", "lukemelas"}, {"depth", 0.5}}});
  expect_round_trip(build_model(spec, {.classes = 3}));
}

TEST(Checkpoint, KeepsAClassifierByName) {
  expect_round_trip(make_model("starnet_s050", {}, {.classes = 10}));
  expect_round_trip(make_model("pp_lcnet_x0_25"));
  expect_round_trip(
      build_model(parse_model_spec("classifier: vanillanet\nsettings: {dims: [16, 32, 64, 128], strides: [2, "
                                   "2, 2], deploy: true}\nnc: 5\n",
                                   "tiny.yaml")));
}

TEST(Checkpoint, KeepsEpsMomentumAndInputFormatOfAnImport) {
  Model model = make_model("yolov8n", {}, {.classes = 2});
  std::map<std::string, weights::BatchNormSettings> odd;
  odd["model.0.bn"] = {0.1 + 0.2, 0.3};  // no short decimal fraction
  odd["model.4.m.0.cv2.bn"] = {1e-12, 1};
  ASSERT_EQ(apply_batch_norms(model.graph, odd), 2u);
  format_of(model) = {
      ChannelOrder::kBgr, 1 / 3.0, {0.1, -2, 3e5}, {1e-3, 2, 7}, 300, 200, Interpolation::kOpenCvBilinear};
  expect_round_trip(std::move(model));
}

TEST(Checkpoint, KeepsTheTilesOfTheTraining) {
  const testing::TemporaryFolder folder;
  Model model = make_model("yolov8n", {}, {.classes = 2});
  const Weights weights = randomize(model.graph, 7);
  EXPECT_FALSE(checkpoint_metadata(model).contains("tiles"));
  EXPECT_EQ(written_and_read(folder / "whole.safetensors", model, weights).model.tiles, TileOptions());
  model.tiles = {512, 0.1 + 0.2};
  EXPECT_EQ(written_and_read(folder / "tiles.safetensors", model, weights).model.tiles, model.tiles);
}

TEST(Checkpoint, KeepsHowImagesAreRead) {
  Model model = make_model("yolov8n", {}, {.classes = 2, .channels = 5});
  set_range(format_of(model), {12, 4095});
  EXPECT_EQ(parse_input_format(input_format_text(format_of(model))), format_of(model));
  expect_round_trip(std::move(model));
  expect_round_trip(make_model("starnet_s050", {}, {.classes = 10, .channels = 1}));
  const std::string text = input_format_text(InputFormat());
  EXPECT_EQ(text.find("bits"), std::string::npos);  // as ever
  const std::string rest = text.substr(0, text.size() - 1);
  EXPECT_THROW(parse_input_format(rest + R"(,"bits":12,"range":[0,9]})"), Error);
  EXPECT_THROW(parse_input_format(rest + R"(,"bits":16,"range":[9,9]})"), Error);
  EXPECT_THROW(parse_input_format(rest + R"(,"bits":16,"range":[0,65536]})"), Error);
  EXPECT_THROW(parse_input_format(rest + R"(,"bits":16})"), Error);
}

TEST(Checkpoint, SaysWhatOtherProgramsNeed) {
  const testing::TemporaryFolder folder;
  const Model model = make_model("yolov8n-p6", {}, {.names = {"a", "b"}});
  save_checkpoint(folder / "m.safetensors", model, initialize(model.graph, 0));
  const Metadata metadata = weights::read_safetensors(folder / "m.safetensors").metadata;
  EXPECT_EQ(metadata.at("marrow"), "1");
  EXPECT_EQ(metadata.at("stride"), "64");
  EXPECT_EQ(metadata.at("task"), "detect");
  EXPECT_EQ(metadata.at("names"), R"(["a","b"])");
  EXPECT_EQ(metadata.at("batch_norm"), "{}");
}

// A file as the first release wrote it; its strings must not change with the program.
TEST(Checkpoint, ReadsVersion1) {
  const Metadata metadata = {
      {"marrow", "1"},
      {"model",
       "nc: 2\nbackbone:\n  - [-1, 1, \"Conv\", [8,3,2]]\nhead:\n  - [-1, 1, \"Classify\", [\"nc\",1,1]]\n"},
      {"names", R"(["cat","dog"])"},
      {"task", "classify"},
      {"stride", "32"},
      {"batch_norm", R"({"model.0.bn":[0.25,0.5]})"},
      {"input",
       R"({"crop":224,"interpolation":"bicubic","mean":[0.5,0.25,0.125],"order":"bgr","resize":256,"scale":0.5,"std":[1.0,2.0,3.0]})"}};
  Weights weights = {{"model.0.conv.weight", Tensor({8, 3, 3, 3})},
                     {"model.1.conv.conv.weight", Tensor({1280, 8, 1, 1})},
                     {"model.1.linear.weight", Tensor({2, 1280})},
                     {"model.1.linear.bias", Tensor({2})}};
  for (const auto& [path, channels] : {std::pair("model.0.bn", 8), std::pair("model.1.conv.bn", 1280)})
    for (const char* leaf : {".weight", ".bias", ".running_mean", ".running_var"})
      weights[std::string(path) + leaf] = Tensor({channels});
  weights["model.1.linear.bias"].values()[1] = 5;

  const testing::TemporaryFolder folder;
  weights::write_safetensors(folder / "v1.safetensors", weights, metadata);
  const TrainedModel read = load_trained(folder / "v1.safetensors");
  EXPECT_EQ(read.model.names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(read.model.task, "classify");
  EXPECT_EQ(std::get<Input>(read.model.graph.nodes.at(0).operation).format,
            (InputFormat{
                ChannelOrder::kBgr, 0.5, {0.5, 0.25, 0.125}, {1, 2, 3}, 256, 224, Interpolation::kBicubic}));
  EXPECT_EQ(read.weights.at("model.1.linear.bias").values()[1], 5);
  std::map<std::string, double> eps;
  for (const Node& node : read.model.graph.nodes)
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) eps[norm->weight] = norm->eps;
  EXPECT_EQ(eps.at("model.0.bn.weight"), 0.25);
}

// A file that is right but for what `spoil` does to it; returns the message.
std::string message_after(const std::function<void(Metadata&, Weights&)>& spoil,
                          ErrorKind kind = ErrorKind::kFormat) {
  static const Model model = make_model("yolov8n", {}, {.classes = 2});
  const testing::TemporaryFolder folder;
  const auto path = folder / "spoilt.safetensors";
  save_checkpoint(path, model, initialize(model.graph, 0));
  weights::SafetensorsFile file = weights::read_safetensors(path);
  spoil(file.metadata, file.tensors);
  try {
    model_of_checkpoint(path, file.metadata, file.tensors);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string(error.what()).find("spoilt.safetensors"), std::string::npos) << error.what();
    return error.what();
  }
  return "nothing was thrown";
}

void expect_says(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Checkpoint, NamesAMissingKey) {
  for (const std::string key : {"marrow", "model", "task", "names", "stride", "input", "batch_norm"})
    expect_says(message_after([&](Metadata& m, Weights&) { m.erase(key); }),
                "the metadata have no '" + key + "'");
}

TEST(Checkpoint, NamesABrokenKey) {
  const std::string deep(100000, '[');
  for (const std::string key : {"model", "task", "names", "stride", "input", "batch_norm"})
    for (const std::string& value :
         {std::string(), std::string("{"), std::string("\0\xff", 2), std::string("[1"), deep})
      expect_says(message_after([&](Metadata& m, Weights&) { m[key] = value; }), "metadata '" + key + "'");
}

// Well-formed JSON with a wrong type or an absurd value.
TEST(Checkpoint, NamesAHostileValue) {
  const auto expect_refused = [](const std::string& key, const std::string& value, const std::string& says) {
    SCOPED_TRACE(key + " = " + value.substr(0, 60));
    const std::string message = message_after([&](Metadata& m, Weights&) { m[key] = value; });
    expect_says(message, "metadata '" + key + "'");
    expect_says(message, says);
    EXPECT_LT(message.size(), 1000u);
  };
  expect_refused("names", "7", "must be array");
  expect_refused("names", "[]", "0 names");
  expect_refused("names", "[1, 2]", "must be string");
  expect_refused("names", json(std::vector<std::string>(100000)).dump(), "100000 names");
  expect_refused("task", "classify", "'classify', but the model's is 'detect'");
  expect_refused("stride", "64", "'64', but the model's is '32'");
  expect_refused("batch_norm", R"({"model.0.bn": [0, 0.1]})", "eps 0");
  expect_refused("batch_norm", R"({"model.0.bn": [1e-3, 2]})", "momentum 2");
  expect_refused("batch_norm", R"({"model.0.bn": [1e-3]})", "out of range");
  expect_refused("batch_norm", R"({"model.0.bn": "x"})", "");
  expect_refused("batch_norm", R"({"model.99.bn": [1e-3, 0.03]})",
                 "1 of its 1 batch norms are not in the model");

  const auto input_with = [](const char* key, const json& value) {
    json input = {{"order", "rgb"}, {"scale", 1}, {"mean", {0, 0, 0}},          {"std", {1, 1, 1}},
                  {"resize", 0},    {"crop", 0},  {"interpolation", "bilinear"}};
    input[key] = value;
    return input.dump();
  };
  expect_refused("input", input_with("order", "grb"), "order is 'grb'");
  expect_refused("input", input_with("order", 3), "must be string");
  expect_refused("input", input_with("scale", 0), "scale is 0");
  expect_refused("input", input_with("scale", "1"), "must be number");
  expect_refused("input", input_with("std", {1, 0, 1}), "std is 0");
  expect_refused("input", input_with("mean", {1, 2}), "out of range");
  expect_refused("input", input_with("mean", {1e300, 0, 0}), "mean is 1e+300");
  expect_refused("input", input_with("crop", 1'000'000'000'000), "crop is");
  expect_refused("input", input_with("resize", -1), "resize is -1");
  expect_refused("input", input_with("interpolation", "bilinar"), "Did you mean 'bilinear'?");
  expect_refused("input", "{}", "key 'order' not found");
  expect_refused("tiles", R"({"side": 0, "overlap": 0.2})", "side is 0");
  expect_refused("tiles", R"({"side": 640, "overlap": 1})", "overlap is 1");
  expect_refused("tiles", R"({"side": 640})", "key 'overlap' not found");
}

TEST(Checkpoint, RefusesAHostileModel) {
  const auto refused = [](const std::string& yaml) {
    return message_after([&](Metadata& m, Weights&) { m["model"] = yaml; }, ErrorKind::kModel);
  };
  expect_says(refused("nc: 2\nbackbone: [[-1, 1, Convv, [8]]]\nhead: [[[-1], 1, Detect, [nc]]]\n"),
              "'Convv'");
  expect_says(refused("nc: 2\nclassifier: starnet_s9\n"), "starnet_s9");
  expect_says(refused("nc: 2\nbackbone: [[-1, 1, Conv, [100000000]]]\nhead: [[[-1], 1, Detect, [nc]]]\n"),
              "100000000");
}

// Marrow 0.1 had its own units under names that mean something else now; so has what it wrote.
TEST(Checkpoint, ReadsWhatMarrow01MeantByAName) {
  const std::string present =
      "nc: 2\nbackbone:\n  - [-1, 1, VanillaNetStem, [8]]\n  - [-1, 1, VanillaNetBlock, [16, 2, 1]]\n"
      "head:\n  - [[-1], 1, Detect, [nc]]\n";
  std::string former = present;
  for (const char* name : {"VanillaNetStem", "VanillaNetBlock"})
    former.replace(former.find(name), std::strlen(name),
                   name == std::string("VanillaNetStem") ? "VanillaStem" : "VanillaBlock");
  const testing::TemporaryFolder folder;
  const Model model = build_model(parse_model_spec(present, "m.yaml"));
  const Weights weights = randomize(model.graph, 3);
  std::map<std::string, std::string> metadata = checkpoint_metadata(model);
  EXPECT_EQ(metadata.at("marrow"), "1");
  metadata["model"] = former;
  weights::write_safetensors(folder / "old.safetensors", weights, metadata);
  const TrainedModel read = load_trained(folder / "old.safetensors");
  testing::expect_same(read.model.graph, model.graph);
  EXPECT_TRUE(read.model.warnings.empty());
  // Written again, it has the present names.
  save_checkpoint(folder / "new.safetensors", read.model, read.weights);
  testing::expect_same(load_trained(folder / "new.safetensors").model.graph, model.graph);

  // A fork's network under such a name is of a version that 0.1 refuses.
  const Model fork = build_model(parse_model_spec(
      "nc: 2\nbackbone:\n  - [-1, 1, Conv, [8, 3, 2]]\n  - [-1, 1, VanillaBlock, [16, 2, 1]]\n"
      "head:\n  - [[-1], 1, Detect, [nc]]\n",
      "m.yaml"));
  EXPECT_EQ(checkpoint_metadata(fork).at("marrow"), "3");
  expect_round_trip(fork);
}

TEST(Checkpoint, RefusesAnotherVersion) {
  const auto refused = [](const std::string& version) {
    return message_after([&](Metadata& m, Weights&) { m["marrow"] = version; }, ErrorKind::kUnsupported);
  };
  expect_says(refused("4"), "checkpoint version '4'; this program reads versions 1, 2 and 3");
  expect_says(refused(""), "checkpoint version ''");
  expect_says(refused(std::string(5000, '9')), "99999...'; this program reads");
}

TEST(Checkpoint, RefusesTensorsThatDoNotFill) {
  expect_says(
      message_after([](Metadata&, Weights& w) { w.erase("model.3.bn.running_var"); }, ErrorKind::kModel),
      "model.3.bn.running_var");
  expect_says(
      message_after([](Metadata&, Weights& w) { w["model.3.bn.bias"] = Tensor({5}); }, ErrorKind::kModel),
      "model.3.bn.bias is (5); the model wants (64)");
  expect_says(message_after([](Metadata&, Weights& w) { w.clear(); }, ErrorKind::kModel),
              "do not fill the model");
}

TEST(Checkpoint, TakesFilesWithoutCounters) {
  const testing::TemporaryFolder folder;
  const Model model = make_model("yolov8n", {}, {.classes = 2});
  Weights weights = initialize(model.graph, 0);
  std::erase_if(weights, [](const auto& entry) { return entry.first.ends_with("num_batches_tracked"); });
  const TrainedModel read = written_and_read(folder / "m.safetensors", model, weights);
  EXPECT_EQ(read.weights.size(), model.graph.parameters.size());
}

TEST(Checkpoint, WritesNothingWithoutAllWeights) {
  const testing::TemporaryFolder folder;
  const Model model = make_model("yolov8n", {}, {.classes = 2});
  Weights weights = initialize(model.graph, 0);
  weights.erase("model.0.conv.weight");
  EXPECT_THROW(save_checkpoint(folder / "m.safetensors", model, weights), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace marrow::model
