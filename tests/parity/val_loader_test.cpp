// The validation loader's batches against golden/yolov8/e2e/val_loader.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "marrow/image/decode.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

// Rows "class cx cy w h"; the fixtures have no outlines.
std::vector<data::Label> read_labels(const std::filesystem::path& path) {
  std::vector<data::Label> labels;
  std::ifstream file(path);
  for (data::Label label;
       file >> label.class_id >> label.box.cx >> label.box.cy >> label.box.width >> label.box.height;)
    labels.push_back(label);
  return labels;
}

std::vector<data::LabelledImage> read_images(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "dataset" / "images" / "val"))
    paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<data::LabelledImage> images;
  for (const auto& path : paths) {
    const image::Image image = image::decode_image_file(path).image;
    images.push_back(
        {{.labels = read_labels(folder / "dataset" / "labels" / "val" / path.stem().concat(".txt"))},
         path,
         image.width(),
         image.height()});
  }
  return images;
}

TEST(parity_val_loader, RectangularBatches) {
  testing::for_each_golden("yolov8/e2e/val_loader.json", [](const std::filesystem::path& path) {
    const std::filesystem::path folder = path.parent_path();
    const json golden = testing::read_json(path);
    const Weights tensors = weights::read_safetensors(folder / "val_loader.safetensors").tensors;
    ASSERT_FALSE(golden.at("items").empty());
    const auto store = std::make_shared<loader::ImageStore>(
        read_images(folder), loader::ImageStoreOptions{.image_size = golden.at("imgsz").get<int>()});
    loader::DetectionLoader loader(store, {.batch = golden.at("batch").get<int>(),
                                           .workers = 2,
                                           .rectangular = golden.at("rect").get<bool>(),
                                           .stride = golden.at("stride").get<int>(),
                                           .pad = golden.at("pad").get<double>()});
    ASSERT_EQ(loader.batches_per_epoch(), static_cast<int64_t>(golden.at("batch_shapes").size()));
    size_t item = 0;
    for (const json& shape : golden.at("batch_shapes")) {
      const auto batch = loader.next();
      ASSERT_TRUE(batch.has_value());
      EXPECT_EQ(batch->images.dim(2), shape.at(0).get<int64_t>());
      EXPECT_EQ(batch->images.dim(3), shape.at(1).get<int64_t>());
      const size_t bytes = batch->images.byte_size() / batch->origin.size();
      size_t row = 0;
      for (size_t i = 0; i < batch->origin.size(); ++i, ++item) {
        const json& wanted = golden.at("items").at(item);
        SCOPED_TRACE(wanted.dump());
        const loader::BatchImage& origin = batch->origin[i];
        EXPECT_EQ(store->labels(origin.index).path.filename(), wanted.at("file").get<std::string>());
        EXPECT_EQ(origin.original.height, wanted.at("ori_shape").at(0).get<int>());
        EXPECT_EQ(origin.original.width, wanted.at("ori_shape").at(1).get<int>());
        EXPECT_NEAR(origin.ratio_height, wanted.at("ratio_pad").at(0).at(0).get<double>(), 1e-12);
        EXPECT_NEAR(origin.ratio_width, wanted.at("ratio_pad").at(0).at(1).get<double>(), 1e-12);
        EXPECT_EQ(origin.left, wanted.at("ratio_pad").at(1).at(0).get<double>());
        EXPECT_EQ(origin.top, wanted.at("ratio_pad").at(1).at(1).get<double>());

        const std::string name = std::to_string(item);
        const Tensor& image = tensors.at(name + ".img_rgb_chw");
        EXPECT_TRUE(std::ranges::equal(image.values<uint8_t>(),
                                       batch->images.values<uint8_t>().subspan(i * bytes, bytes)));
        const Tensor &boxes = tensors.at(name + ".bboxes_xywhn"), &classes = tensors.at(name + ".cls");
        for (size_t k = 0; k < static_cast<size_t>(boxes.dim(0)); ++k, ++row) {
          ASSERT_LT(static_cast<int64_t>(row), batch->targets.dim(0));
          const auto target = batch->targets.values().subspan(row * 6, 6);
          EXPECT_EQ(target[0], static_cast<float>(i));
          EXPECT_EQ(target[1], classes.values()[k]);
          for (size_t c = 0; c < 4; ++c) EXPECT_NEAR(target[2 + c], boxes.values()[k * 4 + c], 1e-5);
        }
      }
      EXPECT_EQ(batch->targets.dim(0), static_cast<int64_t>(row));
    }
    EXPECT_EQ(item, golden.at("items").size());
    EXPECT_FALSE(loader.next().has_value());
  });
}

}  // namespace
}  // namespace marrow
