// A whole validation against golden/yolov8/e2e: checkpoint, letterbox, network, suppression, metrics. Metrics
// within 1e-3, the confusion matrix exactly.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "marrow/engine/engine.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/geometry/rect_batches.h"
#include "marrow/image/decode.h"
#include "marrow/image/network_input.h"
#include "marrow/model/import.h"
#include "parity/recorded_validation.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

struct Labelled {
  std::string name;
  image::Image image;
  std::vector<std::array<float, 5>> rows;  // class, centre x, centre y, width, height, normalised

  Size size() const { return {image.width(), image.height()}; }
};

std::vector<Labelled> read_labelled(const std::filesystem::path& folder) {
  std::vector<Labelled> pictures;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "dataset" / "images" / "val")) {
    Labelled one{entry.path().filename(), image::decode_image_file(entry.path()).image, {}};
    std::ifstream file(folder / "dataset" / "labels" / "val" / entry.path().stem().concat(".txt"));
    for (std::array<float, 5> row; file >> row[0] >> row[1] >> row[2] >> row[3] >> row[4];)
      one.rows.push_back(row);
    pictures.push_back(std::move(one));
  }
  std::ranges::sort(pictures, {}, &Labelled::name);
  return pictures;
}

std::vector<evaluate::TruthBox> truth_of(const Labelled& picture, const RectPlacement& placement) {
  const auto width = static_cast<float>(placement.loaded.width * placement.letterbox.ratio);
  const auto height = static_cast<float>(placement.loaded.height * placement.letterbox.ratio);
  const auto left = static_cast<float>(placement.letterbox.left);
  const auto top = static_cast<float>(placement.letterbox.top);
  std::vector<evaluate::TruthBox> truth;
  for (const auto& [class_id, x, y, w, h] : picture.rows)
    truth.push_back({{(x - w / 2) * width + left, (y - h / 2) * height + top, (x + w / 2) * width + left,
                      (y + h / 2) * height + top},
                     static_cast<int>(class_id)});
  return truth;
}

std::vector<detect::InputDetection> detect(const model::TrainedModel& trained, const image::Image& loaded,
                                           const Letterbox& geometry, const detect::NmsOptions& nms) {
  const Size size = geometry.out;
  Tensor input({1, 3, size.height, size.width});
  image::fill_network_input(image::letterbox(loaded, geometry).pixels(), input_format(trained.model.graph),
                            input.values().data());
  const std::string output = trained.model.graph.outputs.front().name;
  engine::Engine engine(trained.model.graph, trained.weights, input.shape(), std::span(&output, 1), {});
  engine.run(input);
  const Tensor& prediction = engine.output(0);
  return detect::non_max_suppression(prediction.values().data(), trained.model.classes(), prediction.dim(2),
                                     nms);
}

evaluate::DetectionReport validate_by_parts(const std::filesystem::path& folder, const json& args) {
  const model::TrainedModel trained = model::load_trained(folder / "tiny.pt");
  const std::vector<Labelled> pictures = read_labelled(folder);
  const int image_size = args.at("imgsz").get<int>();
  std::vector<Size> sizes;
  for (const Labelled& picture : pictures) sizes.push_back(picture.size());
  const int batch = args.at("batch").get<int>();
  const RectBatches batches = rect_batches(sizes, batch, image_size, 32, 0.5);
  const bool rect = args.at("rect").get<bool>();
  const detect::NmsOptions nms = {
      .confidence = args.at("conf").get<float>(), .iou = args.at("iou").get<float>(), .multi_label = true};
  evaluate::DetectionValidator validator(trained.model.names,
                                         {.confidence = nms.confidence, .rules = Rules::k83});
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Labelled& picture = pictures[rect ? batches.order[i] : i];
    const Size target =
        rect ? batches.batch_sizes[i / static_cast<size_t>(batch)] : Size{image_size, image_size};
    const RectPlacement placement = rect_placement(picture.size(), image_size, target);
    Letterbox whole;
    whole.resized = whole.out = placement.loaded;
    const image::Image loaded = image::letterbox(picture.image, whole);
    const auto detections = detect(trained, loaded, placement.letterbox, nms);
    const auto truth = truth_of(picture, placement);
    validator.add({picture.name, picture.size(), target, placement.ratio_pad(), truth, detections, {}});
  }
  return validator.report();
}

// Every entry that records a validation.
TEST(parity_e2e, Validation) {
  testing::for_each_golden("yolov8/e2e/expected.json", [](const std::filesystem::path& path) {
    const std::filesystem::path folder = path.parent_path();
    const json expected = testing::read_json(path);
    int compared = 0;
    for (const auto& [name, entry] : expected.items()) {
      if (name.rfind("val", 0) != 0) continue;
      SCOPED_TRACE(name);
      testing::expect_recorded(validate_by_parts(folder, entry.at("args")), entry);
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

}  // namespace
}  // namespace marrow
