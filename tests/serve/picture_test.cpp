// /v1/detect and /v1/classify, beside prediction itself.
#include <gtest/gtest.h>

#include "marrow/detect/draw.h"
#include "marrow/detect/results.h"
#include "marrow/image/decode.h"
#include "marrow/predict/classifier.h"
#include "marrow/predict/detector.h"
#include "serve/running_server.h"
#include "support/expect_says.h"

namespace marrow::serve {
namespace {

using nlohmann::json;
using testing::drawn_jpeg;
using testing::form_part;
using testing::HttpAnswer;
using testing::kFormType;
using testing::shared_server;

image::Image decoded(const std::string& bytes) {
  return image::decode_image(std::as_bytes(std::span(bytes)), "picture").image;
}

std::vector<detect::Detection> predicted(const std::string& name, const std::string& picture,
                                         const detect::NmsOptions& nms = {}) {
  const model::TrainedModel trained = testing::served_model(name);
  predict::DetectorOptions options;
  options.size = {testing::kServedSide, testing::kServedSide};
  options.tiles = trained.model.tiles;
  options.engine.threads = 1;
  options.nms = nms;
  return predict::Detector(trained.model.graph, trained.weights, options).detect(decoded(picture)).detections;
}

std::string predicted_line(const std::string& name, const std::string& file, const std::string& picture,
                           const detect::NmsOptions& nms = {}) {
  const image::Image image = decoded(picture);
  return detect::json_line(file, {image.width(), image.height()}, predicted(name, picture, nms),
                           testing::served_model(name).model.names);
}

TEST(Detect, EqualsPrediction) {
  for (const char* name : {"det", "tiles"}) {
    const std::string picture = drawn_jpeg(150, 90, 3);
    const HttpAnswer answer = shared_server().post(std::string("/v1/detect?model=") + name, picture);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("content-type"), "application/json");
    EXPECT_EQ(answer.body, predicted_line(name, "", picture));
    EXPECT_GT(json::parse(answer.body)["detections"].size(), 3u) << "the comparison would say nothing";
  }
}

TEST(Detect, GoesByContentWhateverTheTypeIs) {
  const std::string png = image::encode_png(image::draw_scene(60, 70, 1).pixels());
  for (const char* type :
       {"", "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: image/jpeg\r\n"})
    EXPECT_EQ(shared_server().post("/v1/detect", png, type).body, predicted_line("det", "", png));
}

TEST(Detect, ObeysItsQuery) {
  const std::string picture = drawn_jpeg(150, 90, 3);
  detect::NmsOptions nms;
  nms.confidence = 0.401f;
  nms.iou = 0.3f;
  nms.max_detections = 7;
  nms.agnostic = true;
  const std::string query = "conf=0.401&iou=3e-1&max_det=7&classes=bar,0&agnostic_nms=true&model=det";
  nms.classes = {2, 0};
  EXPECT_EQ(shared_server().post("/v1/detect?" + query, picture).body,
            predicted_line("det", "", picture, nms));
}

TEST(Detect, RefusesQueriesThatDoNotFit) {
  struct Row {
    const char* query;
    const char* says;
  };
  const Row rows[] = {
      {"confidence=0.5", "unknown parameter 'confidence'"},
      {"cnf=0.5", "Did you mean 'conf'?"},
      {"conf=0.5&conf=0.5", "conf is given twice"},
      {"model=det&model=det", "model is given twice"},
      {"conf=", "conf is ''"},
      {"conf=-0.1", "conf is '-0.1'; wanted a number from 0 to 1"},
      {"conf=%2B0.1", "conf is '+0.1'"},
      {"conf=1.1", "conf is '1.1'"},
      {"conf=nan", "conf is 'nan'"},
      {"conf=inf", "conf is 'inf'"},
      {"conf=0x1", "conf is '0x1'"},
      {"conf=0.5x", "conf is '0.5x'"},
      {"conf=0.5%20", "conf is '0.5 '"},
      {"conf=1e-999999", "conf is '1e-999999'"},
      {"iou=2", "iou is '2'"},
      {"max_det=0", "max_det is '0'"},
      {"max_det=1.5", "max_det is '1.5'"},
      {"max_det=99999999999", "max_det is '99999999999'"},
      {"classes=baz", "Did you mean 'bar'?"},
      {"classes=3", "3, but there are 3 classes (0..2)"},
      {"classes=", "a class is empty"},
      {"agnostic_nms=perhaps", "wanted true or false"},
      {"top=3", "unknown parameter 'top'"},
  };
  const std::string picture = drawn_jpeg(20, 20, 1);
  for (const Row& row : rows) {
    const HttpAnswer answer = shared_server().post(std::string("/v1/detect?") + row.query, picture);
    EXPECT_EQ(answer.status, 400) << row.query;
    EXPECT_SAYS(json::parse(answer.body)["error"].get<std::string>(), row.says);
  }
  EXPECT_EQ(shared_server().post("/v1/detect?model=dot", picture).status, 404);
  EXPECT_SAYS(shared_server().post("/v1/detect?model=cls", picture).body, "wanted is /v1/classify");
}

TEST(Detect, TakesForms) {
  const std::string picture = drawn_jpeg(100, 60, 4);
  const std::string form =
      form_part("note", "a.txt", "hello") + form_part("image", "a\xc3\xa4.jpg", picture) + "--B--\r\n";
  EXPECT_EQ(shared_server().post("/v1/detect", form, kFormType).body,
            predicted_line("det", "a\xc3\xa4.jpg", picture));
  const std::string two = form_part("file", "a", picture) + form_part("image", "b", picture) + "--B--";
  EXPECT_SAYS(shared_server().post("/v1/detect", two, kFormType).body, "2 pictures");
  EXPECT_SAYS(shared_server().post("/v1/detect", form_part("x", "a", picture) + "--B--", kFormType).body,
              "no file");
}

TEST(Detect, TakesBatches) {
  std::string form, expected;
  for (int i = 0; i < 7; ++i) {
    const std::string picture = drawn_jpeg(100 + i % 3, 60, static_cast<uint64_t>(i)),
                      name = std::to_string(i) + ".jpg";
    form += form_part(i % 2 == 0 ? "image" : "file", name, picture);
    expected += (i == 0 ? "" : ",") + predicted_line("det", name, picture);
  }
  EXPECT_EQ(shared_server().post("/v1/detect/batch", form + "--B--", kFormType).body,
            "{\"results\":[" + expected + "]}");
  EXPECT_SAYS(shared_server().post("/v1/detect/batch", form + form + "--B--", kFormType).body, "at most 8");
  EXPECT_SAYS(shared_server().post("/v1/detect/batch", drawn_jpeg(20, 20, 1)).body, "multipart/form-data");
  const std::string broken =
      form_part("image", "a", drawn_jpeg(20, 20, 1)) + form_part("image", "b", "x") + "--B--";
  EXPECT_SAYS(shared_server().post("/v1/detect/batch", broken, kFormType).body, "picture 1");
}

TEST(Detect, DrawsWhereAPictureIsAccepted) {
  const std::string picture = drawn_jpeg(150, 90, 3);
  image::Image drawn = decoded(picture);
  detect::draw_detections(drawn, predicted("det", picture), testing::served_model("det").model.names);
  const std::string expected = image::encode_jpeg(drawn.pixels());
  for (const char* accept : {"image/jpeg", "image/*", "image/jpeg, application/json;q=0.5"}) {
    const HttpAnswer answer =
        shared_server().post("/v1/detect", picture, "Accept: " + std::string(accept) + "\r\n");
    EXPECT_EQ(answer.field("content-type"), "image/jpeg");
    EXPECT_TRUE(answer.body == expected) << accept;
  }
  for (const char* accept : {"*/*", "application/json", "application/json, image/jpeg;q=0.9", "text/html"})
    EXPECT_EQ(shared_server()
                  .post("/v1/detect", picture, "Accept: " + std::string(accept) + "\r\n")
                  .field("content-type"),
              "application/json");
}

// What is there of a damaged picture is looked at, as `marrow predict` does it, and the answer says so.
TEST(Detect, WarnsOfDamagedPictures) {
  const std::string whole = drawn_jpeg(150, 90, 3), damaged = whole.substr(0, whole.size() / 2);
  const std::string warning = image::decode_image(std::as_bytes(std::span(damaged)), "the picture").warning;
  EXPECT_SAYS(warning, "the picture: damaged JPEG: the file ends early");
  const HttpAnswer answer = shared_server().post("/v1/detect", damaged);
  EXPECT_EQ(answer.status, 200);
  json found = json::parse(answer.body);
  EXPECT_EQ(found["warnings"], json({warning}));
  found.erase("warnings");
  EXPECT_EQ(found, json::parse(predicted_line("det", "", damaged)));
  EXPECT_EQ(json::parse(shared_server().post("/v1/classify?model=cls", damaged).body)["warnings"],
            json({warning}));
  const std::string form = form_part("image", "a", whole) + form_part("image", "b", damaged) + "--B--";
  const json batch = json::parse(shared_server().post("/v1/detect/batch", form, kFormType).body)["results"];
  EXPECT_FALSE(batch[0].contains("warnings"));
  EXPECT_SAYS(batch[1]["warnings"][0].get<std::string>(), "picture 1: damaged JPEG");
}

TEST(Detect, RefusesWhatIsNoPicture) {
  const auto status = [](const std::string& body) { return shared_server().post("/v1/detect", body).status; };
  EXPECT_EQ(status(""), 400);
  EXPECT_EQ(status("GIF89a and so on"), 400);
  EXPECT_EQ(status("%PDF-1.4"), 400);
  EXPECT_EQ(status(image::encode_png(image::draw_scene(60, 70, 1).pixels()).substr(0, 500)), 400);
  // By its header alone: 1001 x 1000 pixels, where a million are allowed.
  const HttpAnswer large =
      shared_server().post("/v1/detect", image::encode_jpeg(image::Image(1001, 1000).pixels()));
  EXPECT_EQ(large.status, 413);
  EXPECT_SAYS(large.body, "1.001 million pixels; at most 1 million");
  // However many they are.
  std::string claim = image::encode_png(image::Image(8, 8).pixels());
  claim.replace(16, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(status(claim), 413);
  claim.replace(16, 8, std::string("\0\0\xff\0\0\0\xff\0", 8));
  EXPECT_EQ(status(claim), 413);
}

TEST(Classify, EqualsPrediction) {
  const std::string picture = drawn_jpeg(150, 90, 3);
  const model::TrainedModel trained = testing::served_model("cls");
  predict::ClassifierOptions options{.crop = testing::kServedSide};
  options.engine.threads = 1;
  predict::Classifier classifier(trained.model.graph, trained.weights, options);
  const auto expected = classifier.classify(decoded(picture), 3).top;
  const HttpAnswer answer = shared_server().post("/v1/classify?model=cls&top=3", picture);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json found = json::parse(answer.body);
  EXPECT_EQ(found["width"], 150);
  ASSERT_EQ(found["top"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found["top"][i]["class"], expected[i].class_id);
    EXPECT_EQ(found["top"][i]["name"], trained.model.names[static_cast<size_t>(expected[i].class_id)]);
    EXPECT_EQ(found["top"][i]["probability"].get<float>(), expected[i].probability);
  }
  const std::string form =
      form_part("image", "a.jpg", picture) + form_part("image", "b.jpg", picture) + "--B--";
  const json batch = json::parse(shared_server().post("/v1/classify/batch?model=cls", form, kFormType).body);
  EXPECT_EQ(batch["results"].size(), 2u);
  EXPECT_EQ(batch["results"][1]["image"], "b.jpg");
  EXPECT_SAYS(shared_server().post("/v1/classify?model=det", picture).body, "wanted is /v1/detect");
}

}  // namespace
}  // namespace marrow::serve
