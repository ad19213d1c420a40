// Files that are cut, bent or made to harm are refused by an Error, whatever they hold.
#include <fstream>

#include "marrow/base/random.h"
#include "marrow/onnx/file/wire.h"
#include "marrow/onnx/write/graph_writer.h"
#include "onnx/support.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::onnx {
namespace {

using Ints = std::vector<int64_t>;

ModelProto small_detector(bool dynamic = false) {
  GraphBuilder g;
  Value x = g.activation(g.conv(g.input(3), "a", {.out = 4, .kernel = 3, .stride = 2, .bias = true}),
                         ActivationKind::kSilu);
  x = g.channel_shuffle(x, 2);
  const Value qkv = g.conv(x, "qkv", {.out = 8});
  x = g.concat(
      {x, g.attention(qkv, {.heads = 2, .key_channels = 1, .value_channels = 2}), g.slice(qkv, 2, 4, 2)});
  const Value map = g.conv(x, "p", {.out = 4 * 3 + 2, .kernel = 1, .stride = 4, .padding = Padding{}});
  const Value finer = g.conv(g.upsample(map, 2), "q", {.out = 14});
  const Value maps[] = {finer, map};
  g.output("output0", g.detect_decode(maps, "dfl.conv.weight", 2, 3));
  return export_model(random_network(std::move(g).build()), {.height = 64, .width = 32, .dynamic = dynamic});
}

std::string bytes_of(const ModelProto& model) {
  const testing::TemporaryFolder folder;
  write_model(folder / "m.onnx", model);
  return read_file(folder / "m.onnx", size_t{1} << 24);
}

// Reads; an Error is fine, anything else is not.
bool reads(const std::string& bytes) {
  try {
    import_network(parse_model(std::as_bytes(std::span(bytes)), "m.onnx"), "m.onnx");
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("m.onnx: "), 0u) << error.what();
    return false;
  }
}

void try_to_import(const ModelProto& model) {
  try {
    import_network(model, "m.onnx");
  } catch (const Error&) {
  }
}

TEST(HostileOnnx, EveryTruncationIsRefusedOrRead) {
  const std::string whole = bytes_of(small_detector());
  ASSERT_TRUE(reads(whole));
  size_t refused = 0;
  for (size_t length = 0; length < whole.size(); length += length < 600 ? 1 : 13)
    refused += reads(whole.substr(0, length)) ? 0 : 1;
  EXPECT_GT(refused, 600u);
}

// Nothing is there that could be copied.
TEST(HostileOnnx, ListsAndTensorsWithoutNumbers) {
  ModelProto model = small_detector();
  model.graph.nodes[0].attributes.push_back(attribute("nothing", ""));
  std::string bytes = bytes_of(model);
  const size_t at = bytes.find("nothing") + 7;
  ASSERT_EQ(bytes.substr(at, 2), std::string("\x22\0", 2));  // a text of no bytes
  bytes[at] = 0x3a;                                          // numbers of no bytes
  EXPECT_TRUE(reads(bytes));

  GraphWriter w;
  Tensor places({2}, DType::kInt64);
  w.node("Gather", {w.initializer("nothing", Tensor({2, 0})), w.initializer("places", places)},
         {attribute("axis", int64_t{0})});
  const GraphProto extra = std::move(w).finish();
  model = small_detector();
  model.graph.nodes.insert(model.graph.nodes.begin(), extra.nodes.begin(), extra.nodes.end());
  model.graph.initializers.insert(model.graph.initializers.end(), extra.initializers.begin(),
                                  extra.initializers.end());
  EXPECT_TRUE(reads(bytes_of(model)));
}

TEST(HostileOnnx, FlippedBitsNeverCrash) {
  for (const bool dynamic : {false, true}) {
    const std::string whole = bytes_of(small_detector(dynamic));
    Random random(1, "flips");
    for (int i = 0; i < 1500; ++i) {
      std::string bent = whole;
      for (int flips = 0; flips < 1 + i % 3; ++flips)
        bent[static_cast<size_t>(random.below(bent.size()))] ^= static_cast<char>(1 << random.below(8));
      reads(bent);
    }
  }
}

TEST(HostileOnnx, NumbersOfTheFileAreBent) {
  // Every integer of every attribute and constant, and every dimension, becomes something extreme.
  constexpr int64_t kExtremes[] = {0, -1, 1, 7, 1 << 20, int64_t{1} << 40, INT64_MAX, INT64_MIN};
  const ModelProto model = small_detector(true);
  for (const int64_t extreme : kExtremes) {
    for (size_t n = 0; n < model.graph.nodes.size(); ++n)
      for (size_t a = 0; a < model.graph.nodes[n].attributes.size(); ++a) {
        ModelProto bent = model;
        Attribute& attribute = bent.graph.nodes[n].attributes[a];
        attribute.integer = extreme;
        for (int64_t& value : attribute.integers) value = extreme;
        try_to_import(bent);
      }
    for (size_t t = 0; t < model.graph.initializers.size(); ++t) {
      if (model.graph.initializers[t].value.dtype() != DType::kInt64) continue;
      ModelProto bent = model;
      Tensor& value = bent.graph.initializers[t].value;
      value = value.clone();
      for (int64_t& element : value.values<int64_t>()) element = extreme;
      try_to_import(bent);
    }
    for (size_t d = 0; d < 4; ++d) {
      ModelProto bent = model;
      bent.graph.inputs[0].shape[d].value = extreme > 0 ? extreme : -1;  // as the parser leaves it
      try_to_import(bent);
    }
  }
}

TEST(HostileOnnx, InputsSwappedAndLeftOutNeverCrash) {
  const ModelProto model = small_detector();
  std::vector<std::string> names = {""};
  for (const TensorProto& tensor : model.graph.initializers) names.push_back(tensor.name);
  for (const NodeProto& node : model.graph.nodes) names.push_back(node.outputs[0]);
  Random random(2, "swaps");
  for (int i = 0; i < 3000; ++i) {
    ModelProto bent = model;
    NodeProto& node = bent.graph.nodes[static_cast<size_t>(random.below(bent.graph.nodes.size()))];
    const auto input = static_cast<size_t>(random.below(node.inputs.size() + 1));
    if (input == node.inputs.size())
      node.inputs.pop_back();
    else
      node.inputs[input] = names[static_cast<size_t>(random.below(names.size()))];
    if (i % 5 == 0)
      node.op_type = model.graph.nodes[static_cast<size_t>(random.below(names.size() / 2))].op_type;
    if (i % 7 == 0) node.attributes.clear();
    try_to_import(bent);
  }
}

// The numbers of an attention are followed by index: what an axis twice in an order, or one matrix for
// several, would make of the indices lies outside.
TEST(HostileOnnx, AttentionsOfBentShapesAreRefused) {
  const ModelProto model = small_detector();
  int bent_nodes = 0;
  for (size_t n = 0; n < model.graph.nodes.size(); ++n) {
    const NodeProto& node = model.graph.nodes[n];
    if (node.op_type != "Transpose") continue;
    for (const Ints& order : {Ints{0, 1, 1, 1}, Ints{0, 2, 2, 3}, Ints{3, 3, 3, 3}}) {
      ModelProto bent = model;
      bent.graph.nodes[n].attributes = {attribute("perm", order)};
      EXPECT_THROW(import_network(bent, "m.onnx"), Error) << node.name;
      ++bent_nodes;
    }
  }
  EXPECT_GT(bent_nodes, 6);
  // Keys, and then shares, of one head for two heads of queries.
  for (const bool shares : {false, true}) {
    GraphWriter w;
    const std::string queries = w.node("Reshape", {"images", w.integers({0, 2, 4, -1})});
    const std::string one = w.node("Slice", {queries, w.integers({0}), w.integers({1}), w.integers({1})});
    const auto turned = [&](const std::string& x) {
      return w.node("Transpose", {x}, {attribute("perm", Ints{0, 1, 3, 2})});
    };
    const auto part = [&](const std::string& x, int64_t begin, int64_t end) {
      return w.node("Slice", {x, w.integers({begin}), w.integers({end}), w.integers({2})});
    };
    const std::string scores =
        w.node("MatMul", {turned(part(shares ? one : queries, 0, 1)), part(one, 1, 2)});
    const std::string soft = w.node("Softmax", {scores}, {attribute("axis", int64_t{3})});
    const std::string mixed = w.node("MatMul", {part(queries, 2, 4), turned(soft)});
    w.rename(w.node("Reshape", {mixed, w.integers({0, 4, 8, 8})}), "output0");
    ModelProto built = model;
    built.graph = std::move(w).finish();
    built.graph.inputs = {{"images", DType::kFloat32, {{1, {}}, {8, {}}, {8, {}}, {8, {}}}}};
    built.graph.outputs = {{"output0", DType::kFloat32, {}}};
    EXPECT_THROW(import_network(built, "m.onnx"), Error);
  }
}

TEST(HostileOnnx, ACircleIsNamed) {
  ModelProto model = small_detector();
  model.graph.nodes[0].inputs[0] = model.graph.nodes[2].outputs[0];
  try {
    import_network(model, "m.onnx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("circle"), std::string::npos) << error.what();
  }
}

TEST(HostileOnnx, AHugeConstantIsNotMade) {
  ModelProto model = small_detector();
  Tensor shape({2}, DType::kInt64);
  shape.values<int64_t>()[0] = shape.values<int64_t>()[1] = 1 << 20;
  model.graph.initializers.push_back({"huge", shape});
  model.graph.nodes.push_back({"ConstantOfShape", "fill", "", {"huge"}, {"filled"}, {}});
  EXPECT_THROW(import_network(model, "m.onnx"), Error);
}

// A list of sizes is small, and what it makes has as many axes: each would cost memory in every value.
TEST(HostileOnnx, AValueOfManyAxesIsNotMade) {
  const auto import_with = [](int64_t axes) {
    ModelProto model = small_detector();
    Tensor count({1}, DType::kInt64), one({1}, DType::kInt64);
    count.values<int64_t>()[0] = axes;
    one.values<int64_t>()[0] = 1;
    model.graph.initializers.push_back({"count", count});
    model.graph.initializers.push_back({"one", one});
    model.graph.nodes.push_back({"Expand", "fill", "", {"one", "count"}, {"ones"}, {}});
    model.graph.nodes.push_back({"Reshape", "widen", "", {"one", "ones"}, {"wide"}, {}});
    import_network(model, "m.onnx");
  };
  EXPECT_NO_THROW(import_with(32));
  EXPECT_SAYS(testing::message_of([&] { import_with(33); }),
              "'widen' (Reshape): its result would have 33 dimensions");
  EXPECT_SAYS(testing::message_of([&] { import_with(20'000); }), "at most 10000 integers");
}

TEST(HostileOnnx, AConstantIsNotReadAgainAndAgain) {
  const auto import_with = [](int readers) {
    ModelProto model = small_detector();
    Tensor count({1}, DType::kInt64);
    count.values<int64_t>()[0] = 16'000'000;
    model.graph.initializers.push_back({"count", count});
    model.graph.initializers.push_back({"first", Tensor({1}, DType::kInt64)});
    model.graph.nodes.push_back({"ConstantOfShape", "fill", "", {"count"}, {"filled"}, {}});
    for (int i = 0; i < readers; ++i) {
      const std::string name = "reader" + std::to_string(i);
      model.graph.nodes.push_back({"Gather", name, "", {"filled", "first"}, {name}, {}});
    }
    import_network(model, "m.onnx");
  };
  EXPECT_NO_THROW(import_with(3));
  EXPECT_SAYS(testing::message_of([&] { import_with(20); }), "read many times over");
}

TEST(HostileOnnx, DataInAnotherFileIsRefused) {
  WireWriter location;
  location.text(1, "location");
  location.text(2, "../../etc/passwd");
  WireWriter tensor;
  tensor.packed(1, Ints{2});
  tensor.integer(2, 1);
  tensor.text(8, "w");
  tensor.message(13, std::move(location));
  tensor.integer(14, 1);
  WireWriter graph;
  graph.message(5, std::move(tensor));
  WireWriter model;
  model.integer(1, 8);
  model.message(7, std::move(graph));
  std::string bytes;
  for (const std::string& part : model.parts()) bytes += part;
  try {
    parse_model(std::as_bytes(std::span(bytes)), "m.onnx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("another file"), std::string::npos) << error.what();
  }
}

TEST(HostileOnnx, OldListsOfNumbersAreReadAsRawOnesAre) {
  WireWriter tensor;
  tensor.packed(1, Ints{2, 1});
  tensor.integer(2, 1);
  tensor.text(8, "w");
  tensor.real(4, 1.5F);
  tensor.real(4, -2.0F);
  WireWriter graph;
  graph.message(5, std::move(tensor));
  WireWriter model;
  model.message(7, std::move(graph));
  std::string bytes;
  for (const std::string& part : model.parts()) bytes += part;
  const ModelProto read = parse_model(std::as_bytes(std::span(bytes)), "m.onnx");
  const Tensor& value = read.graph.initializers.at(0).value;
  EXPECT_EQ(value.shape(), (Shape{2, 1}));
  EXPECT_EQ(value.values()[0], 1.5F);
  EXPECT_EQ(value.values()[1], -2.0F);
}

}  // namespace
}  // namespace marrow::onnx
