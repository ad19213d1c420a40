// A dataset of drawn images and what the validation loader makes of it: rectangular batches, boxes and
// pixels by formula. The images are those for which plain_letterbox.h leaves no rounding.
#include "marrow/base/files.h"
#include "marrow/image/encode.h"
#include "plain_letterbox.h"

namespace marrow::golden {
namespace {

constexpr int kSize = 32, kBatch = 2;
constexpr double kPad = 0.5;
// The longer side is the loader's, or half of it.
const std::vector<Extent> kImages = {{32, 32}, {20, 32}, {16, 10}, {8, 16}};

std::string name_of(size_t i) {
  return "000" + std::to_string(i);
}

Pixels drawn(size_t i) {
  Pixels image = blank(kImages[i], 0);
  Draws draws("val_loader/" + name_of(i));
  for (double& value : image.values) value = 64 * draws.between(0, 3);
  return image;
}

void write_png(const fs::path& path, Pixels pixels) {
  image::Image image(pixels.extent.w, pixels.extent.h);
  for (int y = 0; y < pixels.extent.h; ++y)
    for (int x = 0; x < pixels.extent.w; ++x)
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<uint8_t>(pixels.at(y, x, c));
  fs::create_directories(path.parent_path());
  write_file_atomically(path, image::encode_png(image.pixels()));
}

struct Label {
  int class_id;
  std::array<double, 4> box;  // centre and size, shares of the image
};

std::vector<Label> labels_of(size_t i) {
  std::vector<Label> labels;
  Draws draws("val_loader/objects" + std::to_string(i));
  for (int left = draws.between(0, 3); left > 0; --left)
    labels.push_back({draws.between(0, 4),
                      {draws.between(3, 5) / 8.0, draws.between(3, 5) / 8.0, draws.between(1, 6) / 8.0,
                       draws.between(1, 6) / 8.0}});
  return labels;
}

}  // namespace

void record_val_loader(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "e2e";
  for (size_t i = 0; i < kImages.size(); ++i) {
    write_png(folder / "dataset" / "images" / "val" / (name_of(i) + ".png"), drawn(i));
    std::string text;
    for (const Label& label : labels_of(i))
      text += json(label.class_id).dump() + " " + json(label.box[0]).dump() + " " +
              json(label.box[1]).dump() + " " + json(label.box[2]).dump() + " " + json(label.box[3]).dump() +
              "\n";
    const fs::path labels = folder / "dataset" / "labels" / "val" / (name_of(i) + ".txt");
    fs::create_directories(labels.parent_path());
    write_file_atomically(labels, text);
  }
  const json batches = plan(kImages, kSize, kBatch, kPad);
  json items = json::array();
  Weights tensors;
  for (const json& row : batches.at("images")) {
    const auto i = row.at("orig_index").get<size_t>();
    const Extent small{row.at("loaded_hw")[0], row.at("loaded_hw")[1]},
        shape{row.at("batch_hw")[0], row.at("batch_hw")[1]};
    const int top = row.at("top"), left = row.at("left");
    Pixels image = boxed(resized(drawn(i), small), shape, {.scale_up = false});
    std::vector<double> planes, boxes;
    for (const int c : {2, 1, 0})  // red first
      for (int y = 0; y < shape.h; ++y)
        for (int x = 0; x < shape.w; ++x) planes.push_back(image.at(y, x, c));
    std::vector<int> classes;
    for (const Label& label : labels_of(i)) {
      const auto& [x, y, w, h] = label.box;
      boxes.insert(boxes.end(), {(x * small.w + left) / shape.w, (y * small.h + top) / shape.h,
                                 w * small.w / shape.w, h * small.h / shape.h});
      classes.push_back(label.class_id);
    }
    const std::string item = std::to_string(items.size());
    const auto count = static_cast<int64_t>(classes.size());
    tensors.emplace(item + ".img_rgb_chw", tensor_of<uint8_t>({3, shape.h, shape.w}, planes));
    tensors.emplace(item + ".bboxes_xywhn", tensor_of<float>({count, 4}, boxes));
    tensors.emplace(item + ".cls", tensor_of<float>({count, 1}, classes));
    items.push_back({{"i", items.size()},
                     {"file", name_of(i) + ".png"},
                     {"ori_shape", row.at("ori_hw")},
                     {"resized_shape", row.at("batch_hw")},
                     {"ratio_pad", row.at("ratio_pad")}});
  }
  write_json(folder / "val_loader.json", {{"batch", kBatch},
                                          {"imgsz", kSize},
                                          {"stride", 32},
                                          {"pad", kPad},
                                          {"rect", true},
                                          {"batch_shapes", batches.at("batch_shapes_hw")},
                                          {"items", items}});
  write_tensors(folder / "val_loader.safetensors", tensors);
}

}  // namespace marrow::golden
