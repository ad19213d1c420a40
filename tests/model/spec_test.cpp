#include "marrow/model/spec.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "marrow/base/error.h"
#include "marrow/base/yaml.h"
#include "marrow/model/configs.h"
#include "marrow/model/model.h"
#include "support/message_of.h"

namespace marrow::model {
namespace {

// What parsing, or else building, says.
std::string spec_message(std::string_view text, std::string_view scale = {}) {
  return testing::message_of([&] { build_model(parse_model_spec(text, "m.yaml", scale)); });
}

// A model of two lines, one of them the given one, on line 5 of the file.
std::string with_line(const std::string& line) {
  return "nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n\n  - " + line +
         "\nhead:\n  - [-1, 1, Classify, [nc]]\n";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(ModelSpec, ReadsEveryKey) {
  const ModelSpec spec = parse_model_spec(
      "nc: 7\nch: 4\nkpt_shape: [5, 2]\nactivation: torch.nn.LeakyReLU(0.2)\nscales:\n  a: [1, 2, 64]\n"
      "  b: [0.5, 0.25, 32]\nbackbone:\n  - [[-1], 2, nn.Upsample, [None, 2, 'nearest']]\n"
      "head:\n  - [-1, 1, Detect, [nc]]\n",
      "m.yaml", "b");
  EXPECT_EQ(spec.classes, 7);
  EXPECT_EQ(spec.channels, 4);
  EXPECT_EQ(spec.keypoint_shape, (std::vector{5, 2}));
  EXPECT_EQ(spec.activation.kind, ActivationKind::kLeakyRelu);
  EXPECT_EQ(spec.activation.slope, 0.2);
  EXPECT_EQ(spec.scale, "b");
  EXPECT_EQ(spec.factors.width, 0.25);
  EXPECT_EQ(spec.factors.max_channels, 32);
  ASSERT_EQ(spec.backbone.size(), 1u);
  EXPECT_EQ(spec.backbone[0].line, 9);
  EXPECT_TRUE(spec.backbone[0].from_list);
  EXPECT_EQ(spec.backbone[0].repeats, 2);
  EXPECT_EQ(spec.backbone[0].args, nlohmann::json({nullptr, 2, "nearest"}));
  EXPECT_TRUE(spec.warnings.empty());
}

// What files of trained networks say of them and no rule does is kept in the description of the model.
TEST(ModelSpec, UnitActivationsAndTheClassBranchSurviveTheYaml) {
  const auto text = [](const std::string& more) {
    return more +
           "nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, Conv, [16, 3, 2]]\n"
           "head:\n  - [-1, 1, Detect, [nc]]\n";
  };
  const auto built = [&](const std::string& more) {
    return build_model(parse_model_spec(text(more), "m.yaml"));
  };
  const Model plain = built("");
  // The second unit has SiLU anyway.
  const Model model = built(
      "class_branch: 24\nunit_activations: {model.0: nn.Identity(), model.1: SiLU(), model.2.cv3.0.1: "
      "ReLU()}\n");
  EXPECT_EQ(model.graph.nodes.size(), plain.graph.nodes.size() - 1);
  EXPECT_EQ(model.graph.find_parameter("model.2.cv3.0.0.conv.weight")->shape, (Shape{24, 16, 3, 3}));
  EXPECT_EQ(model.unit_activations.size(), 2u);
  EXPECT_EQ(rebuild_model(model, {}).graph, model.graph);
  EXPECT_EQ(rebuild_model(model, {}).yaml, model.yaml);

  EXPECT_TRUE(contains(spec_message(text("unit_activations: {model.0: nn.SiLUU()}\n")),
                       "m.yaml:1: unknown activation 'SiLUU'"));
  EXPECT_TRUE(contains(spec_message(text("unit_activations: [SiLU]\n")), "m.yaml:1: unit_activations is "));
  EXPECT_TRUE(contains(spec_message(text("class_branch: 0\n")),
                       "m.yaml:1: class_branch is '0', wanted a whole number"));
}

TEST(ModelSpec, LiteralsAreReadAsPythonAndYamlReadThem) {
  const auto args = [](const std::string& written) {
    return parse_model_spec(with_line("[-1, 1, X, [" + written + "]]"), "m.yaml").backbone[1].args;
  };
  using nlohmann::json;
  EXPECT_EQ(args("None, null, ~, 'None'"), json({nullptr, nullptr, nullptr, nullptr}));
  EXPECT_EQ(args("True, true, yes, False, 'True', 'yes'"), json({true, true, true, false, true, "yes"}));
  EXPECT_EQ(args("3, -3, +3, 0.5, 1e-3, '3', .5"), json({3, -3, 3, 0.5, 1e-3, 3, 0.5}));
  EXPECT_EQ(args("nearest, \"nearest\", nc"), json({"nearest", "nearest", "nc"}));
  EXPECT_EQ(args("[1, [2]], {width: 0.5}"), json({{1, {2}}, {{"width", 0.5}}}));
  EXPECT_EQ(args("nan, inf"), json({"nan", "inf"}));
}

TEST(ModelSpec, TheFirstScaleIsTakenWithAWarning) {
  const ModelSpec spec = parse_model_spec(
      "nc: 1\nscales: {q: [1, 0.5, 64], r: [1, 1, 64]}\nbackbone: [[-1, 1, Conv, [8]]]\n"
      "head: [[-1, 1, Classify, [nc]]]\n",
      "m.yaml");
  EXPECT_EQ(spec.scale, "q");
  ASSERT_EQ(spec.warnings.size(), 1u);
  EXPECT_EQ(spec.warnings[0], "m.yaml: no model scale given; taking scale 'q'");
}

TEST(ModelSpec, SplitsTheScaleLetterFromTheName) {
  const auto split = [](std::string_view stem) {
    const ScaledName name = split_scale(stem);
    return name.stem + "|" + name.scale;
  };
  EXPECT_EQ(split("yolov8s-p2"), "yolov8-p2|s");
  EXPECT_EQ(split("yolov8n"), "yolov8|n");
  EXPECT_EQ(split("yolo11x-seg"), "yolo11-seg|x");
  EXPECT_EQ(split("yolov8-seg"), "yolov8-seg|");
  EXPECT_EQ(split("yolov8"), "yolov8|");
  EXPECT_EQ(split("yolov8q"), "yolov8q|");
  EXPECT_EQ(split("my-yolov8m-starnet_s1"), "my-yolov8-starnet_s1|m");
  EXPECT_EQ(split("yolo"), "yolo|");
  EXPECT_EQ(split(""), "|");
}

TEST(ModelSpec, AFileNameChoosesScaleAndFile) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "marrow_spec_test";
  std::filesystem::create_directories(folder);
  const std::string body = "backbone: [[-1, 1, Conv, [8]]]\nhead: [[-1, 1, Classify, [nc]]]\n";
  const auto write = [&](const char* name, const std::string& head) {
    std::ofstream(folder / name) << head << body;
  };
  write("yolov8-tiny.yaml", "nc: 1\nscales: {n: [1, 1, 8], s: [1, 2, 16]}\n");
  write("yolov8n-alone.yaml", "nc: 2\nscales: {n: [1, 1, 8]}\n");
  EXPECT_EQ(load_model_spec(folder / "yolov8s-tiny.yaml").factors.width, 2);
  EXPECT_EQ(load_model_spec(folder / "yolov8n-alone.yaml").classes, 2);
  EXPECT_THROW(load_model_spec(folder / "yolov8n-missing.yaml"), Error);
  EXPECT_TRUE(
      contains(spec_message("nc: 1\nscales: {n: [1, 1, 8]}\n" + body, "z"), "m.yaml:2: unknown scale 'z'."));
  std::filesystem::remove_all(folder);
}

TEST(ModelSpec, WritesWhatItReads) {
  for (const EmbeddedText& config : embedded_configs()) {
    SCOPED_TRACE(config.name);
    const std::string own = split_scale(std::filesystem::path(config.name).stem().string()).scale;
    const std::string scale = own.empty() ? "m" : own;
    const ModelSpec spec = parse_model_spec(config.text, std::string(config.name), scale);
    const std::string text = to_yaml(spec);
    const ModelSpec again = parse_model_spec(text, "again");
    EXPECT_EQ(again.scale, scale);
    EXPECT_EQ(again.reg_max, spec.reg_max);
    EXPECT_EQ(again.end2end, spec.end2end);
    EXPECT_TRUE(again.warnings.empty());
    EXPECT_EQ(again.factors.width, spec.factors.width);
    EXPECT_EQ(again.classes, spec.classes);
    ASSERT_EQ(again.backbone.size(), spec.backbone.size());
    ASSERT_EQ(again.head.size(), spec.head.size());
    for (size_t i = 0; i < spec.head.size(); ++i) {
      EXPECT_EQ(again.head[i].module, spec.head[i].module);
      EXPECT_EQ(again.head[i].args, spec.head[i].args);
      EXPECT_EQ(again.head[i].from, spec.head[i].from);
    }
    EXPECT_EQ(to_yaml(again), text);
  }
}

TEST(Activations, AreReadByTheirTorchNames) {
  EXPECT_EQ(parse_activation("nn.ReLU()").kind, ActivationKind::kRelu);
  EXPECT_EQ(parse_activation("ReLU6").kind, ActivationKind::kRelu6);
  EXPECT_EQ(parse_activation("torch.nn.Hardswish(inplace=True)").kind, ActivationKind::kHardSwish);
  EXPECT_EQ(parse_activation("nn.LeakyReLU").slope, 0.01);
  EXPECT_EQ(parse_activation("nn.LeakyReLU(negative_slope=0.3, inplace=True)").slope, 0.3);
  EXPECT_EQ(parse_activation("nn.ELU()").slope, 1.0);
  for (const char* bad : {"nn.Relu()", "nn.ReLU(3)", "nn.ReLU(", "nn.PReLU()", "os.system('x')", "",
                          "nn.LeakyReLU(inf)", "nn.LeakyReLU(,)"})
    EXPECT_THROW(parse_activation(bad), Error) << bad;
}

TEST(BadModelFiles, NameFileLineKeyAndTheNearestName) {
  const auto layer = [](const std::string& line) { return spec_message(with_line(line)); };
  EXPECT_EQ(spec_message(""), "m.yaml: a model is a mapping with 'backbone' and 'head'; this is nothing");
  EXPECT_EQ(spec_message("[1, 2]"),
            "m.yaml:1: a model is a mapping with 'backbone' and 'head'; this is a list of 2");
  EXPECT_TRUE(contains(spec_message("nc: 1\nbackbon: []\n"),
                       "m.yaml:2: unknown key 'backbon'. Did you mean 'backbone'?"));
  EXPECT_EQ(spec_message("nc: 1\nnc: 2\n"), "m.yaml:2: key 'nc' is there twice");
  EXPECT_EQ(spec_message("nc: many\n"), "m.yaml:1: nc is 'many', wanted a whole number from 1 to 65536");
  EXPECT_EQ(spec_message("nc: 1\nbackbone: []\nhead: []\n"),
            "m.yaml:2: backbone is a list of 0, wanted a list of [from, repeats, module, args]");
  EXPECT_EQ(spec_message("nc: 1\nhead: [[-1, 1, Conv, [8]]]\n"), "m.yaml:1: key 'backbone' is missing");
  EXPECT_EQ(spec_message("backbone: [[-1, 1, Conv, [8]]]\nhead: [[-1, 1, Classify, [nc]]]\n"),
            "m.yaml: key 'nc' (the number of classes) is missing");
  EXPECT_EQ(spec_message("nc: 1\nscales: [n]\n"),
            "m.yaml:2: scales is a list of 1, wanted a mapping of letters to [depth, width, max_channels]");
  EXPECT_EQ(spec_message("nc: 1\nscales:\n  n: [0.3, wide, 8]\n"),
            "m.yaml:3: the width of a scale is 'wide', wanted a number above 0, at most 100");
  EXPECT_TRUE(contains(spec_message("nc: 1\nactivation: nn.Relu()\n"),
                       "m.yaml:2: unknown activation 'Relu'. Did you mean 'ReLU'?"));
  EXPECT_EQ(layer("[-1, 1, Conv]"), "m.yaml:5: a layer is a list of 3, wanted [from, repeats, module, args]");
  EXPECT_EQ(layer("[-1, 0, Conv, [8]]"), "m.yaml:5: repeats is '0', wanted a whole number from 1 to 200");
  EXPECT_EQ(layer("[-1.5, 1, Conv, [8]]"),
            "m.yaml:5: 'from' is '-1.5', wanted a whole number from -1000 to 1004");
  EXPECT_EQ(layer("[-1, 1, Conv, 8]"), "m.yaml:5: args are '8', wanted a list");
}

TEST(BadModels, NameTheLayer) {
  const auto layer = [](const std::string& line) { return spec_message(with_line(line)); };
  EXPECT_TRUE(contains(layer("[-1, 1, Cnov, [8]]"),
                       "m.yaml:5: layer 1 (Cnov): unknown module 'Cnov'. Did you mean 'Conv'?"));
  EXPECT_TRUE(contains(layer("[-1, 1, starnet_s5, [8]]"), "Did you mean 'starnet_s"));
  EXPECT_EQ(
      layer("[1, 1, Conv, [8]]"),
      "m.yaml:5: layer 1 (Conv): 'from' names layer 1, which comes to itself; layers read earlier ones");
  EXPECT_EQ(layer("[7, 1, Conv, [8]]"),
            "m.yaml:5: layer 1 (Conv): 'from' names layer 7, which comes later; layers read earlier ones");
  EXPECT_EQ(layer("[-9, 1, Conv, [8]]"),
            "m.yaml:5: layer 1 (Conv): 'from' -9 reaches before the first layer");
  EXPECT_EQ(layer("[-1, 1, Conv, []]"),
            "m.yaml:5: layer 1 (Conv): argument 0 (channels) is missing, wanted the number of channels");
  EXPECT_EQ(layer("[-1, 1, Conv, [-8]]"),
            "m.yaml:5: layer 1 (Conv): argument 0 (channels) is -8, wanted a whole number from 1 to 65536");
  EXPECT_EQ(layer("[-1, 1, Conv, [8, three]]"),
            "m.yaml:5: layer 1 (Conv): argument 1 (kernel) is \"three\", wanted a whole number");
  EXPECT_TRUE(contains(layer("[-1, 1, Conv, [8, 3, 2, 1, 1, 1, True, 9]]"),
                       "8 arguments, at most 7 are known: channels, kernel"));
  EXPECT_EQ(layer("[[-1, 0], 1, Conv, [8]]"),
            "m.yaml:5: layer 1 (Conv): 'from' names 2 layers; this module reads one");
  EXPECT_TRUE(contains(layer("[-1, 3, Conv, [32, 3]]"),
                       "3 repeats need as many output channels as input channels, not 32 and 16"));
  EXPECT_TRUE(contains(layer("[-1, 1, Conv, [8, 3, 1, None, 5]]"), "do not divide into 5 groups"));
  EXPECT_TRUE(contains(layer("[-1, 1, Classify, [nc]]"),
                       "layer 2 (Classify): it follows the head, which must be the last layer"));
  EXPECT_EQ(spec_message("nc: 1\nbackbone: [[-1, 1, Conv, [8]]]\nhead: [[-1, 1, Conv, [8]]]\n"),
            "m.yaml: the last layer is Conv, wanted a head: Classify, Detect, OBB, Pose, Segment, v10Detect");
}

TEST(BadModels, AConcatOfUnequalSizesNamesBothLayers) {
  const std::string message = spec_message(
      "nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, Conv, [16, 3, 2]]\n"
      "  - [[-1, 0], 1, Concat, [1]]\nhead:\n  - [-1, 1, Classify, [nc]]\n");
  EXPECT_TRUE(contains(message, "m.yaml:5: layer 2 (Concat): ")) << message;
  EXPECT_TRUE(contains(message, "model.0")) << message;
  EXPECT_TRUE(contains(message, "model.1")) << message;
  // Equal strides, unequal sizes: an unpadded convolution shrinks its map.
  const std::string shrunk = spec_message(
      "nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, Conv, [16, 3, 1, 0]]\n"
      "  - [[-1, 0], 1, Concat, [1]]\nhead:\n  - [-1, 1, Classify, [nc]]\n");
  EXPECT_TRUE(contains(shrunk, "m.yaml:5: layer 2 (Concat): ")) << shrunk;
  EXPECT_TRUE(contains(shrunk, "differ in size: (1, 16, 126, 126) and (1, 16, 128, 128)")) << shrunk;
  const std::string level = spec_message(
      "nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2, 0]]\nhead:\n  - [[-1], 1, Detect, [nc]]\n");
  EXPECT_TRUE(contains(level, "m.yaml:5: layer 1 (Detect): level 'feat0' has 127 rows for 256 pixels"))
      << level;
}

Place place_of(const std::string& yaml) {
  try {
    build_model(parse_model_spec(yaml, "m.yaml"));
  } catch (const Error& error) {
    return error.place();
  }
  return {.file = "nothing was thrown"};
}

TEST(BadModels, CarryTheirPlace) {
  const std::string head = "head:\n  - [-1, 1, Classify, [nc]]\n";
  // YAML, a setting, a layer whose module refuses, an operation whose channels do not fit, and one whose
  // sizes do not meet, which the layers' shapes tell in the end.
  EXPECT_EQ(place_of("nc: 4\nbackbone: [\n"), (Place{.file = "m.yaml", .line = 3}));
  EXPECT_EQ(place_of("nc: 4\nactivation: nn.Relu()\n"), (Place{.file = "m.yaml", .line = 2}));
  EXPECT_EQ(place_of("nc: 4\nbackbone:\n  - [-1, 1, Conv, [-8]]\n" + head),
            (Place{.file = "m.yaml", .line = 3}));
  EXPECT_EQ(place_of("nc: 4\nbackbone:\n  - [-1, 1, Conv, [8, 3, 1, None, 5]]\n" + head),
            (Place{.file = "m.yaml", .line = 3, .node = "model.0"}));
  EXPECT_EQ(place_of("nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, Conv, [16, 3, 1, 0]]\n"
                     "  - [[-1, 0], 1, Concat, [1]]\n" +
                     head),
            (Place{.file = "m.yaml", .line = 5, .node = "model.2"}));
}

// Every refusal within a second, and within bounded memory.
TEST(HostileModelFiles, AreRefusedQuickly) {
  std::string doubling = "nc: 4\nbackbone:\n  - [-1, 1, Conv, [64]]\n";
  for (int i = 0; i < 500; ++i) doubling += "  - [[-1, -1], 1, Concat, [1]]\n";
  std::string upsampling = "nc: 4\nbackbone:\n  - [-1, 1, Conv, [64]]\n";
  for (int i = 0; i < 500; ++i) upsampling += "  - [-1, 1, nn.Upsample, [None, 64, nearest]]\n";
  std::string units = "nc: 4\nbackbone:\n  - [-1, 1, Conv, [64]]\n";
  for (int i = 0; i < 900; ++i) units += "  - [-1, 200, C3Ghost, [64]]\n";
  std::string huge = "nc: 4\nbackbone:\n";
  for (int i = 0; i < 900; ++i) huge += "  - [-1, 1, Conv, [65536, 255]]\n";
  std::string lines = "nc: 4\nbackbone:\n";
  for (int i = 0; i < 5000; ++i) lines += "  - [-1, 1, Conv, [8]]\n";
  const std::string head = "head:\n  - [-1, 1, Classify, [nc]]\n";
  std::string bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const char p = static_cast<char>(c - 1);
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) bomb += std::string(i > 0 ? "," : "") + "*" + p;
    bomb += "]\n";
  }
  std::string dashes;
  for (int i = 0; i < 20000; ++i) dashes += "- ";
  std::string keys;
  for (int i = 0; i < 60000; ++i) keys += std::to_string(i) + ": 1\n";
  std::string binary = "nc: 1\n";
  binary += '\0';
  binary += '\x01';
  const std::pair<std::string, std::string> cases[] = {
      {doubling + head, "output channels, at most 65536 are possible"},
      {upsampling + head, "a map's stride lies between"},
      {units + head, "too many repeats"},
      {huge + head, "parameters here"},
      {lines + head, "more than 1000 layers"},
      {bomb, "aliases written out"},
      {"a: &a [*a]\n", "nested deeper than 16"},
      {std::string(100000, '['), "not valid YAML"},
      {std::string(100000, '{'), "not valid YAML"},
      {dashes, "m.yaml"},
      {keys, "more than 10000 keys"},
      {binary, "m.yaml:2: this is not a text file"},
      {std::string(kMaxYamlBytes + 1, 'a'), "1048577 bytes; a YAML file has at most 1048576"},
      {"\x7f"
       "ELF\x02\x01\x01",
       "this is not a text file"},
      {"nc: [1\n", "not valid YAML"},
      {"nc: 99999999999999999999\n", "wanted a whole number"},
      {with_line("[-1, 1, Conv, [8, 999999]]"), "a whole number from 1 to 255"},
      {with_line("[-1, 1, nn.MaxPool2d, [3, 1, -1]]"), "max_pool"},
      {with_line("[-1, 1, C2f, [8, True, 1, -0.5]]"), "an expansion of -0.5"},
      {with_line("[-1, 1, Conv, [8, 255, 1, 0]]"), "too small for this model"},
  };
  for (const auto& [text, wanted] : cases) {
    const auto start = std::chrono::steady_clock::now();
    const std::string message = spec_message(text);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_TRUE(contains(message, wanted)) << "wanted " << wanted << "\ngot " << message.substr(0, 300);
    EXPECT_LT(seconds.count(), 10) << wanted;  // a hang, not a benchmark
    RecordProperty("seconds", std::to_string(seconds.count()));
  }
}

// Cut and damaged files: an Error or a model, never anything else.
TEST(HostileModelFiles, TruncatedAndDamagedFilesNeverDoHarm) {
  const std::string whole(embedded_configs().front().text);
  for (size_t length = 0; length < whole.size(); length += 7) spec_message(whole.substr(0, length), "n");
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525 + 1013904223; };
  constexpr std::string_view kBytes = "[]{},:-&*!|>'\"#%@`0159 \n\tnaN~";
  for (int round = 0; round < 300; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i) damaged[next() % damaged.size()] = kBytes[(next() >> 16) % kBytes.size()];
    spec_message(damaged, "n");
  }
}

}  // namespace
}  // namespace marrow::model
