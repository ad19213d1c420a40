// Every model that golden/yolov8/models lists, built from our YAMLs: counts, tables and indices.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

// The entry's file may carry a note after its name: "yolov8n.yaml nc=4".
std::string model_name(const json& entry) {
  const std::string file = entry.at("file");
  return file.substr(0, file.find(' '));
}

model::Model build_entry(const json& entry) {
  return model::make_model(model_name(entry), "", {.classes = entry.at("nc").get<int>()});
}

const std::map<std::string, std::string> kTasks = {{"DetectionModel", "detect"},
                                                   {"SegmentationModel", "segment"},
                                                   {"PoseModel", "pose"},
                                                   {"OBBModel", "obb"},
                                                   {"ClassificationModel", "classify"}};

void expect_summary(const json& entry) {
  const model::Model model = build_entry(entry);
  const int size = entry.at("imgsz");
  const model::Summary summary = model::summarize(model, size, size);
  EXPECT_EQ(model.task, kTasks.at(entry.at("task")));
  EXPECT_EQ(model.classes(), entry.at("nc").get<int>());
  EXPECT_EQ(summary.parameters, entry.at("params").get<int64_t>());
  EXPECT_EQ(summary.gradients, entry.at("gradients").get<int64_t>());
  EXPECT_NEAR(summary.gflops / entry.at("gflops").get<double>(), 1, 1e-9);
  EXPECT_EQ(summary.fused_parameters, entry.at("fused_params").get<int64_t>());
  EXPECT_NEAR(summary.fused_gflops / entry.at("fused_gflops").get<double>(), 1, 1e-9);
  EXPECT_EQ(summary.leaf_layers, entry.at("leaf_layers").get<int>());
  EXPECT_EQ(summary.fused_leaf_layers, entry.at("fused_leaf_layers").get<int>());
  EXPECT_EQ(summary.modules, entry.at("modules_total").get<int>());
  EXPECT_EQ(summary.state_tensors, entry.at("state_dict_tensors").get<int>());
  // Later releases give classifiers a stride too.
  if (model.task != "classify") {
    EXPECT_EQ(model.strides, entry.value("strides", std::vector<double>{}));
  }
  EXPECT_EQ(model.save, entry.at("save").get<std::vector<int>>());
}

TEST(parity_models, SummariesEqualTheReferences) {
  for (const char* file : {"yolov8/models/summary.json", "compat/models/summary.json"})
    testing::for_each_golden(file, [](const std::filesystem::path& path) {
      const json entries = testing::read_json(path);
      ASSERT_FALSE(entries.empty());
      for (const json& entry : entries) {
        SCOPED_TRACE(entry.at("file").get<std::string>());
        expect_summary(entry);
      }
    });
}

// The reference lists a head's outputs as it returns them: raw maps, or [raw maps, maps of the third branch
// joined along the anchors, further outputs].
json head_shapes(const model::Model& model, const std::vector<Shape>& shapes) {
  const size_t levels = model.strides.size();
  const json raw(std::vector<Shape>(shapes.begin(), shapes.begin() + static_cast<long>(levels)));
  if (shapes.size() == levels) return raw;
  int64_t anchors = 0;
  for (size_t k = levels; k < 2 * levels; ++k) anchors += shapes[k][2] * shapes[k][3];
  json list = {raw, Shape{shapes[levels][0], shapes[levels][1], anchors}};
  for (size_t k = 2 * levels; k < shapes.size(); ++k) list.push_back(shapes[k]);
  return list;
}

// Later releases list a head's reg_max and end2end even where they are the usual ones, which Marrow leaves
// out.
std::string without_usual_settings(std::string args) {
  const std::string usual = ", 16, None";
  if (const size_t at = args.find(usual); at != std::string::npos) args.erase(at, usual.size());
  return args;
}

void expect_layers(const json& entry) {
  const model::Model model = build_entry(entry);
  const int size = entry.at("imgsz");
  const model::Summary summary = model::summarize(model, size, size);
  const json& rows = entry.at("layers");
  ASSERT_EQ(model.layers.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const json& row = rows[i];
    const model::Layer& layer = model.layers[i];
    SCOPED_TRACE("layer " + std::to_string(i));
    EXPECT_EQ(layer.index, row.at("i").get<int>());
    EXPECT_EQ(layer.logical, row.at("i").get<int>());
    EXPECT_EQ(layer.from_list ? json(layer.from) : json(layer.from.at(0)), row.at("from"));
    EXPECT_EQ(layer.repeats, row.at("repeats").get<int>());
    EXPECT_EQ(layer.module, row.at("module").get<std::string>());
    EXPECT_EQ(layer.args, without_usual_settings(row.at("args").get<std::string>()));
    EXPECT_EQ(summary.layers[i].parameters, row.at("params").get<int64_t>());
    const std::vector<Shape>& shapes = summary.layers[i].outputs;
    const bool head = i + 1 == rows.size() && model.task != "classify";
    EXPECT_EQ(head ? head_shapes(model, shapes) : json(shapes.at(0)), row.at("out_shape"));
  }
}

TEST(parity_models, LayerTablesEqualTheReferences) {
  for (const char* file : {"yolov8/models/layers.json", "compat/models/layers.json"})
    testing::for_each_golden(file, [](const std::filesystem::path& path) {
      const json entries = testing::read_json(path);
      ASSERT_FALSE(entries.empty());
      for (const auto& [name, entry] : entries.items()) {
        SCOPED_TRACE(name);
        expect_layers(entry);
      }
    });
}

// A backbone of any four widths, for tests of what follows one.
const nn::BackboneRegistration kStub{
    {.name = "stub_of_any_widths",
     .paper = "none",
     .defaults = {{"source", "tests"}, {"c2", 8}, {"c3", 8}, {"c4", 8}, {"c5", 8}},
     .sources = {{.name = "tests"}},
     .variants = {},
     .features =
         [](GraphBuilder& g, Value image, const nn::BackboneConfig& config) {
           nn::Features maps;
           Value x = g.max_pool(image, 2, 2);
           for (const auto& [key, map] :
                {std::pair{"c2", &maps.c2}, {"c3", &maps.c3}, {"c4", &maps.c4}, {"c5", &maps.c5}}) {
             x = g.conv(x, key, {.out = config.at(key).get<int>(), .kernel = 1, .stride = 2});
             *map = x;
           }
           return maps;
         },
     .classifier = [](GraphBuilder& g, Value c5, const nn::BackboneConfig&,
                      int classes) { return g.linear(g.flatten(g.global_average_pool(c5)), "fc", classes); },
     .input_format = [](const nn::BackboneConfig&) { return InputFormat{}; },
     .layouts = {}}};

void expect_neck(const json& entry) {
  const auto channels = entry.at("backbone_channels_P2_P5").get<std::vector<int>>();
  ASSERT_EQ(channels.size(), 4u);
  model::ModelSpec spec =
      model::find_model_spec("yolov8" + entry.at("scale").get<std::string>(), "stub_of_any_widths");
  spec.backbone.front().args = {
      {{"c2", channels[0]}, {"c3", channels[1]}, {"c4", channels[2]}, {"c5", channels[3]}}};
  const model::Model model = model::build_model(spec, {.classes = entry.at("nc").get<int>()});
  const model::Summary summary = model::summarize(model, 640, 640);
  const json& rows = entry.at("layers");
  ASSERT_EQ(model.layers.size(), rows.size() + 1);
  EXPECT_EQ(summary.parameters - summary.layers[0].parameters,
            entry.at("neck_and_head_params").get<int64_t>());
  EXPECT_EQ(model.save, entry.at("save").get<std::vector<int>>());
  for (size_t i = 0; i < rows.size(); ++i) {
    const json& row = rows[i];
    const model::Layer& layer = model.layers[i + 1];
    SCOPED_TRACE("row " + std::to_string(i));
    EXPECT_EQ(layer.logical, row.at("logical_index").get<int>());
    EXPECT_EQ(layer.index, row.at("sequential_index").get<int>());
    EXPECT_EQ(layer.from_list ? json(layer.from) : json(layer.from.at(0)), row.at("from"));
    EXPECT_EQ(layer.module, row.at("module").get<std::string>());
    EXPECT_EQ(summary.layers[i + 1].parameters, row.at("params").get<int64_t>());
  }
}

TEST(parity_models, NecksAfterABackboneEqualTheReferences) {
  testing::for_each_golden("yolov8/models/neck_after_backbone.json", [](const std::filesystem::path& path) {
    const json entries = testing::read_json(path);
    ASSERT_FALSE(entries.empty());
    for (const json& entry : entries) {
      SCOPED_TRACE(entry.at("label").get<std::string>() + " " + entry.at("scale").get<std::string>() +
                   " nc " + std::to_string(entry.at("nc").get<int>()));
      expect_neck(entry);
    }
  });
}

// The YAML that a checkpoint carries is a dictionary; written as JSON it is a model file like any other.
TEST(parity_models, DictionariesOfCheckpointsBuild) {
  const auto files = testing::golden_files("yolov8/forward", {".json"});
  MARROW_NEEDS_GOLDEN(files, "yolov8/forward");
  int found = 0;
  for (const auto& path : files) {
    const json entry = testing::read_json(path);
    if (!entry.contains("yaml")) continue;
    SCOPED_TRACE(path.string());
    ++found;
    const model::Model model = model::build_model(model::parse_model_spec(entry.at("yaml").dump(), "yaml"));
    const model::Summary summary = model::summarize(model, 64, 64);
    EXPECT_TRUE(model.warnings.empty());
    EXPECT_EQ(model.classes(), entry.at("nc").get<int>());
    EXPECT_EQ(model.save, entry.at("save").get<std::vector<int>>());
    EXPECT_EQ(model.strides, entry.at("stride").get<std::vector<double>>());
    EXPECT_EQ(summary.state_tensors, entry.at("num_state_dict_tensors").get<int>());
    EXPECT_EQ(summary.parameters, entry.at("params").get<int64_t>());
    for (const Node& node : model.graph.nodes)
      if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) {
        EXPECT_EQ(norm->eps, entry.at("bn_eps").get<double>());
        EXPECT_EQ(norm->momentum, entry.at("bn_momentum").get<double>());
      }
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace marrow
