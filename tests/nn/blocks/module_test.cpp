#include "marrow/nn/blocks/module.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "marrow/nn/blocks/conv.h"
#include "support/message_of.h"

namespace marrow::nn {
namespace {

struct Built {
  Graph graph;
  int channels = 0;
  double stride = 0;
  int64_t parameters = 0;
};

// One module on an image-like map of 32 channels.
Built build(std::string_view name, const nlohmann::json& args, int repeats = 1) {
  const Module* module = find_module(name);
  if (module == nullptr) throw Error(ErrorKind::kModel, "no module " + std::string(name));
  GraphBuilder g;
  const Value x = g.input(32);
  ModuleCall call{.graph = g,
                  .inputs = {x},
                  .args = args,
                  .argument_names = module->arguments,
                  .repeats = repeats,
                  .classes = 10,
                  .activation = {ActivationKind::kSilu, 0, {}}};
  const Value out = module->build(call).front();
  g.output("out", out);
  Built built{.graph = {}, .channels = g.channels(out), .stride = g.stride(out)};
  built.graph = std::move(g).build();
  for (const Parameter& parameter : built.graph.parameters)
    if (parameter.counted()) built.parameters += element_count(parameter.shape);
  // The stride that the builder derives is what shapes say.
  const Shape shape = infer_shapes(built.graph, {1, 32, 64, 64})[static_cast<size_t>(out.id)];
  EXPECT_EQ(shape.at(1), built.channels) << name;
  EXPECT_EQ(64.0 / static_cast<double>(shape.at(2)), built.stride) << name;
  return built;
}

std::string message_of(std::string_view name, const nlohmann::json& args) {
  return testing::message_of([&] { build(name, args); });
}

TEST(Modules, CountAsTheirFormulasSay) {
  const auto conv = [](int64_t in, int64_t out, int64_t kernel) {
    return in * out * kernel * kernel + 2 * out;
  };
  EXPECT_EQ(build("Conv", {64, 3, 2}).parameters, conv(32, 64, 3));
  EXPECT_EQ(build("Conv", {64, 3, 2}).stride, 2);
  EXPECT_EQ(build("DWConv", {64, 3}).parameters, conv(1, 64, 3));  // 32 groups
  EXPECT_EQ(build("GhostConv", {64, 3, 2}).parameters, conv(32, 32, 3) + conv(1, 32, 5));
  EXPECT_EQ(build("Bottleneck", {32}).parameters, conv(32, 16, 3) + conv(16, 32, 3));
  EXPECT_EQ(build("C2f", {64, true}, 2).parameters, conv(32, 64, 1) + 4 * conv(32, 32, 3) + conv(128, 64, 1));
  EXPECT_EQ(build("C2", {64, true}, 2).parameters, conv(32, 64, 1) + 4 * conv(32, 32, 3) + conv(64, 64, 1));
  EXPECT_EQ(build("C3", {64}, 2).parameters,
            2 * conv(32, 32, 1) + 2 * (conv(32, 32, 1) + conv(32, 32, 3)) + conv(64, 64, 1));
  EXPECT_EQ(build("SPPF", {64, 5}).parameters, conv(32, 16, 1) + conv(64, 64, 1));
  EXPECT_EQ(build("SPP", {64}).parameters, conv(32, 16, 1) + conv(64, 64, 1));
  EXPECT_EQ(build("ShuffleNetStem", {24}).parameters, conv(32, 24, 3));
  EXPECT_EQ(build("ShuffleNetStem", {24}).stride, 4);
  EXPECT_EQ(build("nn.ConvTranspose2d", {8, 2, 2}).parameters, 32 * 8 * 4 + 8);
  EXPECT_EQ(build("nn.ConvTranspose2d", {8, 2, 2}).stride, 0.5);
  EXPECT_EQ(build("nn.ConvTranspose2d", {8, 3, 2, 1, 1, 1, false}).parameters, 32 * 8 * 9);
  EXPECT_EQ(build("nn.Conv2d", {8, 3, 2, 1}).parameters, 32 * 8 * 9 + 8);
  EXPECT_EQ(build("nn.AvgPool2d", {2, 2, 0}).stride, 2);
  EXPECT_EQ(build("nn.Upsample", {nullptr, 4, "nearest"}).stride, 0.25);
  EXPECT_EQ(build("nn.MaxPool2d", {3, 2, 1}).stride, 2);
  EXPECT_EQ(build("nn.BatchNorm2d", nlohmann::json::array()).parameters, 64);
}

TEST(Modules, GhostBottleneckOfStrideTwoHasADepthwiseShortcut) {
  const Built built = build("GhostBottleneck", {64, 3, 2});
  EXPECT_EQ(built.stride, 2);
  EXPECT_NE(built.graph.find_parameter("shortcut.0.conv.weight"), nullptr);
  EXPECT_NE(built.graph.find_parameter("conv.1.conv.weight"), nullptr);
  EXPECT_EQ(message_of("GhostBottleneck", {64, 3, 1}),
            "a ghost bottleneck of stride 1 keeps the 32 channels; 64 are asked for");
}

TEST(Modules, UseTheYoloBatchNormAndTheGivenActivation) {
  const Built built = build("Conv", {8});
  ASSERT_EQ(built.graph.nodes.size(), 4u);
  const auto& norm = std::get<BatchNorm>(built.graph.nodes[2].operation);
  EXPECT_EQ(norm.eps, 1e-3);
  EXPECT_EQ(norm.momentum, 0.03);
  EXPECT_EQ(std::get<Activation>(built.graph.nodes[3].operation).kind, ActivationKind::kSilu);
  // The last argument switches the activation off.
  EXPECT_EQ(build("Conv", {8, 1, 1, nullptr, 1, 1, false}).graph.nodes.size(), 3u);
}

TEST(Modules, NameTheArgumentTheyRefuse) {
  EXPECT_EQ(message_of("Conv", {64, "wide"}), "argument 1 (kernel) is \"wide\", wanted a whole number");
  EXPECT_EQ(message_of("Conv", {64, 0}), "argument 1 (kernel) is 0, wanted a whole number from 1 to 255");
  EXPECT_EQ(message_of("Conv", {64, 3, 2.5}), "argument 2 (stride) is 2.5, wanted a whole number");
  EXPECT_EQ(message_of("Conv", nlohmann::json::array()),
            "argument 0 (channels) is missing, wanted a whole number from 1 to 1048576");
  EXPECT_EQ(message_of("C2f", {64, "yes"}), "argument 1 (shortcut) is \"yes\", wanted True or False");
  EXPECT_EQ(message_of("SPPF", {64, 4}),
            "argument 1 (kernel) is 4, wanted an odd number, so that the map keeps its size");
  EXPECT_EQ(
      message_of("nn.Upsample", {nullptr, 2, "bilinear"}),
      "argument 2 (mode) is \"bilinear\", wanted nearest, the only interpolation Marrow upsamples with");
  EXPECT_EQ(message_of("Concat", {0}), "argument 0 (dimension) is 0, wanted 1 (channels)");
  EXPECT_EQ(message_of("C2f", {64, true, 1, 1e9}), "argument 3 (expansion) is 1000000000.0, wanted a number");
}

TEST(Modules, ActivationsAreTheModelsOwn) {
  GraphBuilder g;
  const Value x = g.input(4);
  const Value y = conv_unit(g, x, "a", {.out = 4}, {ActivationKind::kLeakyRelu, 0.1, {}});
  EXPECT_EQ(std::get<Activation>(g.graph().node(y).operation).slope, 0.1);
}

}  // namespace
}  // namespace marrow::nn
