// Quantised models as QuantizeLinear and DequantizeLinear.
#include <algorithm>

#include "marrow/onnx/write/export_int8.h"
#include "onnx/support.h"

namespace marrow::onnx {
namespace {

passes::GraphWithWeights quantized_network() {
  GraphBuilder g;
  Value x = g.activation(g.conv(g.input(3), "stem", {.out = 8, .kernel = 3, .stride = 2, .bias = true}),
                         ActivationKind::kSilu);
  const Value a = g.activation(g.conv(x, "a", {.out = 6, .kernel = 3, .bias = true}), ActivationKind::kSilu);
  const Value b = g.conv(x, "b", {.out = 5});
  x = g.global_average_pool(g.conv(g.concat({a, b}), "last", {.out = 4, .bias = true}));
  g.output("logits", g.linear(g.flatten(x), "head", 3));
  passes::GraphWithWeights network = random_network(std::move(g).build());
  for (Node& node : network.graph.nodes) {
    node.byte_scale = ByteScale{0.03f, 11};
    node.int8 = node.name == "a" || node.name == "b";
  }
  return network;
}

ModelProto exported() {
  return export_model(quantized_network(), {.height = 16, .width = 24, .int8 = true});
}

TEST(Int8Export, ReadersThatComputeInFloatSeeRoundedWeights) {
  const passes::GraphWithWeights network = quantized_network();
  const ImportedNetwork read = read_back(exported());
  const Tensor input = testing::noise({1, 3, 16, 24}, 3);
  // A bias is rounded to the product of two scales.
  EXPECT_LT(difference(read.network, with_int8_weights(network), input), 1e-3);
  EXPECT_GT(difference(read.network, network, input), 1e-3);
}

TEST(Int8Export, BytesStandBeforeEachInt8LayerOnce) {
  const ModelProto model = exported();
  const auto count = [&](std::string_view op) {
    return std::ranges::count(model.graph.nodes, op, &NodeProto::op_type);
  };
  EXPECT_EQ(count("QuantizeLinear"), 1) << "both layers read one map";
  EXPECT_EQ(count("DequantizeLinear"), 4) << "the map, two weights, one bias";
  const auto weight = std::ranges::find(model.graph.initializers, "a.weight", &TensorProto::name);
  ASSERT_NE(weight, model.graph.initializers.end());
  EXPECT_EQ(weight->value.dtype(), DType::kInt8);
}

TEST(Int8Export, RefusesWhatItCannotWrite) {
  const auto refused = [](const passes::GraphWithWeights& network, ExportOptions options) {
    options.height = options.width = 16;
    options.int8 = true;
    EXPECT_THROW(export_model(network, options), Error);
  };
  refused(quantized_network(), {.opset = 12});
  refused(quantized_network(), {.half = true});
  passes::GraphWithWeights plain = quantized_network();
  for (Node& node : plain.graph.nodes) node.int8 = false;
  refused(plain, {});
}

TEST(Int8Import, RefusesScalesThatDoNotFit) {
  ModelProto model = exported();
  for (NodeProto& node : model.graph.nodes)
    if (node.op_type == "DequantizeLinear")
      for (Attribute& attribute : node.attributes)
        if (attribute.name == "axis") attribute.integer = 1;
  try {
    read_back(model);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("does not fit the axis"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace marrow::onnx
