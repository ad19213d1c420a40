// What is written is read back as the same network.
#include "marrow/model/zoo.h"
#include "marrow/onnx/file/half.h"
#include "onnx/support.h"
#include "support/op_cases.h"

namespace marrow::onnx {
namespace {

using testing::noise;

std::vector<std::string> models() {
  std::vector<std::string> names = {"yolov8n", "yolov8n-cls", "yolov8n-p2", "yolov8n-p6"};
  for (const char* backbone : {"starnet_s1", "shufflenet_v2_x0_5", "pp_lcnet_x0_25", "efficientnet_b0"}) {
    names.emplace_back(backbone);
    names.push_back(std::string("yolov8n-") + backbone);
  }
  return names;
}

class RoundTrip : public ::testing::TestWithParam<std::string> {
 protected:
  static model::Model model() { return model::make_model(GetParam(), {}, {.classes = 3}); }
};

INSTANTIATE_TEST_SUITE_P(Models, RoundTrip, ::testing::ValuesIn(models()), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// The same operations with the same numbers give the same bits, so nothing has to be run.
void expect_same_network(const passes::GraphWithWeights& source, const ImportedNetwork& read) {
  const auto listing = [](const Graph& graph) {
    std::string text;
    for (const Node& node : graph.nodes) {
      text += operation_name(node.operation);
      for (const Value input : node.inputs) text += " " + std::to_string(input.id);
      text += " -> " + std::to_string(node.channels) + "\n";
    }
    return text;
  };
  ASSERT_EQ(listing(read.network.graph), listing(source.graph));
  for (size_t i = 0; i < source.graph.nodes.size(); ++i) {
    const auto ours = parameter_names(source.graph.nodes[i].operation);
    const auto theirs = parameter_names(read.network.graph.nodes[i].operation);
    for (size_t k = 0, m = 0; k < ours.size() && m < theirs.size(); ++k) {
      if (source.graph.find_parameter(ours[k])->optional()) continue;
      const Tensor &a = source.weights.at(ours[k]), &b = read.network.weights.at(theirs[m++]);
      ASSERT_EQ(a.shape(), b.shape()) << ours[k];
      ASSERT_TRUE(std::ranges::equal(a.to_float().values(), b.to_float().values())) << ours[k];
    }
  }
}

TEST_P(RoundTrip, GivesTheSameNetworkInEveryForm) {
  const passes::GraphWithWeights network = passes::deploy(random_network(model().graph));
  constexpr std::pair<int, bool> kForms[] = {{11, false}, {11, true}, {13, true}, {17, false}};
  for (const auto& [opset, dynamic] : kForms) {
    const ImportedNetwork read =
        read_back(export_model(network, {.opset = opset, .height = 128, .width = 192, .dynamic = dynamic}));
    expect_same_network(network, read);
    EXPECT_EQ(read.height, dynamic ? 0 : 128);
    EXPECT_EQ(read.width, dynamic ? 0 : 192);
    EXPECT_EQ(read.dynamic_batch, dynamic);
  }
}

TEST_P(RoundTrip, ComputesTheSame) {
  const model::Model built = model();
  const passes::GraphWithWeights trained = random_network(built.graph);
  const passes::GraphWithWeights network = passes::deploy(trained);
  const int size = built.largest_stride;
  const ImportedNetwork read =
      read_back(export_model(network, {.height = 2 * size, .width = size, .dynamic = true}));
  for (const Shape& shape : {Shape{1, 3, 2 * size, size}, Shape{2, 3, size, 3 * size}})
    EXPECT_EQ(engine_difference(read.network, network, noise(shape, 5)), 0);
}

TEST_P(RoundTrip, KeepsHalfToHalfAccuracy) {
  const model::Model built = model();
  const passes::GraphWithWeights network = passes::deploy(random_network(built.graph));
  const ImportedNetwork read = read_back(
      export_model(network, {.height = built.largest_stride, .width = built.largest_stride, .half = true}));
  EXPECT_TRUE(read.half);
  for (const Parameter& parameter : network.graph.parameters) {
    if (parameter.role == ParameterRole::kConstant) continue;
    const auto found = read.network.weights.find(parameter.name);
    ASSERT_NE(found, read.network.weights.end()) << parameter.name;
    // Half has 11 bits: rounding to the nearest errs by 2^-12 of each number.
    EXPECT_LE(relative_difference(found->second, network.weights.at(parameter.name)), 0x1p-11)
        << parameter.name;
  }
}

TEST_P(RoundTrip, KeepsBatchNormsOfAnUndeployedNetwork) {
  const passes::GraphWithWeights trained = random_network(model().graph);
  const passes::GraphWithWeights network =
      passes::deploy(trained, {.skip = {"remove_identities", "fold_batch_norm", "merge_linear"}, .also = {}});
  expect_same_network(network, read_back(export_model(network, {.height = 128, .width = 128})));
}

// By itself and in one form: it has 15 million parameters, and drawing them takes longer than all else.
TEST(RoundTripVanillaNet, ItsMergedPairsComeBack) {
  const passes::GraphWithWeights network =
      passes::deploy(random_network(model::make_model("yolov8n-vanillanet_5", {}, {.classes = 3}).graph));
  expect_same_network(network,
                      read_back(export_model(network, {.height = 64, .width = 64, .dynamic = true})));
}

TEST(RoundTripOperations, EveryOperationComesBack) {
  using marrow::testing::OpCase;
  std::vector<OpCase> cases = marrow::testing::convolutions();
  for (auto more : {marrow::testing::transposed(), marrow::testing::others()})
    cases.insert(cases.end(), more.begin(), more.end());
  size_t checked = 0;
  for (size_t i = 0; i < cases.size(); i += 7) {  // every kind is there dozens of times
    OpCase& c = cases[i];
    // A classifier's head, which is what an output may be; strides and adaptive pools leave whole maps to it.
    passes::GraphWithWeights network{c.graph, {}};
    network.graph.outputs[0].name = "out";
    if (infer_shapes(c.graph, c.input).at(static_cast<size_t>(c.graph.outputs[0].value.id)).size() == 4) {
      const Value last = c.graph.outputs[0].value;
      const int channels = c.graph.node(last).channels;
      network.graph.nodes.push_back({GlobalAveragePool{}, {last}, "gap", channels, 0});
      network.graph.nodes.push_back({Flatten{}, {{last.id + 1}}, "flat", channels, 0});
      network.graph.outputs[0].value = {last.id + 2};
    }
    network.weights = randomize(network.graph, 3);
    if (c.name.starts_with("adaptive"))
      continue;  // exported only where the cells are equal; tested by itself
    SCOPED_TRACE(c.name);
    const ImportedNetwork read = read_back(export_model(
        network, {.height = static_cast<int>(c.input[2]), .width = static_cast<int>(c.input[3])}));
    EXPECT_LE(difference(read.network, network, noise(c.input, 4)), 1e-6);
    ++checked;
  }
  EXPECT_GT(checked, 50u);
}

TEST(RoundTripOperations, AdaptivePoolingOfEqualCellsIsAPlainPool) {
  const passes::GraphWithWeights network =
      random_network(marrow::testing::graph_of(4, [](GraphBuilder& g, Value x) {
        return g.flatten(g.global_average_pool(g.adaptive_max_pool(x, 3)));
      }));
  const ImportedNetwork read = read_back(export_model(network, {.height = 12, .width = 12}));
  EXPECT_EQ(difference(read.network, network, noise({2, 4, 12, 12}, 4)), 0);
  EXPECT_THROW(export_model(network, {.height = 13, .width = 12}), Error);
}

TEST(RoundTripNms, TheSuppressionInTheFileIsNamedAndTakenOff) {
  const passes::GraphWithWeights network =
      passes::deploy(random_network(model::make_model("yolov8n", {}, {.classes = 3}).graph));
  for (const bool dynamic : {false, true}) {
    const ModelProto model =
        export_model(network, {.height = 64,
                               .width = 64,
                               .dynamic = dynamic,
                               .nms = ExportNms{.confidence = 0.3F, .iou = 0.6F, .max_detections = 50}});
    EXPECT_EQ(model.graph.outputs[0].shape[1].value, 50);
    const ImportedNetwork read = read_back(model);
    expect_same_network(network, read);
    ASSERT_TRUE(read.nms);
    EXPECT_FLOAT_EQ(read.nms->confidence, 0.3F);
    EXPECT_FLOAT_EQ(read.nms->iou, 0.6F);
    EXPECT_EQ(read.nms->max_detections, 50);
  }
}

TEST(RoundTripNms, CoefficientsAndKeypointsFollowTheClass) {
  struct Case {
    const char* model;
    int64_t numbers;
  };
  for (const Case& one : {Case{"yolov8n-seg", 6 + 32}, {"yolov8n-pose", 6 + 51}}) {
    SCOPED_TRACE(one.model);
    const passes::GraphWithWeights network =
        passes::deploy(random_network(model::make_model(one.model, {}, {.classes = 3}).graph));
    const ModelProto model =
        export_model(network, {.height = 64, .width = 64, .nms = ExportNms{.max_detections = 50}});
    EXPECT_EQ(model.graph.outputs[0].shape[1].value, 50);
    EXPECT_EQ(model.graph.outputs[0].shape[2].value, one.numbers);
    const ImportedNetwork read = read_back(model);
    ASSERT_TRUE(read.nms);
    expect_same_network(network, read);
  }
}

TEST(RoundTripNms, TurnedBoxesHaveOneOfPlainOperators) {
  const passes::GraphWithWeights network =
      passes::deploy(random_network(model::make_model("yolov8n-obb", {}, {.classes = 3}).graph));
  for (const bool dynamic : {false, true}) {
    const ModelProto model =
        export_model(network, {.height = 64,
                               .width = 96,
                               .dynamic = dynamic,
                               .nms = ExportNms{.confidence = 0.3F, .iou = 0.6F, .max_detections = 50}});
    EXPECT_EQ(model.graph.outputs[0].shape[1].value, 50);
    EXPECT_EQ(model.graph.outputs[0].shape[2].value, 7);
    const ImportedNetwork read = read_back(model);
    expect_same_network(network, read);
    ASSERT_TRUE(read.nms);
    EXPECT_FLOAT_EQ(read.nms->confidence, 0.3F);
    EXPECT_FLOAT_EQ(read.nms->iou, 0.6F);
    EXPECT_EQ(read.nms->max_detections, 50);
  }
}

TEST(Export, RefusesWhatItCannotWrite) {
  const passes::GraphWithWeights network = random_network(model::make_model("starnet_s1").graph);
  EXPECT_THROW(export_model(network, {.opset = 10}), Error);
  EXPECT_THROW(export_model(network, {.opset = 18}), Error);
  EXPECT_THROW(export_model(network, {.nms = ExportNms{}}), Error);
  passes::GraphWithWeights two = network;
  two.graph.outputs.push_back(two.graph.outputs[0]);
  EXPECT_THROW(export_model(two, {}), Error);
}

TEST(Export, RefusesWeightsThatHalfCannotHold) {
  passes::GraphWithWeights network =
      random_network(marrow::testing::graph_of(3, [](GraphBuilder& g, Value x) {
        return g.flatten(g.global_average_pool(g.conv(x, "c", {.out = 2})));
      }));
  network.weights.at("c.weight").values()[0] = 70000;
  EXPECT_NO_THROW(export_model(network, {}));
  EXPECT_THROW(export_model(network, {.half = true}), Error);
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float value = half_to_float(static_cast<uint16_t>(bits));
    ASSERT_EQ(float_to_half(value), bits);
    ASSERT_EQ(float_to_half(-value), bits | 0x8000);
    const float next = half_to_float(static_cast<uint16_t>(bits + 1));
    if (bits + 1 == 0x7c00) break;
    ASSERT_EQ(float_to_half((value + next) / 2), bits + (bits & 1)) << bits;
  }
  EXPECT_EQ(float_to_half(1e9F), 0x7c00);
}

}  // namespace
}  // namespace marrow::onnx
