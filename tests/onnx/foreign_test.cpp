// Networks as other exporters write them.
#include <cmath>
#include <functional>

#include "marrow/onnx/write/graph_writer.h"
#include "onnx/support.h"
#include "support/message_of.h"

namespace marrow::onnx {
namespace {

using testing::noise;
using Ints = std::vector<int64_t>;

// A file around `body`, which turns the value "x" (1, 8, 6, 4) into a map; a mean and a flatten follow.
ModelProto file_of(int opset, const std::function<std::string(GraphWriter&, const std::string&)>& body,
                   const std::vector<Dimension>& shape = {{1, {}}, {8, {}}, {6, {}}, {4, {}}}) {
  GraphWriter writer;
  writer.reserve("x");
  writer.set_scope("/net");
  const std::string map = body(writer, "x");
  const std::string mean = writer.node("GlobalAveragePool", {map});
  writer.rename(writer.node("Flatten", {mean}, {attribute("axis", int64_t{1})}), "y");
  ModelProto model;
  model.ir_version = 7;
  model.opsets = {{"", opset}};
  model.graph = std::move(writer).finish();
  model.graph.name = "g";
  model.graph.inputs = {{"x", DType::kFloat32, shape}};
  model.graph.outputs = {{"y", DType::kFloat32, {{-1, "n"}, {-1, "c"}}}};
  return model;
}

Tensor run(const ModelProto& model, const Tensor& input) {
  const passes::GraphWithWeights network = read_back(model).network;
  return reference::run_reference(network.graph, network.weights, input, "logits");
}

// `body` on maps of 8 channels, by our own builder.
Tensor expected(const Tensor& input, const std::function<Value(GraphBuilder&, Value)>& body) {
  const Graph graph = marrow::testing::graph_of(
      8, [&](GraphBuilder& g, Value x) { return g.flatten(g.global_average_pool(body(g, x))); });
  return reference::run_reference(graph, randomize(graph, 1), input, "out");
}

Tensor input() {
  Tensor x = noise({1, 8, 6, 4}, 2);
  for (float& value : x.values()) value *= 4;
  return x;
}

struct Spelling {
  std::string name;
  int opset;
  ActivationKind kind;
  std::function<std::string(GraphWriter&, const std::string&)> write;
};

std::string clip(GraphWriter& w, const std::string& x, double low, double high) {
  return w.node("Clip", {x, w.number(low), w.number(high)});
}
std::string old_clip(GraphWriter& w, const std::string& x, double low, double high) {
  return w.node("Clip", {x}, {attribute("min", low), attribute("max", high)});
}

std::vector<Spelling> spellings() {
  using K = ActivationKind;
  return {
      {"relu6 by clip", 13, K::kRelu6, [](auto& w, auto& x) { return clip(w, x, 0, 6); }},
      {"relu6 by attributes", 9, K::kRelu6, [](auto& w, auto& x) { return old_clip(w, x, 0, 6); }},
      {"relu6 by min and relu", 13, K::kRelu6,
       [](auto& w, auto& x) {
         return w.node("Min", {w.node("Relu", {x}), w.number(6)});
       }},
      {"relu6 by max and min", 13, K::kRelu6,
       [](auto& w, auto& x) {
         return w.node("Max", {w.number(0), w.node("Min", {w.number(6), x})});
       }},
      {"relu by clip", 13, K::kRelu,
       [](auto& w, auto& x) {
         return w.node("Clip", {x, w.number(0)});
       }},
      {"hard-swish", 14, K::kHardSwish, [](auto& w, auto& x) { return w.node("HardSwish", {x}); }},
      {"hard-swish expanded", 13, K::kHardSwish,
       [](auto& w, auto& x) {
         const std::string gate = clip(w, w.node("Add", {x, w.number(3)}), 0, 6);
         return w.node("Div", {w.node("Mul", {x, gate}), w.number(6)});
       }},
      {"hard-swish by a hard sigmoid, gate first", 13, K::kHardSwish,
       [](auto& w, auto& x) {
         return w.node("Mul", {w.node("HardSigmoid", {x}, {attribute("alpha", 1.0 / 6)}), x});
       }},
      {"hard-swish, gate divided", 10, K::kHardSwish,
       [](auto& w, auto& x) {
         const std::string gate = old_clip(w, w.node("Add", {w.number(3), x}), 0, 6);
         return w.node("Mul", {x, w.node("Mul", {gate, w.number(1.0 / 6)})});
       }},
      {"hard sigmoid expanded", 13, K::kHardSigmoid,
       [](auto& w, auto& x) {
         return w.node("Div", {clip(w, w.node("Add", {x, w.number(3)}), 0, 6), w.number(6)});
       }},
      {"gelu", 13, K::kGelu,
       [](auto& w, auto& x) {
         const std::string one =
             w.node("Add", {w.node("Erf", {w.node("Mul", {x, w.number(0.70710678)})}), w.number(1)});
         return w.node("Mul", {w.node("Mul", {w.number(0.5), x}), one});
       }},
      {"leaky relu by prelu", 13, K::kLeakyRelu,
       [](auto& w, auto& x) {
         return w.node("PRelu", {x, w.number(0.01)});
       }},
  };
}

TEST(Foreign, EverySpellingOfAnActivationIsRecognised) {
  const Tensor x = input();
  for (const Spelling& spelling : spellings()) {
    SCOPED_TRACE(spelling.name);
    const ModelProto model = file_of(spelling.opset, spelling.write);
    const passes::GraphWithWeights network = read_back(model).network;
    EXPECT_EQ(network.graph.nodes.size(), 4u)
        << to_string(network.graph);  // input, activation, mean, flatten
    const Tensor wanted =
        expected(x, [&](GraphBuilder& g, Value v) { return g.activation(v, spelling.kind); });
    EXPECT_LE(relative_difference(run(model, x), wanted), 1e-6);
  }
}

TEST(Foreign, ASigmoidOfSomethingElseIsNoSiLU) {
  const Tensor x = input();
  const Tensor result = run(file_of(13,
                                    [](GraphWriter& w, const std::string& v) {
                                      return w.node("Mul", {v, w.node("Sigmoid", {w.node("Relu", {v})})});
                                    }),
                            x);
  EXPECT_LE(relative_difference(result, expected(x,
                                                 [](GraphBuilder& g, Value v) {
                                                   const Value relu = g.activation(v, ActivationKind::kRelu);
                                                   return g.multiply(
                                                       v, g.activation(relu, ActivationKind::kSigmoid));
                                                 })),
            1e-6);
}

TEST(Foreign, CutsMayCountFromTheEndAndBeyondIt) {
  const Tensor x = input();
  const auto body = [](GraphWriter& w, const std::string& v) {
    const std::string first = w.node("Slice", {v, w.integers({0}), w.integers({3}), w.integers({-3})});
    const std::string rest = w.node("Slice", {v, w.integers({3}), w.integers({1 << 20}), w.integers({1})});
    return w.node("Concat", {rest, first}, {attribute("axis", int64_t{-3})});
  };
  const Tensor wanted = expected(x, [](GraphBuilder& g, Value v) {
    return g.concat({g.slice(v, 3, 8), g.slice(v, 0, 3)});
  });
  EXPECT_EQ(relative_difference(run(file_of(13, body), x), wanted), 0);
}

TEST(Foreign, TheLastPartOfASplitIsASliceUnlessThoseBeforeItHaveNoName) {
  const auto file = [](const std::string& first) {
    ModelProto model = file_of(13, [](GraphWriter& w, const std::string& v) {
      return w.node("Split", {v, w.integers({3, 5})}, {attribute("axis", int64_t{1})});
    });
    NodeProto& split = model.graph.nodes.front();
    split.outputs.insert(split.outputs.begin(), first);
    return model;
  };
  const Tensor x = input();
  const Tensor wanted = expected(x, [](GraphBuilder& g, Value v) { return g.slice(v, 3, 8); });
  EXPECT_EQ(relative_difference(run(file("unused"), x), wanted), 0);
  EXPECT_NE(testing::message_of([&] { read_back(file("")); }).find("partly left out"), std::string::npos);
}

TEST(Foreign, ASqueezeExciteOfLinearLayersBecomesConvolutions) {
  const Tensor x = input();
  const auto body = [](GraphWriter& w, const std::string& v) {
    Tensor down({8, 2}), up({8, 2});  // MatMul wants (in, out), Gemm with transB (out, in)
    for (size_t i = 0; i < 16; ++i) {
      down.values()[i] = 0.1F * static_cast<float>(i) - 0.7F;
      up.values()[i] = 0.6F - 0.1F * static_cast<float>(i);
    }
    const std::string mean =
        w.node("ReduceMean", {v}, {attribute("axes", Ints{2, 3}), attribute("keepdims", int64_t{0})});
    const std::string product = w.node("MatMul", {mean, w.initializer("se.fc1.weight", down)});
    const std::string hidden = w.node("Relu", {w.node("Add", {w.numbers({2}, {0.5F, -0.5F}), product})});
    const std::string out =
        w.node("Gemm", {hidden, w.initializer("se.fc2.weight", up)}, {attribute("transB", int64_t{1})});
    const std::string gate = w.node("Unsqueeze", {w.node("Sigmoid", {out}), w.integers({2, 3})});
    return w.node("Mul", {gate, v});
  };
  const Tensor result = run(file_of(13, body), x);
  // By hand, in double.
  std::vector<double> mean(8, 0), hidden(2, 0);
  for (size_t c = 0; c < 8; ++c)
    for (size_t i = 0; i < 24; ++i) mean[c] += x.values()[c * 24 + i] / 24.0;
  for (size_t h = 0; h < 2; ++h) {
    hidden[h] = h == 0 ? 0.5 : -0.5;
    for (size_t c = 0; c < 8; ++c) hidden[h] += mean[c] * (0.1 * static_cast<double>(2 * c + h) - 0.7);
    hidden[h] = std::max(hidden[h], 0.0);
  }
  for (size_t c = 0; c < 8; ++c) {
    double gate = 0;
    for (size_t h = 0; h < 2; ++h) gate += hidden[h] * (0.6 - 0.1 * static_cast<double>(2 * c + h));
    EXPECT_NEAR(result.values()[c], mean[c] / (1 + std::exp(-gate)), 1e-5);
  }
}

TEST(Foreign, AShuffleOfComputedShapesIsRecognisedAtAnySize) {
  const auto body = [](GraphWriter& w, const std::string& v) {
    const std::string shape = w.node("Shape", {v});
    const auto dim = [&](int64_t i) {
      const std::string one = w.node("Gather", {shape, w.integer(i)}, {attribute("axis", int64_t{0})});
      return w.node("Unsqueeze", {one, w.integers({0})});
    };
    const std::string grouped =
        w.node("Concat", {dim(0), w.integers({4}), w.node("Div", {dim(1), w.integers({4})}), dim(2), dim(3)},
               {attribute("axis", int64_t{0})});
    const std::string whole =
        w.node("Concat", {dim(0), w.integers({-1}), dim(2), dim(3)}, {attribute("axis", int64_t{0})});
    const std::string swapped =
        w.node("Transpose", {w.node("Reshape", {v, grouped})}, {attribute("perm", Ints{0, 2, 1, 3, 4})});
    return w.node("Reshape", {swapped, whole});
  };
  const ModelProto model = file_of(13, body, {{-1, "n"}, {8, {}}, {-1, "h"}, {-1, "w"}});
  const Tensor x = input();
  EXPECT_EQ(relative_difference(
                run(model, x), expected(x, [](GraphBuilder& g, Value v) { return g.channel_shuffle(v, 4); })),
            0);
}

TEST(Foreign, AShapeThatFitsOneSizeOnlyIsRefusedWhereTheFileSaysAny) {
  const auto body = [](GraphWriter& w, const std::string& v) {
    const std::string pooled =
        w.node("MaxPool", {v}, {attribute("kernel_shape", Ints{2, 2}), attribute("strides", Ints{2, 2})});
    return w.node("Reshape", {pooled, w.integers({1, 8, 128, 192})});
  };
  EXPECT_THROW(read_back(file_of(13, body, {{-1, "n"}, {8, {}}, {-1, "h"}, {-1, "w"}})), Error);
}

TEST(Foreign, ConstantsOneAChannelBecomeADepthwiseConvolution) {
  const Tensor x = input();
  const auto body = [](GraphWriter& w, const std::string& v) {
    const std::string scale = w.numbers({8, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
    return w.node("Sub", {w.number(2), w.node("Mul", {scale, v})});
  };
  const Tensor result = run(file_of(13, body), x);
  for (size_t c = 0; c < 8; ++c) {
    double mean = 0;
    for (size_t i = 0; i < 24; ++i) mean += x.values()[c * 24 + i] / 24.0;
    EXPECT_NEAR(result.values()[c], 2 - static_cast<double>(c + 1) * mean, 1e-4);
  }
}

TEST(Foreign, ZerosBeforeAConvolutionJoinIt) {
  Tensor weight({2, 8, 3, 3});
  for (size_t i = 0; i < weight.values().size(); ++i) weight.values()[i] = static_cast<float>(i % 7) - 3;
  const auto write = [&](bool apart) {
    return file_of(13, [&](GraphWriter& w, const std::string& v) {
      const std::string name = w.initializer("conv.weight", weight);
      const Attribute strides = attribute("strides", Ints{2, 2});
      if (!apart) return w.node("Conv", {v, name}, {strides, attribute("pads", Ints{0, 0, 1, 1})});
      return w.node("Conv", {w.node("Pad", {v, w.integers({0, 0, 0, 0, 0, 0, 1, 1})}), name}, {strides});
    });
  };
  const Tensor x = input();
  EXPECT_EQ(relative_difference(run(write(true), x), run(write(false), x)), 0);
}

TEST(Foreign, APoolOfSinglePixelsIsLeftOut) {
  const Tensor x = input();
  const auto relu = [](GraphWriter& w, const std::string& v) { return w.node("Relu", {v}); };
  const ModelProto pooled = file_of(13, [&](GraphWriter& w, const std::string& v) {
    return w.node("AveragePool", {relu(w, v)}, {attribute("kernel_shape", Ints{1, 1})});
  });
  EXPECT_EQ(relative_difference(run(pooled, x), run(file_of(13, relu), x)), 0);
}

TEST(Foreign, ASoftmaxAtTheEndIsLeftOut) {
  ModelProto model = file_of(13, [](GraphWriter& w, const std::string& v) { return w.node("Relu", {v}); });
  const Tensor x = input(), logits = run(model, x);
  model.graph.nodes.push_back({"Softmax", "softmax", "", {"y"}, {"shares"}, {attribute("axis", int64_t{1})}});
  model.graph.outputs[0].name = "shares";
  EXPECT_EQ(relative_difference(run(model, x), logits), 0);
}

TEST(Foreign, WhatIsNotRecognisedIsNamed) {
  const auto message = [](const ModelProto& model) -> std::string {
    try {
      read_back(model);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const auto with = [&](const std::string& op) {
    return message(file_of(13, [&](GraphWriter& w, const std::string& v) { return w.node(op, {v}); }));
  };
  EXPECT_NE(with("Celu").find("/net/Celu"), std::string::npos) << with("Celu");
  EXPECT_NE(with("NoSuchOperator").find("/net/NoSuchOperator"), std::string::npos) << with("NoSuchOperator");
  ModelProto vgg = file_of(13, [](GraphWriter& w, const std::string& v) { return w.node("Relu", {v}); });
  std::erase_if(vgg.graph.nodes, [](const NodeProto& node) { return node.op_type == "GlobalAveragePool"; });
  vgg.graph.nodes.back().inputs = {vgg.graph.nodes.front().outputs[0]};
  vgg.graph.nodes.push_back({"Gemm", "/net/fc", "", {"y", "weight"}, {"z"}, {}});
  vgg.graph.initializers.push_back({"weight", Tensor({8 * 6 * 4, 5})});
  vgg.graph.outputs[0].name = "z";
  EXPECT_NE(message(vgg).find("/net/fc"), std::string::npos) << message(vgg);
  const std::string linear = message(file_of(13, [](GraphWriter& w, const std::string& v) {
    return w.node("Resize", {v, "", w.numbers({4}, {1, 1, 2, 2})}, {attribute("mode", "linear")});
  }));
  EXPECT_NE(linear.find("nearest"), std::string::npos) << linear;
}

}  // namespace
}  // namespace marrow::onnx
