// Checkpoints that hold a graph.
#include "marrow/model/deployed.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/graph_json.h"
#include "marrow/model/import.h"
#include "marrow/model/onnx_model.h"
#include "marrow/model/zoo.h"
#include "marrow/onnx/file/proto.h"
#include "marrow/weights/safetensors.h"
#include "support/expect_says.h"
#include "support/graphs.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::model {
namespace {

using nlohmann::json;

TrainedModel deployed(const std::string& name) {
  const Model model = make_model(name, {}, {.names = {"red", "Größe\n2", "\"x\""}});
  passes::GraphWithWeights after = passes::deploy({model.graph, randomize(model.graph, 3)});
  return {with_graph(model, std::move(after.graph)), std::move(after.weights)};
}

// How a fresh model's weights are drawn is not stored: these lie beside the graph.
Graph without_inits(Graph graph) {
  for (Parameter& parameter : graph.parameters) parameter.init = {};
  return graph;
}

TEST(DeployedCheckpoint, ComesBackAsItWas) {
  for (const char* name : {"yolov8n", "yolov8n-cls", "yolov8n-seg", "yolov8n-p6", "yolov8n-efficientnet_b0",
                           "shufflenet_v2_x0_5", "starnet_s050", "pp_lcnet_x0_25", "efficientnet_b0"}) {
    SCOPED_TRACE(name);
    const testing::TemporaryFolder folder;
    const TrainedModel written = deployed(name);
    EXPECT_TRUE(is_deployed(written.model));
    save_checkpoint(folder / "a.safetensors", written.model, written.weights);
    const TrainedModel read = load_trained(folder / "a.safetensors");
    EXPECT_TRUE(is_deployed(read.model));
    testing::expect_same(without_inits(read.model.graph), without_inits(written.model.graph));
    EXPECT_EQ(graph_to_json(read.model.graph), graph_to_json(written.model.graph));
    EXPECT_EQ(read.model.names, written.model.names);
    EXPECT_EQ(read.model.task, written.model.task);
    EXPECT_EQ(read.model.strides, written.model.strides);
    EXPECT_EQ(read.model.largest_stride, written.model.largest_stride);
    EXPECT_EQ(std::get<Input>(read.model.graph.nodes[0].operation).format,
              std::get<Input>(written.model.graph.nodes[0].operation).format);
    ASSERT_EQ(read.weights.size(), written.weights.size());
    for (const auto& [tensor, values] : written.weights)
      EXPECT_TRUE(std::ranges::equal(read.weights.at(tensor).values(), values.values())) << tensor;
    save_checkpoint(folder / "b.safetensors", read.model, read.weights);
    EXPECT_EQ(weights::read_safetensors(folder / "a.safetensors").metadata,
              weights::read_safetensors(folder / "b.safetensors").metadata);
  }
}

TEST(DeployedCheckpoint, HoldsWhatCameFromAnOnnxFile) {
  for (const char* name : {"yolov8n-shufflenet_v2_x0_5", "yolov8n", "yolov8n-cls", "efficientnet_b0"}) {
    for (const bool half : {false, true}) {
      SCOPED_TRACE(name);
      const testing::TemporaryFolder folder;
      const TrainedModel written = deployed(name);
      passes::GraphWithWeights network = {written.model.graph, written.weights};
      network.graph.taps.clear();
      onnx::ExportOptions how = {.height = 64, .width = 64, .half = half};
      how.metadata = onnx_metadata(written.model, "test", how);
      onnx::write_model(folder / "a.onnx", onnx::export_model(network, how));
      const TrainedModel read = load_trained(folder / "a.onnx");
      save_checkpoint(folder / "a.safetensors", read.model, read.weights);
      const TrainedModel stored = load_trained(folder / "a.safetensors");
      EXPECT_EQ(graph_to_json(stored.model.graph), graph_to_json(read.model.graph));
      EXPECT_EQ(stored.model.names, written.model.names);
      EXPECT_EQ(stored.weights.size(), read.weights.size());
    }
  }
}

// Every operation there is, with settings that are not the default.
Graph every_operation() {
  GraphBuilder g;
  Value x = g.input(4);
  const auto scope = g.scope("net");
  x = g.conv(x, "a",
             {.out = 8, .kernel = 3, .stride = 2, .dilation = 2, .groups = 2, .padding = Padding{1, 2}});
  x = g.conv(x, "b", {.out = 8, .kernel = 3, .padding = Padding::tensorflow_same(), .bias = true});
  x = g.batch_norm(g.conv_transpose(x, "c", 6, 4, 2, 1), "d", {.eps = 0.125, .momentum = 0.25});
  for (int kind = 1; kind < kActivationKinds; ++kind)
    x = g.activation(x, Activation{static_cast<ActivationKind>(kind), 0.3, {}});
  x = g.concat({g.slice(x, 1, 4), g.channel_shuffle(x, 3), g.add(x, x)});
  x = g.drop_path(g.dropout(g.upsample(g.max_pool(x, 3, 2, 1), 2), 0.25, true), 0.5);
  x = g.multiply(x, g.global_average_pool(x));
  x = g.scale(g.concat({x, g.slice(x, 0, 2, 3), g.attention(x, {3, 1, g.channels(x) / 3 - 2, 1})}), "gamma",
              1);
  x = g.upsample(g.space_to_depth(g.average_pool(x, 3, 1, 1)), 2);
  const Value map = g.conv(x, "e", {.out = 4 * 5 + 2});
  g.output("boxes", g.detect_decode(std::vector{map}, "dfl", 2, 5));
  g.output("logits", g.linear(g.flatten(g.adaptive_max_pool(x, 1)), "f", 3, {}, {}, false));
  g.tap("map", map);
  return std::move(g).build();
}

TEST(GraphJson, KeepsEveryOperation) {
  const Graph graph = every_operation();
  const json stored = graph_to_json(graph);
  const Graph read = graph_from_json(stored, InputFormat{});
  testing::expect_same(read, graph);
  EXPECT_EQ(graph_to_json(read), stored);
  const Weights weights = randomize(graph, 1);
  const Tensor input = testing::noise({2, 4, 18, 22}, 1);
  for (const char* name : {"boxes", "logits", "map"})
    EXPECT_EQ(relative_difference(reference::run_reference(read, weights, input, name),
                                  reference::run_reference(graph, weights, input, name)),
              0)
        << name;
}

TEST(GraphJson, KeepsQuantisation) {
  Graph graph = every_operation();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (i % 2 == 1) graph.nodes[i].byte_scale = ByteScale{0.1f * static_cast<float>(i), static_cast<int>(i)};
    graph.nodes[i].int8 = i == 2 && std::holds_alternative<Conv>(graph.nodes[i].operation);
  }
  const Graph read = graph_from_json(graph_to_json(graph), InputFormat{});
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    EXPECT_EQ(read.nodes[i].byte_scale, graph.nodes[i].byte_scale) << i;
    EXPECT_EQ(read.nodes[i].int8, graph.nodes[i].int8) << i;
  }
  EXPECT_TRUE(read.nodes[2].int8);
}

TEST(GraphJson, RefusesWhatCouldNotBeReadAgain) {
  const auto refused = [](const std::function<void(Graph&)>& change) {
    GraphBuilder g;
    const Value x = g.input(3);
    g.output("out", g.leaky_relu(g.conv(g.conv(x, "a", {.out = 3}), "b", {.out = 3}), g.scalar("slope", 1)));
    Graph graph = std::move(g).build();
    std::get<Activation>(graph.nodes[3].operation).slope_name.clear();
    graph_to_json(graph);
    change(graph);
    try {
      graph_to_json(graph);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
      return std::string(error.what());
    }
    return std::string();
  };
  const auto says = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  says(refused([](Graph& g) { std::get<Activation>(g.nodes[3].operation).slope_name = "slope"; }),
       "'slope' has a name");
  says(refused([](Graph& g) { std::get<Conv>(g.nodes[2].operation).weight = "a.weight"; }), "is shared");
  says(refused([](Graph& g) { std::get<Conv>(g.nodes[2].operation).weight = "w7"; }),
       "is not named after it");
}

// A checkpoint as the first version of this form was written; its strings must not change with the program.
std::map<std::string, std::string> version_2() {
  return {
      {"marrow", "2"},
      {"form", "deployed"},
      {"names", R"(["cat","dog"])"},
      {"task", "classify"},
      {"stride", "32"},
      {"graph",
       R"({"channels":3,"nodes":[{"bias":true,"dilation":1,"groups":1,"in":[0],"kernel":3,"name":"a","op":"conv","out":4,"padding":[1,1],"stride":2},)"
       R"({"in":[1],"name":"","op":"silu","slope":0.0},{"in":[2],"name":"","op":"global_average_pool"},)"
       R"({"in":[3],"name":"","op":"flatten"},{"bias":true,"in":[4],"name":"fc","op":"linear","out":2}],)"
       R"("outputs":[["logits",5]],"taps":[["c1",2]]})"},
      {"input",
       R"({"crop":224,"interpolation":"bicubic","mean":[0.5,0.25,0.125],"order":"bgr","resize":256,"scale":0.5,"std":[1.0,2.0,3.0]})"}};
}

Weights weights_of_version_2() {
  return {{"a.weight", Tensor({4, 3, 3, 3})},
          {"a.bias", Tensor({4})},
          {"fc.weight", Tensor({2, 4})},
          {"fc.bias", Tensor({2})}};
}

TEST(DeployedCheckpoint, ReadsVersion2) {
  const TrainedModel read = model_of_checkpoint("v2.safetensors", version_2(), weights_of_version_2());
  EXPECT_EQ(read.model.names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(read.model.graph.nodes.size(), 6u);
  EXPECT_EQ(read.model.graph.node(read.model.graph.find("c1")).stride, 2);
  EXPECT_EQ(checkpoint_metadata(read.model), version_2());
}

// A file need not hold them, so that its length is no bound for what is allocated.
TEST(DeployedCheckpoint, RefusesMoreFixedWeightsThanAnOperationHas) {
  const auto fixed = [](int out) {
    auto metadata = version_2();
    metadata["graph"] =
        R"({"channels":3,"nodes":[{"bias":false,"dilation":1,"fixed":0.5,"groups":1,"in":[0],"kernel":100,"name":"a","op":"conv","out":)" +
        std::to_string(out) + R"(,"padding":[0,0],"stride":1}],"outputs":[["logits",1]],"taps":[]})";
    return testing::message_of([&] { model_of_checkpoint("v2.safetensors", metadata, {}); });
  };
  EXPECT_SAYS(fixed(534), "more than 16000000 fixed parameters");
  EXPECT_EQ(fixed(533).find("fixed parameters"), std::string::npos);
}

TEST(DeployedCheckpoint, NamesWhatIsBroken) {
  const auto refused = [](const std::string& key, const std::string& value, const std::string& says) {
    SCOPED_TRACE(key + " = " + value.substr(0, 200));
    auto metadata = version_2();
    metadata[key] = value;
    try {
      model_of_checkpoint("v2.safetensors", metadata, weights_of_version_2());
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("v2.safetensors: "), std::string::npos) << message;
      EXPECT_NE(message.find(says), std::string::npos) << message;
      EXPECT_LT(message.size(), 1000u);
    }
  };
  refused("form", "raw", "'raw', but the model's is 'deployed'");
  refused("task", "dance", "unknown task 'dance'");
  refused("task", "detect", "'output0'");
  refused("names", R"(["cat"])", "1 names for 2 classes");
  refused("stride", "0", "stride is 0");
  refused("stride", "1e9", "stride is 1");
  for (const std::string& value :
       {std::string(), std::string("{"), std::string("[]"), std::string("7"), std::string(100000, '[')})
    refused("graph", value, "metadata 'graph'");

  const json good = json::parse(version_2().at("graph"));
  const auto with = [&](const std::string& pointer, const json& value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    return changed.dump();
  };
  refused("graph", with("/channels", 0), "channels is 0");
  refused("graph", with("/channels", 1e300), "channels is 1e+300");
  refused("graph", with("/channels", "3"), "must be number");
  refused("graph", with("/nodes/0/op", "convv"), "node 1: unknown operation 'convv'");
  refused("graph", with("/nodes/0/bytes", {0, 0}), "a scale of 0");
  refused("graph", with("/nodes/0/bytes", {-0.5, 0}), "a scale of -0.5");
  refused("graph", with("/nodes/0/bytes", {1e300, 0}), "a scale of 1e+300");
  refused("graph", with("/nodes/0/bytes", {0.5, 256}), "bytes is 256");
  refused("graph", with("/nodes/0/bytes", {0.5, 1.5}), "bytes is 1.5");
  refused("graph", with("/nodes/0/bytes", {0.5}), "out of range");
  refused("graph", with("/nodes/0/bytes", 7), "metadata 'graph'");
  refused("graph", with("/nodes/1/int8", true), "only a convolution");
  refused("graph", with("/nodes/0/int8", 1), "must be boolean");
  refused("graph", with("/nodes/0/out", 1 << 30), "node 1: out is 1073741824");
  refused("graph", with("/nodes/0/out", 2.5), "out is 2.5");
  refused("graph", with("/nodes/0/kernel", 0), "kernel is 0");
  refused("graph", with("/nodes/0/stride", 0), "stride is 0");
  refused("graph", with("/nodes/0/groups", 2), "do not divide into 2 groups");
  refused("graph", with("/nodes/0/padding", {-1, 0}), "before is -1");
  refused("graph", with("/nodes/0/padding", {1}), "out of range");
  refused("graph", with("/nodes/0/in", {0, 0}), "2 inputs, wanted 1");
  refused("graph", with("/nodes/0/in", {1}), "in is 1, wanted a whole number from 0 to 0");
  refused("graph", with("/nodes/0/in", {-1}), "in is -1");
  refused("graph", with("/nodes/0/in", json::array()), "0 inputs");
  refused("graph", with("/nodes/0/in", json(std::vector<int>(1000))), "1000 inputs");
  refused("graph", with("/nodes/0/name", std::string(5000, 'x')), "a name of 5000 bytes");
  refused("graph", with("/nodes/0/name", "fc"), "declared twice");
  refused("graph", with("/nodes/1/slope", 1e9), "slope is 1");
  refused("graph", with("/outputs", json::array()), "no output");
  refused("graph", with("/outputs/0/1", 6), "wanted a whole number from 0 to 5");
  refused("graph", with("/outputs/0/0", "boxes"), "'logits'");
  refused("graph", with("/nodes/0/out", 5), "do not fill the model");
  refused("graph", with("/nodes", json(std::vector<json>(10001, good["nodes"][1]))), "10001 nodes");
  // Sixty-four times as many channels a node, and maps that grow.
  const auto grown = [&](const json& node) {
    json changed = good;
    for (int i = 5; i < 40; ++i) {
      changed["nodes"].push_back(node);
      changed["nodes"].back()["in"] = std::vector<int>(node["op"] == "concat" ? 64 : 1, i == 5 ? 2 : i);
    }
    return changed.dump();
  };
  refused("graph", grown({{"op", "concat"}, {"name", ""}}), "channels, at most");
  refused("graph", grown({{"op", "upsample"}, {"name", ""}, {"factor", 4}}), "stride lies between");
}

}  // namespace
}  // namespace marrow::model
