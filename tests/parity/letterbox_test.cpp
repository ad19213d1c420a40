// Letterbox geometry and pixels, box scaling and rectangular batches against golden/yolov8/letterbox.
#include "marrow/geometry/letterbox.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "marrow/geometry/rect_batches.h"
#include "marrow/image/network_input.h"
#include "marrow/image/resize.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

Size size_of(const json& height_width) {
  return {height_width.at(1).get<int>(), height_width.at(0).get<int>()};
}

void expect_geometry(const Letterbox& box, const json& wanted) {
  EXPECT_EQ(box.resized, size_of(wanted.at("resized")));
  EXPECT_EQ(box.top, wanted.at("top").get<int>());
  EXPECT_EQ(box.left, wanted.at("left").get<int>());
  EXPECT_EQ(box.bottom, wanted.at("bottom").get<int>());
  EXPECT_EQ(box.right, wanted.at("right").get<int>());
}

TEST(parity_letterbox, Geometry) {
  testing::for_each_golden("yolov8/letterbox/letterbox.json", [](const std::filesystem::path& path) {
    json golden = testing::read_json(path);
    ASSERT_FALSE(golden.at("predict_letterbox").empty());
    for (const json& row : golden.at("predict_letterbox")) {
      SCOPED_TRACE(row.dump());
      Letterbox box = letterbox_geometry(size_of(row.at("in_hw")), size_of(row.at("new_hw")),
                                         {.minimum_rectangle = row.value("auto", false),
                                          .stride = row.value("stride", 32),
                                          .scale_up = row.value("scaleup", true),
                                          .scale_fill = row.value("scale_fill", false),
                                          .center = row.value("center", true),
                                          .keep_one_pixel = false});
      if (row.contains("error")) {
        EXPECT_TRUE(box.resized.width == 0 || box.resized.height == 0);
        continue;
      }
      expect_geometry(box, row);
      EXPECT_EQ(box.out, size_of(row.at("out_hw")));
    }
  });
}

TEST(parity_letterbox, ScaleBoxes) {
  testing::for_each_golden("yolov8/letterbox/letterbox.json", [](const std::filesystem::path& path) {
    json golden = testing::read_json(path);
    ASSERT_FALSE(golden.at("scale_boxes").empty());
    for (const json& row : golden.at("scale_boxes")) {
      SCOPED_TRACE(row.dump());
      const auto boxes = row.at("boxes").get<std::vector<std::array<float, 4>>>();
      const auto wanted = row.at("out").get<std::vector<std::array<float, 4>>>();
      const Size image = size_of(row.at("img0_hw"));
      RatioPad how = assumed_ratio_pad(size_of(row.at("img1_hw")), image, Rules::k83);
      if (row.contains("ratio_pad") && !row.at("ratio_pad").is_null()) {
        const json& pair = row.at("ratio_pad");
        const double ratio = pair.at(0).at(0);  // 8.3 takes the height's for both
        how = {ratio, ratio, pair.at(1).at(0).get<double>(), pair.at(1).at(1).get<double>()};
      }
      ASSERT_EQ(boxes.size(), wanted.size());
      for (size_t b = 0; b < boxes.size(); ++b) {
        const std::array<float, 4> found =
            to_image(Box<InputPixels>::from_corners(boxes[b]), how, image).corners();
        for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(found[i], wanted[b][i], 1e-3) << "box " << b;
      }
    }
  });
}

// Ultralytics 8.4: each side by its own factor, as compat/misc/scale_boxes.json has it.
TEST(parity_letterbox, ScaleBoxesBySide) {
  testing::for_each_golden("compat/misc/scale_boxes.json", [](const std::filesystem::path& path) {
    const json golden = testing::read_json(path);
    ASSERT_FALSE(golden.at("scale_boxes").empty());
    for (const json& row : golden.at("scale_boxes")) {
      SCOPED_TRACE(row.dump());
      const Size image = size_of(row.at("orig_hw"));
      RatioPad how = assumed_ratio_pad(size_of(row.at("net_hw")), image, Rules::k84);
      if (row.contains("ratio_pad") && !row.at("ratio_pad").is_null()) {
        const json& pair = row.at("ratio_pad");
        how = {pair.at(0).at(1), pair.at(0).at(0), pair.at(1).at(0), pair.at(1).at(1)};
      }
      const auto boxes = row.at("boxes").get<std::vector<std::array<float, 4>>>();
      const auto wanted = row.at("out").get<std::vector<std::array<float, 4>>>();
      ASSERT_EQ(boxes.size(), wanted.size());
      for (size_t b = 0; b < boxes.size(); ++b) {
        const std::array<float, 4> found =
            to_image(Box<InputPixels>::from_corners(boxes[b]), how, image).corners();
        for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(found[i], wanted[b][i], 1e-3) << "box " << b;
      }
    }
  });
}

TEST(parity_letterbox, ValidationSize) {
  testing::for_each_golden("yolov8/letterbox/letterbox.json", [](const std::filesystem::path& path) {
    json golden = testing::read_json(path);
    ASSERT_FALSE(golden.at("val_load_image").empty());
    for (const json& row : golden.at("val_load_image")) {
      SCOPED_TRACE(row.dump());
      EXPECT_EQ(validation_size(size_of(row.at("in_hw")), row.at("imgsz").get<int>()),
                size_of(row.at("out_hw")));
    }
  });
}

TEST(parity_letterbox, RectBatches) {
  testing::for_each_golden("yolov8/letterbox/letterbox.json", [](const std::filesystem::path& path) {
    json golden = testing::read_json(path);
    ASSERT_FALSE(golden.at("rect_batches").empty());
    for (const json& plan : golden.at("rect_batches")) {
      std::vector<Size> pictures, wanted_sizes;
      for (const json& shape : plan.at("shapes_hw")) pictures.push_back(size_of(shape));
      for (const json& shape : plan.at("batch_shapes_hw")) wanted_sizes.push_back(size_of(shape));
      int image_size = plan.at("imgsz").get<int>(), batch = plan.at("batch").get<int>();
      RectBatches batches = rect_batches(pictures, batch, image_size, plan.at("stride").get<int>(),
                                         plan.at("pad").get<double>());
      EXPECT_EQ(batches.order, plan.at("order").get<std::vector<size_t>>());
      ASSERT_EQ(batches.batch_sizes, wanted_sizes);
      for (size_t i = 0; i < plan.at("images").size(); ++i) {
        const json& row = plan.at("images").at(i);
        SCOPED_TRACE(row.dump());
        size_t index = row.at("orig_index").get<size_t>();
        ASSERT_EQ(batches.order.at(i), index);
        Size batch_size = batches.batch_sizes.at(i / static_cast<size_t>(batch));
        EXPECT_EQ(batch_size, size_of(row.at("batch_hw")));
        EXPECT_EQ(pictures.at(index), size_of(row.at("ori_hw")));
        RectPlacement placement = rect_placement(pictures.at(index), image_size, batch_size);
        EXPECT_EQ(placement.loaded, size_of(row.at("loaded_hw")));
        expect_geometry(placement.letterbox, row);
        EXPECT_DOUBLE_EQ(placement.ratio_height, row.at("ratio_pad").at(0).at(0).get<double>());
        EXPECT_DOUBLE_EQ(placement.ratio_width, row.at("ratio_pad").at(0).at(1).get<double>());
        EXPECT_EQ(placement.ratio_pad().left, row.at("ratio_pad").at(1).at(0).get<double>());
        EXPECT_EQ(placement.ratio_pad().top, row.at("ratio_pad").at(1).at(1).get<double>());
      }
    }
  });
}

image::ConstPixels pixels_of(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  int channels = shape.size() > 2 ? static_cast<int>(shape[2]) : 1;
  int height = static_cast<int>(shape[0]), width = static_cast<int>(shape[1]);
  return {tensor.values<uint8_t>().data(), width, height, channels,
          static_cast<size_t>(width) * static_cast<size_t>(channels)};
}

// "img0.letterbox_auto_96x96" is image img0 after the operation letterbox_auto with target height x width
// 96 x 96.
struct Operation {
  std::string picture, name;
  Size target;
};

bool parse_operation(const std::string& text, Operation& operation) {
  size_t dot = text.find('.'), underscore = text.rfind('_'), times = text.rfind('x');
  if (dot == std::string::npos) return false;
  operation.picture = text.substr(0, dot);
  operation.name = text.substr(dot + 1, underscore - dot - 1);
  operation.target = {std::stoi(text.substr(times + 1)), std::stoi(text.substr(underscore + 1))};
  return true;
}

TEST(parity_letterbox, Pixels) {
  testing::for_each_golden(
      "yolov8/letterbox/letterbox_pixels.safetensors", [](const std::filesystem::path& path) {
        auto golden = weights::read_safetensors(path);
        int compared = 0;
        for (const auto& [name, wanted] : golden.tensors) {
          Operation operation;
          if (!parse_operation(name, operation)) continue;  // an original
          SCOPED_TRACE(name);
          image::ConstPixels source = pixels_of(golden.tensors.at(operation.picture));
          image::ConstPixels expected = pixels_of(wanted);
          std::vector<uint8_t> result(static_cast<size_t>(wanted.size()));
          if (operation.name == "resize_linear") {
            image::resize_linear(source, {result.data(), operation.target.width, operation.target.height,
                                          source.channels, expected.row_bytes});
          } else {
            LetterboxOptions options;
            options.minimum_rectangle = operation.name == "letterbox_auto";
            options.scale_up = operation.name != "letterbox_noup";
            options.scale_fill = operation.name == "stretch";
            ASSERT_TRUE(options.minimum_rectangle || !options.scale_up || options.scale_fill ||
                        operation.name == "letterbox")
                << "an unknown operation";
            image::Image image = image::copy_image(source);
            image::Image boxed = image::letterbox(
                image, letterbox_geometry({image.width(), image.height()}, operation.target, options));
            ASSERT_EQ(boxed.width(), expected.width);
            ASSERT_EQ(boxed.height(), expected.height);
            std::copy_n(boxed.row(0), boxed.byte_size(), result.data());
          }
          EXPECT_TRUE(std::ranges::equal(result, wanted.values<uint8_t>()));
          ++compared;
        }
        EXPECT_GT(compared, 0);
      });
}

}  // namespace
}  // namespace marrow
