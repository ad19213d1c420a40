// The API's results are those of `marrow predict --json`, to the digit.
#include <cmath>
#include <marrow/marrow.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/files.h"
#include "support/golden.h"

namespace {

namespace fs = std::filesystem;

using marrow::testing::api_file;
using marrow::testing::run_marrow;
using nlohmann::json;

const char* const kImages[] = {"a.jpg", "b.png", "c.jpg", "grey.png"};

// One line an image; more arguments behind.
json predict(const fs::path& model, const fs::path& image, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"predict",      "--model", model.string(),  "--source",
                                        image.string(), "--json",  "--no-autotune", "--no-save"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return json::parse(run_marrow(arguments));
}

// What --json does with a number.
double five_decimals(float value) {
  return std::round(static_cast<double>(value) * 1e5) / 1e5;
}

json in_json(const marrow::Detection& found, bool visibility) {
  const auto& [box, confidence, class_id, label, mask, outline, keypoints, turned] = found;
  json one = {
      {"class", class_id},
      {"name", label},
      {"confidence", five_decimals(confidence)},
      {"box", {five_decimals(box.x1), five_decimals(box.y1), five_decimals(box.x2), five_decimals(box.y2)}}};
  for (const auto& [x, y] : outline) one["outline"].push_back({five_decimals(x), five_decimals(y)});
  for (const auto& [x, y, seen] : keypoints) {
    one["keypoints"].push_back({five_decimals(x), five_decimals(y)});
    if (visibility) one["keypoints"].back().push_back(five_decimals(seen));
  }
  if (turned) {
    one["angle"] = five_decimals(turned->angle);
    for (const auto& [x, y] : turned->corners())
      one["corners"].push_back({five_decimals(x), five_decimals(y)});
  }
  return one;
}

struct Case {
  std::vector<std::string> arguments;
  marrow::DetectorOptions options;
  std::string model = "detector.safetensors";
};

std::vector<Case> cases() {
  const auto base = [] {
    return Case{{"--imgsz", "64", "--conf", "0.01", "--max-det", "30"},
                {.engine = {.tune = false}, .input_width = 64, .confidence = 0.01f, .max_detections = 30}};
  };
  std::vector<Case> all = {base(), base(), base(), base(), base(), {{}, {.engine = {.tune = false}}}};
  // Thresholds of the model's own, and one for all in their place.
  all.push_back(
      {{"--imgsz", "64"}, {.engine = {.tune = false}, .input_width = 64}, "thresholds.safetensors"});
  all.push_back(base());
  all.back().model = "thresholds.safetensors";
  for (const bool end2end : {true, false}) {
    all.push_back(base());
    all.back().model = "end2end.safetensors";
    all.back().options.end2end = end2end;
    if (end2end) all.back().arguments.emplace_back("--end2end");
  }
  all.push_back({{"--tile", "32", "--overlap", "0.25", "--conf", "0.01"},
                 {.engine = {.tune = false}, .confidence = 0.01f, .tile = 32, .tile_overlap = 0.25f}});
  const auto add = [](Case& c, const std::vector<std::string>& arguments) {
    c.arguments.insert(c.arguments.end(), arguments.begin(), arguments.end());
  };
  add(all[1], {"--no-rect", "--threads", "1"});
  all[1].options.rect = false;
  all[1].options.engine.threads = 1;
  add(all[2], {"--classes", "bar,0", "--iou", "0.3"});
  all[2].options.class_ids = {2, 0};
  all[2].options.iou = 0.3f;
  add(all[3], {"--precision", "bf16", "--agnostic-nms"});
  all[3].options.engine.precision = marrow::Precision::kBfloat16;
  all[3].options.agnostic = true;
  all[4].arguments[1] = "40,100";
  all[4].options.input_height = 40;
  all[4].options.input_width = 100;
  // Those that the model was trained on, other ones, and none.
  for (const auto& [tile, arguments] : {std::pair<std::optional<int>, std::vector<std::string>>{{}, {}},
                                        {40, {"--tile", "40"}},
                                        {0, {"--tile", "0"}}}) {
    all.push_back(
        {arguments, {.engine = {.tune = false}, .confidence = 0.01f, .tile = tile}, "tiles.safetensors"});
    add(all.back(), {"--conf", "0.01"});
  }
  return all;
}

TEST(ApiAndPredict, FindTheSameInBands) {
  const marrow::Model model(api_file("bands.safetensors"));
  const marrow::Detector detector(
      model, {.engine = {.tune = false}, .input_width = 64, .confidence = 0.01f, .max_detections = 30});
  const json line = predict(api_file("bands.safetensors"), api_file("bands.tif"),
                            {"--imgsz", "64", "--conf", "0.01", "--max-det", "30"});
  const auto found = detector.detect(marrow::Image::read(api_file("bands.tif"), model));
  ASSERT_EQ(found.size(), line.at("detections").size());
  EXPECT_FALSE(found.empty());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(five_decimals(found[i].confidence), line.at("detections")[i].at("confidence"));
  try {
    detector.detect(marrow::Image::read(api_file("a.jpg")));
    ADD_FAILURE() << "three channels were taken for four";
  } catch (const marrow::Error& error) {
    EXPECT_EQ(error.kind(), marrow::ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("this model wants 4 channels of 16 bits from 0 to 50000"),
              std::string::npos)
        << error.what();
  }
}

TEST(ApiAndPredict, FindTheSame) {
  for (const Case& c : cases()) {
    const marrow::Model model(api_file(c.model));
    const marrow::Detector detector(model, c.options);
    for (const char* name : kImages) {
      SCOPED_TRACE(c.model + " " + name);
      const json line = predict(api_file(c.model), api_file(name), c.arguments);
      const marrow::Image image = marrow::Image::read(api_file(name));
      EXPECT_EQ(line.at("width"), image.width());
      EXPECT_EQ(line.at("height"), image.height());
      const auto found = detector.detect(image);
      const json& expected = line.at("detections");
      ASSERT_EQ(found.size(), expected.size());
      EXPECT_FALSE(found.empty());
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(in_json(found[i], true), expected[i]);
      }
    }
  }
}

// Whether they find the same on each image, and how much.
size_t expect_same(const fs::path& model, const std::vector<fs::path>& images, int input,
                   bool at_image_size) {
  SCOPED_TRACE(model.string());
  std::vector<std::string> arguments = {"--conf", "0.05", "--max-det", "40"};
  marrow::DetectorOptions options = {.engine = {.tune = false}, .confidence = 0.05f, .max_detections = 40};
  if (input > 0) {
    arguments.insert(arguments.end(), {"--imgsz", std::to_string(input)});
    options.input_width = input;
  }
  if (at_image_size) {
    arguments.emplace_back("--retina-masks");
    options.masks = marrow::MaskSize::kImage;
  }
  const marrow::Detector detector(marrow::Model(model), options);
  size_t all = 0;
  for (const fs::path& path : images) {
    SCOPED_TRACE(path.string());
    const json expected = predict(model, path, arguments).at("detections");
    const auto found = detector.detect(marrow::Image::read(path));
    EXPECT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
      const json& one = expected[i];
      const bool visibility = !one.contains("keypoints") || one.at("keypoints")[0].size() == 3;
      EXPECT_EQ(in_json(found[i], visibility), one);
    }
    all += found.size();
  }
  return all;
}

TEST(ApiAndPredict, FindTheSameOfEveryTask) {
  const std::vector<fs::path> images = {api_file("a.jpg"), api_file("b.png")};
  for (const char* task : {"segment", "pose", "obb"}) {
    EXPECT_GT(expect_same(api_file(std::string(task) + ".safetensors"), images, 96, false), 0u) << task;
    for (const fs::path& folder : marrow::testing::golden_parts(fs::path("tasks/e2e") / task)) {
      const auto pictures = marrow::testing::files_below(folder / "dataset/images", {".png"});
      EXPECT_GT(expect_same(folder / "tiny.pt", pictures, 0, false), 0u);
      expect_same(folder / "../../forward" / (std::string(task) + ".pt"), pictures, 0, false);
      if (std::string(task) == "segment") expect_same(folder / "tiny.pt", pictures, 0, true);
    }
  }
  EXPECT_GT(expect_same(api_file("segment.safetensors"), images, 96, true), 0u);
}

TEST(ApiAndPredict, ClassifyTheSame) {
  const marrow::Model model(api_file("classifier.safetensors"));
  for (const int size : {0, 96}) {
    const marrow::Classifier classifier(model, {.engine = {.tune = false}, .input_size = size});
    for (const char* name : kImages) {
      std::vector<std::string> more;
      if (size > 0) more = {"--imgsz", std::to_string(size)};
      const json line = predict(api_file("classifier.safetensors"), api_file(name), more);
      json top5 = json::array();
      for (const auto& each : classifier.classify(marrow::Image::read(api_file(name))))
        top5.push_back({{"class", each.class_id}, {"name", each.label}, {"probability", each.probability}});
      EXPECT_EQ(top5, line.at("top5"));
    }
  }
}

}  // namespace
