// Masks, keypoints and turned boxes over HTTP, beside prediction itself.
#include <gtest/gtest.h>

#include "marrow/detect/draw.h"
#include "marrow/detect/results.h"
#include "marrow/image/convert.h"
#include "marrow/image/decode.h"
#include "marrow/predict/detector.h"
#include "serve/inference.h"
#include "support/expect_says.h"

namespace marrow::serve {
namespace {

using nlohmann::json;
using testing::drawn_jpeg;
using testing::HttpAnswer;
using testing::RunningServer;

const std::vector<std::string> kTasks = {"seg", "pose", "obb"};

RunningServer& task_server() {
  static RunningServer server(testing::served_options(kTasks));
  return server;
}

image::Image picture_of(const std::string& bytes) {
  return image::decode_image(std::as_bytes(std::span(bytes)), "picture").image;
}

predict::DetectionResult predicted_task(const std::string& name, const std::string& picture, bool outlines,
                                        predict::MaskSize masks = predict::MaskSize::kInput) {
  const model::TrainedModel trained = testing::served_model(name);
  predict::DetectorOptions options;
  options.size = {testing::kServedSide, testing::kServedSide};
  options.engine.threads = 1;
  options.masks = masks;
  options.outlines = outlines;
  return predict::Detector(trained.model.graph, trained.weights, options).detect(picture_of(picture));
}

std::string line_of(const std::string& name, const std::string& picture,
                    const predict::DetectionResult& found) {
  const image::Image image = picture_of(picture);
  return detect::json_line("", {image.width(), image.height()}, found.detections,
                           testing::served_model(name).model.names, found.extras);
}

TEST(Tasks, EqualPredictionInJson) {
  const std::string picture = drawn_jpeg(150, 90, 3);
  const std::pair<const char*, const char*> members[] = {
      {"seg", "outline"}, {"pose", "keypoints"}, {"obb", "corners"}};
  for (const auto& [name, member] : members) {
    const HttpAnswer answer = task_server().post(std::string("/v1/detect?model=") + name, picture);
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.body, line_of(name, picture, predicted_task(name, picture, true)));
    const json detections = json::parse(answer.body)["detections"];
    ASSERT_GT(detections.size(), 1u) << name << ": the comparison would say nothing";
    EXPECT_TRUE(detections[0].contains(member)) << name;
  }
}

TEST(Tasks, MakeFineMasksWhereTheyAreAskedFor) {
  const std::string picture = drawn_jpeg(250, 190, 3);
  const HttpAnswer fine = task_server().post("/v1/detect?model=seg&retina_masks=true", picture);
  EXPECT_EQ(fine.body,
            line_of("seg", picture, predicted_task("seg", picture, true, predict::MaskSize::kImage)));
  EXPECT_NE(fine.body, task_server().post("/v1/detect?model=seg", picture).body);
  EXPECT_SAYS(task_server().post("/v1/detect?model=pose&retina_masks=true", picture).body,
              "unknown parameter 'retina_masks'");
}

TEST(Tasks, MakeNoMoreMasksThanFitIntoMemory) {
  serve::ServingOptions options = testing::served_options({"seg"});
  options.service.calls.infer.mask_bytes = 1 << 20;
  RunningServer server(options);
  const std::string picture = drawn_jpeg(900, 900, 3);
  EXPECT_EQ(server.post("/v1/detect?max_det=100", picture).status, 200);
  const HttpAnswer answer = server.post("/v1/detect?max_det=100&retina_masks=true", picture);
  EXPECT_EQ(answer.status, 400);
  EXPECT_SAYS(answer.body, "masks of 900 x 900 pixels take more than 1 MiB");
}

TEST(Tasks, AreDrawn) {
  const std::string picture = drawn_jpeg(150, 90, 3);
  for (const std::string& name : kTasks) {
    const predict::DetectionResult found = predicted_task(name, picture, false);
    image::Image drawn = image::displayed(picture_of(picture));
    detect::draw_detections(drawn, found.detections, testing::served_model(name).model.names, found.extras);
    const HttpAnswer answer =
        task_server().post("/v1/detect?model=" + name, picture, "Accept: image/jpeg\r\n");
    EXPECT_EQ(answer.field("content-type"), "image/jpeg");
    EXPECT_TRUE(answer.body == image::encode_jpeg(drawn.pixels())) << name;
  }
}

TEST(Tasks, AreDescribed) {
  struct Expected {
    const char* name;
    json outputs;
    const char* literal;
  };
  const Expected rows[] = {{"seg",
                            {{{"name", "output0"}, {"datatype", "FP32"}, {"shape", {-1, 4 + 3 + 32, -1}}},
                             {{"name", "output1"}, {"datatype", "FP32"}, {"shape", {-1, 32, -1, -1}}}},
                            "{'task': 'segment', "},
                           {"pose",
                            {{{"name", "output0"}, {"datatype", "FP32"}, {"shape", {-1, 4 + 3 + 51, -1}}}},
                            "'kpt_shape': [17, 3], "},
                           {"obb",
                            {{{"name", "output0"}, {"datatype", "FP32"}, {"shape", {-1, 4 + 3 + 1, -1}}}},
                            "{'task': 'obb', "}};
  for (const Expected& row : rows) {
    const std::string path = std::string("/v2/models/") + row.name;
    EXPECT_EQ(json::parse(task_server().get(path).body)["outputs"], row.outputs);
    const json config = json::parse(task_server().get(path + "/config").body);
    ASSERT_EQ(config["output"].size(), row.outputs.size());
    for (size_t i = 0; i < row.outputs.size(); ++i) {
      json dims = row.outputs[i]["shape"];
      dims.erase(0);
      EXPECT_EQ(config["output"][i]["dims"], dims);
      EXPECT_EQ(config["output"][i]["name"], row.outputs[i]["name"]);
    }
    EXPECT_SAYS(config["parameters"]["metadata"]["string_value"].get<std::string>(), row.literal);
  }
}

// Two outputs: in the order that was asked for, each as JSON or bytes.
TEST(Tasks, GiveBothOutputsOfMasks) {
  const Tensor input = testing::input_of(2, 64, 96);
  const std::vector<float> predictions = testing::engine_output("seg", "output0", input),
                           prototypes = testing::engine_output("seg", "prototypes", input);
  json request = testing::request_of(input);
  request["inputs"][0]["data"] = testing::data_of(input);
  const json all = json::parse(task_server().post("/v2/models/seg/infer", request.dump()).body);
  ASSERT_EQ(all["outputs"].size(), 2u);
  EXPECT_EQ(all["outputs"][0]["shape"], json({2, 39, 96 + 24 + 6}));
  EXPECT_EQ(all["outputs"][0]["data"].get<std::vector<float>>(), predictions);
  EXPECT_EQ(all["outputs"][1]["name"], "output1");
  EXPECT_EQ(all["outputs"][1]["shape"], json({2, 32, 16, 24}));
  EXPECT_EQ(all["outputs"][1]["data"].get<std::vector<float>>(), prototypes);

  request["outputs"] = {{{"name", "output1"}, {"parameters", {{"binary_data", true}}}},
                        {{"name", "output0"}}};
  const auto [mixed, bytes] = testing::parts_of(task_server().post("/v2/models/seg/infer", request.dump()));
  EXPECT_EQ(mixed["outputs"][0]["name"], "output1");
  EXPECT_EQ(mixed["outputs"][0]["parameters"]["binary_data_size"], bytes.size());
  EXPECT_EQ(testing::floats_of(bytes), prototypes);
  EXPECT_EQ(mixed["outputs"][1]["data"].get<std::vector<float>>(), predictions);

  request["outputs"] = json::array();
  request["parameters"] = {{"binary_data_output", true}};
  const auto [head, both] = testing::parts_of(task_server().post("/v2/models/seg/infer", request.dump()));
  const size_t first = head["outputs"][0]["parameters"]["binary_data_size"];
  EXPECT_EQ(testing::floats_of(both.substr(0, first)), predictions);
  EXPECT_EQ(testing::floats_of(both.substr(first)), prototypes);

  request["outputs"] = {{{"name", "output1"}}, {{"name", "output1"}}};
  EXPECT_SAYS(task_server().post("/v2/models/seg/infer", request.dump()).body,
              "'output1' is asked for twice");
  request["outputs"] = {{{"name", "output2"}}};
  EXPECT_SAYS(task_server().post("/v2/models/seg/infer", request.dump()).body, "known: output0, output1");
}

TEST(Tasks, AreToldToThePage) {
  const json models = json::parse(task_server().get("/v1/models").body)["models"];
  EXPECT_EQ(models[0]["task"], "segment");
  EXPECT_TRUE(models[0]["limbs"].empty());
  EXPECT_EQ(models[1]["task"], "pose");
  EXPECT_GT(models[1]["limbs"].size(), 10u);
  EXPECT_EQ(models[2]["task"], "obb");
}

}  // namespace
}  // namespace marrow::serve
