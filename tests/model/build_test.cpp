#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/blocks/conv.h"
#include "support/graphs.h"
#include "support/message_of.h"

namespace marrow::model {
namespace {

TEST(Build, NamesParametersByPosition) {
  const Model model = make_model("yolov8n-starnet_s1");
  EXPECT_NE(model.graph.find_parameter("model.0.stages.0.1.f1.conv.weight"), nullptr);
  EXPECT_NE(model.graph.find_parameter("model.1.cv1.conv.weight"), nullptr);  // SPPF
  EXPECT_NE(model.graph.find_parameter("model.14.dfl.conv.weight"), nullptr);
  ASSERT_EQ(model.layers.size(), 15u);
  EXPECT_TRUE(model.layers[0].backbone);
  EXPECT_EQ(model.layers[1].logical, 5);
  EXPECT_EQ(model.layers[14].logical, 18);
  EXPECT_EQ(model.layers[14].from, (std::vector{11, 14, 17}));
  EXPECT_EQ(model.strides, (std::vector<double>{8, 16, 32}));
  for (const char* tap : {"c2", "c3", "c4", "c5", "feat0", "feat2", "output0"})
    EXPECT_NO_THROW(model.graph.find(tap)) << tap;
}

TEST(Build, SetsHeadBiasesFromStrides) {
  const Model model = make_model("yolov8n", "", {.classes = 3});
  EXPECT_EQ(model.graph.find_parameter("model.22.cv2.1.2.bias")->init.value, 1);
  const double bias = model.graph.find_parameter("model.22.cv3.1.2.bias")->init.value;
  EXPECT_NEAR(bias, std::log(5.0 / 3 / (40 * 40)), 1e-12);
}

TEST(Build, TheActivationOfAModelIsItsOwn) {
  const auto kind = [](std::string_view key) {
    const std::string text = std::string(key) +
                             "nc: 2\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\n"
                             "head: [[-1, 1, Classify, [nc]]]\n";
    const Model model = build_model(parse_model_spec(text, "m"));
    return std::get<Activation>(model.graph.node(model.layers[0].outputs[0]).operation).kind;
  };
  EXPECT_EQ(kind("activation: nn.ReLU()\n"), ActivationKind::kRelu);
  EXPECT_EQ(kind(""), ActivationKind::kSilu);
}

// A width that equals nc is not scaled.
TEST(Build, ChannelsAreScaledUnlessTheyEqualTheClasses) {
  const std::string text =
      "nc: 40\nscales: {n: [1, 0.25, 1024], x: [1, 1.25, 512]}\nbackbone:\n  - [-1, 1, Conv, [40, 3, 2]]\n"
      "  - [-1, 1, Conv, [100, 3, 2]]\n  - [-1, 1, Conv, [1024, 3, 2]]\nhead: [[-1, 1, Classify, [nc]]]\n";
  const auto channels = [&](std::string_view scale, size_t layer) {
    const Model model = build_model(parse_model_spec(text, "m", scale));
    return model.graph.node(model.layers[layer].outputs[0]).channels;
  };
  EXPECT_EQ(channels("n", 0), 40);
  EXPECT_EQ(channels("n", 1), 32);   // 25, up to 8
  EXPECT_EQ(channels("x", 2), 640);  // min(1024, 512) * 1.25
}

// 0.33 * 6 = 1.98 -> 2; a tie goes to the even number, as in Python: 0.5 * 5 -> 2, 0.5 * 7 -> 4.
TEST(Build, DepthIsRoundedHalfToEven) {
  const auto repeats = [](double depth, int n) {
    const std::string text = "nc: 2\ndepth_multiple: " + std::to_string(depth) +
                             "\nbackbone: [[-1, 1, Conv, [8]], [-1, " + std::to_string(n) +
                             ", C2f, [8]]]\nhead: [[-1, 1, Classify, [nc]]]\n";
    return build_model(parse_model_spec(text, "m")).layers[1].repeats;
  };
  EXPECT_EQ(repeats(0.33, 3), 1);
  EXPECT_EQ(repeats(0.33, 6), 2);
  EXPECT_EQ(repeats(0.5, 5), 2);
  EXPECT_EQ(repeats(0.5, 7), 4);
  EXPECT_EQ(repeats(0.1, 2), 1);
  EXPECT_EQ(repeats(0.1, 1), 1);
}

TEST(Build, RepeatedModulesBecomeAChain) {
  const Model model = build_model(parse_model_spec(
      "nc: 2\nbackbone: [[-1, 1, Conv, [8]], [-1, 3, Conv, [8, 3]]]\nhead: [[-1, 1, Classify, [nc]]]\n",
      "m"));
  EXPECT_NE(model.graph.find_parameter("model.1.2.conv.weight"), nullptr);
  EXPECT_EQ(model.graph.find_parameter("model.1.3.conv.weight"), nullptr);
}

TEST(Build, NamesAndClassesCanBeGiven) {
  const Model named = make_model("yolov8n", "", {.names = {"cat", "dog"}});
  EXPECT_EQ(named.names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(named.graph.node(named.graph.find("output0")).channels, 6);
  const Model counted = make_model("yolov8n", "", {.classes = 3});
  EXPECT_EQ(counted.names, (std::vector<std::string>{"class_0", "class_1", "class_2"}));
  EXPECT_THROW(make_model("yolov8n", "", {.classes = 0}), Error);
}

TEST(Build, ItsYamlBuildsItAgain) {
  for (const char* name : {"yolov8s-p2-starnet_s050", "yolov8n-pose", "starnet_s050", "yolov8n"}) {
    SCOPED_TRACE(name);
    const Model model = make_model(name, "", {.names = {"a 'b'", "ü", "null"}});
    const Model again = build_model(parse_model_spec(model.yaml, "stored"));
    testing::expect_same(again.graph, model.graph);
    EXPECT_EQ(again.names, model.names);
    EXPECT_EQ(again.scale, model.scale);
    EXPECT_EQ(again.yaml, model.yaml);
    const Model wider = rebuild_model(model, {.classes = 9});
    EXPECT_EQ(wider.classes(), 9);
  }
}

TEST(Build, BackboneLinesTakeSettingsOrAWidth) {
  const auto parameters = [](const std::string& line) {
    ModelSpec spec = parse_model_spec(
        "nc: 2\nbackbone:\n  - " + line + "\n  - [-1, 1, Conv, [8]]\nhead: [[-1, 1, Classify, [nc]]]\n",
        "m.yaml");
    return summarize(build_model(spec), 64, 64).layers[0].parameters;
  };
  const auto message = [&](const std::string& line) -> std::string {
    return testing::message_of([&] { parameters(line); });
  };
  EXPECT_EQ(parameters("[-1, 1, pp_lcnet, [0.25]]"), parameters("[-1, 1, pp_lcnet_x0_25, []]"));
  EXPECT_EQ(parameters("[-1, 1, efficientnet_b0, [{width: 1.1, depth: 1.2}]]"),
            parameters("[-1, 1, efficientnet_b2, []]"));
  EXPECT_NE(message("[-1, 1, efficientnet_b0, [{wdith: 1.1}]]").find("Did you mean 'width'?"),
            std::string::npos);
  EXPECT_NE(message("[-1, 2, starnet_s1, []]").find("layer 0 (starnet_s1): repeats are 2"),
            std::string::npos);
  EXPECT_NE(message("[-1, 1, vanillanet_13_x1_5_ada_pool, []]").find("needs strides 4, 8, 16 and 32"),
            std::string::npos);
  EXPECT_NE(message("[-1, 1, pp_lcnet, [1, 2]]").find("one mapping, one number"), std::string::npos);
}

TEST(Build, TheEmptyPlaceOfABackboneCannotBeRead) {
  try {
    build_model(
        parse_model_spec("nc: 2\nbackbone:\n  - [-1, 1, vanillanet_5, []]\n  - [0, 1, Conv, [8]]\n"
                         "head: [[-1, 1, Classify, [nc]]]\n",
                         "m.yaml"));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "m.yaml:4: layer 5 (Conv): 'from' names layer 0, the empty first place of the backbone; its "
                 "maps are layers 1 to 4 (strides 4, 8, 16 and 32)");
  }
}

TEST(Build, AFirstPlaceIsTheMapAtStrideTwoWhereThereIsOne) {
  for (const char* name : {"starnet_s1", "lcnet_050", "efficientnet_b0"}) {
    const Model model =
        build_model(parse_model_spec("nc: 2\nbackbone:\n  - [-1, 1, " + std::string(name) +
                                         ", []]\n  - [0, 1, Conv, [8]]\nhead: [[-1, 1, Classify, [nc]]]\n",
                                     "m.yaml"));
    EXPECT_EQ(model.graph.node(model.layers[1].outputs.at(0)).stride, 2) << name;
  }
}

// What forks write of a line that Marrow 0.1 read as another network is read as they mean it, with a note.
TEST(Build, NamesOfForksMeanWhatForksMean) {
  const auto spec = [](const std::string& line) {
    return parse_model_spec("nc: 2\nwidth_multiple: 0.5\nbackbone:\n  - [-1, 1, Conv, [32, 3, 2]]\n  - " +
                                line + "\nhead: [[-1, 1, Classify, [nc]]]\n",
                            "m.yaml");
  };
  const Model block = build_model(spec("[-1, 1, VanillaBlock, [96, 1, 2]]"));
  EXPECT_EQ(block.graph.find_parameter("model.1.act.weight")->shape, (Shape{48, 1, 3, 3}));
  EXPECT_EQ(block.graph.node(block.layers[1].outputs.at(0)).stride, 4);
  ASSERT_EQ(block.warnings.size(), 1u);
  EXPECT_EQ(
      block.warnings[0],
      "m.yaml:5: VanillaBlock is read as VanillaNet block of YOLOv8 forks, [out, act_num 3, stride 2], out "
      "scaled. In a file for Marrow 0.1 it is what is now VanillaNetBlock");
  EXPECT_EQ(build_model(spec("[-1, 1, VanillaBlock, [96]]")).layers[1].args, "[16, 48]");
  EXPECT_NE(
      build_model(spec("[-1, 1, ShuffleNetV2, [96, 2]]")).graph.find_parameter("model.1.branch2.3.bias"),
      nullptr);
  const auto refusal = [&](const std::string& line) {
    return testing::message_of([&] { build_model(spec(line)); }, ErrorKind::kUnsupported);
  };
  EXPECT_EQ(refusal("[-1, 1, MBConv, [40, 3, 2, 6]]"),
            "m.yaml:5: layer 1 (MBConv): MBConv is EfficientNetV2's block in YOLOv8 forks; what Marrow 0.1 "
            "called so "
            "is EfficientNetBlock; Marrow does not build it");
  EXPECT_NE(refusal("[-1, 1, VanillaStem, [40]]").find("VanillaNetStem"), std::string::npos);
  EXPECT_NE(refusal("[-1, 1, stem, [40, 3, 2]]").find("EfficientNetV2"), std::string::npos);
}

// The other convention: ordinary numbers, and lines that pick a map each.
TEST(Build, IndexLinesPickMaps) {
  const Model model = build_model(parse_model_spec(
      "nc: 2\nbackbone:\n  - [-1, 1, starnet_s050, []]\n  - [0, 1, Index, [32, 1]]\n"
      "  - [0, 1, Index, [64, 2]]\n  - [0, 1, Index, [128, 3]]\nhead:\n  - [[1, 2, 3], 1, Detect, [nc]]\n",
      "m.yaml"));
  EXPECT_EQ(model.strides, (std::vector<double>{8, 16, 32}));
  EXPECT_EQ(model.layers[4].logical, 4);
  EXPECT_EQ(model.save, (std::vector{0, 1, 2, 3}));
  EXPECT_THROW(build_model(parse_model_spec(
                   "nc: 2\nbackbone:\n  - [-1, 1, starnet_s050, []]\n  - [0, 1, Index, [99, 1]]\n"
                   "head:\n  - [[1], 1, Detect, [nc]]\n",
                   "m.yaml")),
               Error);
}

TEST(Build, AClassifierByNameIsAModelFileToo) {
  const auto build = [](const std::string& text) { return build_model(parse_model_spec(text, "m.yaml")); };
  const Model model = build("classifier: efficientnet_b0\nsettings: {source: timm}\nnc: 10\n");
  EXPECT_EQ(model.task, "classify");
  EXPECT_EQ(model.graph.node(model.graph.find("logits")).channels, 10);
  EXPECT_NE(model.yaml.find("timm"), std::string::npos);
  EXPECT_THROW(build("classifier: efficientnet_b0\nsettings: 3\nnc: 10\n"), Error);
  EXPECT_THROW(build("classifier: efficientnet_b0\nbackbone: []\nnc: 10\n"), Error);
  EXPECT_THROW(build("classifier: vanillanet\nnc: 10\nsettings: {dims: [65536, 65536], strides: [2]}\n"),
               Error);
}

}  // namespace
}  // namespace marrow::model
