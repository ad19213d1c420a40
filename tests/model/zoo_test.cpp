#include "marrow/model/zoo.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/model/configs.h"
#include "marrow/model/summary.h"
#include "marrow/nn/backbones/backbone.h"
#include "support/message_of.h"

namespace marrow::model {
namespace {

std::string zoo_message(std::string_view name, std::string_view backbone = {}) {
  return testing::message_of([&] { make_model(name, backbone); });
}

TEST(Zoo, EveryNameBuilds) {
  for (const std::string& name : zoo_names()) {
    // Large classifiers are built by their own tests; here every YAML in every scale.
    SCOPED_TRACE(name);
    const Model model = make_model(name);
    EXPECT_FALSE(model.graph.outputs.empty());
    EXPECT_TRUE(model.warnings.empty());
  }
}

// YOLO11's heads of other tasks are YOLOv8's, with a class branch in its own form.
TEST(Zoo, Yolo11HasTheHeadsOfYolov8) {
  const int64_t boxes = count_parameters(make_model("yolo11s", {}, {.classes = 7}).graph);
  for (const auto& [suffix, task] : {std::pair("seg", "segment"), {"pose", "pose"}, {"obb", "obb"}}) {
    SCOPED_TRACE(suffix);
    const auto more = [&](const Model& model) {  // parameters of the third branch
      int64_t count = 0;
      for (const Parameter& parameter : model.graph.parameters)
        if (parameter.name.find(".cv4.") != std::string::npos ||
            parameter.name.find(".proto.") != std::string::npos)
          count += parameter.counted() ? element_count(parameter.shape) : 0;
      return count;
    };
    const Model model = make_model(fmt::format("yolo11s-{}", suffix), {}, {.classes = 7});
    EXPECT_EQ(model.task, task);
    EXPECT_GT(more(model), 0);
    EXPECT_EQ(more(model), more(make_model(fmt::format("yolov8s-{}", suffix), {}, {.classes = 7})));
    EXPECT_EQ(count_parameters(model.graph), boxes + more(model));
  }
  // As published; the poses of one class.
  EXPECT_EQ(count_parameters(make_model("yolo11n-seg").graph), 2876848);
  EXPECT_EQ(count_parameters(make_model("yolo11n-pose").graph), 2874462);
  EXPECT_EQ(count_parameters(make_model("yolo11n-obb").graph), 2695747);
}

TEST(Zoo, UnknownNamesGetTheNearest) {
  EXPECT_NE(zoo_message("yolov8n-startnet")
                .find("unknown model 'yolov8n-startnet'. Did you mean 'yolov8n-starnet'?"),
            std::string::npos);
  for (const auto& [name, meant] : {std::pair("yolov8n-starnet_s1-pose", "yolov8n-pose-starnet_s1"),
                                    {"yolov8n-pose-starnet_s9", "yolov8n-pose-starnet_s1"},
                                    {"yolo8s-seg-efficientnet_b0", "yolov8s-seg-efficientnet_b0"},
                                    {"yolov11n", "yolo11n"},
                                    {"yolov8m-efficientnetb1-obb", "yolov8m-obb-efficientnet_b1"},
                                    {"yolo12n-pose", "yolo11n-pose"}})
    EXPECT_NE(zoo_message(name).find(fmt::format("unknown model '{}'. Did you mean '{}'?", name, meant)),
              std::string::npos)
        << zoo_message(name);
  EXPECT_NE(zoo_message("zebra").find("unknown model 'zebra'. Known: "), std::string::npos);
  EXPECT_NE(zoo_message("best.pt").find("best.pt: no such file"), std::string::npos);
  EXPECT_NE(zoo_message("starnet_s5").find("Did you mean 'starnet_s"), std::string::npos);
  EXPECT_NE(zoo_message("yolov8n", "starnet_s5").find("unknown backbone 'starnet_s5'"), std::string::npos);
  EXPECT_NE(zoo_message("nowhere/yolov8n.yaml").find("nowhere/yolov8"), std::string::npos);
  EXPECT_NE(zoo_message("starnet_s1", "starnet_s2").find("is a classifier by name"), std::string::npos);
}

// The one-line YAMLs of configs/, written by hand, are what replacing the backbone makes.
TEST(Zoo, ReplacedBackbonesEqualTheHandwrittenForm) {
  for (const char* file : {"starnet", "shufflenetv2", "vanillanet", "pplcnet", "efficientnet"}) {
    SCOPED_TRACE(file);
    const ModelSpec written = find_model_spec(fmt::format("yolov8s-{}", file));
    const std::string backbone = written.backbone.front().module;
    const ModelSpec replaced = find_model_spec("yolov8s", backbone);
    EXPECT_EQ(to_yaml(replaced), to_yaml(written));
    EXPECT_EQ(to_yaml(find_model_spec(fmt::format("yolov8s-{}", backbone))), to_yaml(written));
    // On a model that already has a backbone of one line, only the name changes.
    EXPECT_EQ(to_yaml(find_model_spec("yolov8s-starnet", backbone)), to_yaml(written));
  }
}

TEST(Zoo, EveryYoloModelTakesABackbone) {
  for (const std::string& name : zoo_names()) {
    // Of YOLOv10 each scale is a network of its own.
    if (split_scale(name).scale != "n" && !name.starts_with("yolov10")) continue;
    SCOPED_TRACE(name);
    const Model plain = make_model(name);
    const Model model = make_model(name, "starnet_s050");
    EXPECT_EQ(model.layers[0].module, "starnet_s050");
    EXPECT_EQ(model.strides, plain.strides);
    EXPECT_EQ(model.task, plain.task);
    const Layer& last = model.layers.back();
    const Layer& plain_last = plain.layers.back();
    EXPECT_EQ(last.module, plain_last.module);
    // A detector's neck ends in the same widths, so its head does not change.
    if (model.task == "classify") continue;
    EXPECT_EQ(summarize(model, 128, 128).layers.back().parameters,
              summarize(plain, 128, 128).layers.back().parameters);
  }
}

TEST(Zoo, EveryBackboneFeedsADetectorOrSaysWhyNot) {
  for (const nn::BackboneFamily* family : nn::backbone_families())
    for (const nn::BackboneVariant& variant : family->variants) {
      SCOPED_TRACE(variant.name);
      if (variant.name.find("ada_pool") != std::string::npos) {
        EXPECT_NE(zoo_message("yolov8n", variant.name).find("needs strides 4, 8, 16 and 32"),
                  std::string::npos);
        continue;
      }
      const Model model = make_model(fmt::format("yolov8n-{}", variant.name));
      EXPECT_EQ(model.strides, (std::vector<double>{8, 16, 32}));
    }
}

// Unit by unit, the same network as in one line: what differs is only how the lines are numbered.
TEST(Zoo, UnitsAddUpToTheWholeBackbone) {
  for (const char* file : {"starnet", "shufflenetv2", "vanillanet", "pplcnet", "efficientnet"}) {
    SCOPED_TRACE(file);
    const Model whole = make_model(fmt::format("yolov8n-{}", file));
    const Model units = make_model(fmt::format("yolov8n-{}-units", file));
    EXPECT_EQ(count_parameters(units.graph), count_parameters(whole.graph));
    EXPECT_EQ(count_macs(units.graph, 320, 256), count_macs(whole.graph, 320, 256));
  }
}

TEST(Zoo, AReaderInsideTheReplacedPartIsNamed) {
  ModelSpec spec = find_model_spec("yolov8n");
  spec.head[1].from[1] = 5;  // the convolution before the last layer of stride 16
  try {
    replace_backbone(spec, "starnet_s1");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("layer 11 (Concat) reads layer 5, inside the backbone"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace marrow::model
