// Mosaic, perspective, colours and flips against golden/yolov8/augment.
#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "marrow/geometry/letterbox.h"
#include "marrow/image/hsv.h"
#include "marrow/loader/augment/flip.h"
#include "marrow/loader/augment/mosaic.h"
#include "marrow/loader/augment/perspective.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;
using Tensors = decltype(weights::SafetensorsFile::tensors);

// The tensors beside a description.
Tensors tensors_of(std::filesystem::path description) {
  return weights::read_safetensors(description.replace_extension(".safetensors")).tensors;
}

// Height, width, blue-green-red.
image::Image image_of(const Tensor& tensor) {
  const int height = static_cast<int>(tensor.dim(0)), width = static_cast<int>(tensor.dim(1));
  return image::copy_image(
      {tensor.values<uint8_t>().data(), width, height, 3, static_cast<size_t>(width) * 3});
}

std::vector<loader::Object> objects_of(const Tensor& boxes, const Tensor& classes) {
  std::vector<loader::Object> objects;
  for (size_t i = 0; i < static_cast<size_t>(boxes.dim(0)); ++i) {
    const auto box = boxes.values().subspan(i * 4, 4);
    objects.push_back({static_cast<int>(classes.values()[i]), {box[0], box[1], box[2], box[3]}, {}});
  }
  return objects;
}

std::vector<loader::Object> objects_of_normalised(const Tensor& boxes, const Tensor* classes, Size picture) {
  std::vector<loader::Object> objects;
  for (size_t i = 0; i < static_cast<size_t>(boxes.dim(0)); ++i) {
    const auto box = boxes.values().subspan(i * 4, 4);
    const int class_id = classes == nullptr ? 0 : static_cast<int>(classes->values()[i]);
    objects.push_back({class_id, loader::to_pixels({box[0], box[1], box[2], box[3]}, picture), {}});
  }
  return objects;
}

void expect_box(const loader::Object& object, std::span<const float> wanted, double tolerance) {
  EXPECT_NEAR(object.box.x1, wanted[0], tolerance);
  EXPECT_NEAR(object.box.y1, wanted[1], tolerance);
  EXPECT_NEAR(object.box.x2, wanted[2], tolerance);
  EXPECT_NEAR(object.box.y2, wanted[3], tolerance);
}

void expect_objects(const std::vector<loader::Object>& objects, const Tensor& boxes, const Tensor& classes,
                    double tolerance) {
  ASSERT_EQ(static_cast<int64_t>(objects.size()), boxes.dim(0));
  for (size_t i = 0; i < objects.size(); ++i) {
    SCOPED_TRACE("object " + std::to_string(i));
    EXPECT_EQ(objects[i].class_id, static_cast<int>(classes.values()[i]));
    expect_box(objects[i], boxes.values().subspan(i * 4, 4), tolerance);
  }
}

// How many bytes differ, and by how much at most.
struct Difference {
  int count = 0, largest = 0;
  double mean = 0;
};

Difference difference(const image::Image& a, const image::Image& b) {
  Difference result;
  if (a.width() != b.width() || a.height() != b.height()) return {INT_MAX, INT_MAX, INT_MAX};
  for (size_t i = 0; i < a.byte_size(); ++i) {
    const int d = std::abs(a.row(0)[i] - b.row(0)[i]);
    result.count += d != 0;
    result.largest = std::max(result.largest, d);
    result.mean += static_cast<double>(d) / static_cast<double>(a.byte_size());
  }
  return result;
}

TEST(parity_augment, Mosaic) {
  testing::for_each_golden("yolov8/augment/mosaic.json", [](const std::filesystem::path& description) {
    const Tensors golden = tensors_of(description);
    const json cases = testing::read_json(description);
    ASSERT_FALSE(cases.empty());
    for (const json& row : cases) {
      const auto name = row.at("name").get<std::string>();
      SCOPED_TRACE(name);
      std::array<loader::SharedSample, 4> tiles;
      for (size_t i = 0; i < tiles.size(); ++i) {
        const std::string tile = std::to_string(i);
        const image::Image image = image_of(golden.at(name + ".img" + tile));
        tiles[i] = {std::make_shared<const image::Image>(image),
                    objects_of_normalised(golden.at(name + ".xywhn" + tile), &golden.at(name + ".cls" + tile),
                                          loader::size_of(image))};
      }
      const loader::Sample sample =
          loader::mosaic(tiles, row.at("s").get<int>(), {row.at("xc").get<int>(), row.at("yc").get<int>()});
      EXPECT_TRUE(sample.image == image_of(golden.at(name + ".mosaic")));
      expect_objects(sample.objects, golden.at(name + ".boxes_out"), golden.at(name + ".cls_out"), 1e-3);
    }
  });
}

TEST(parity_augment, Perspective) {
  testing::for_each_golden("yolov8/augment/perspective.json", [](const std::filesystem::path& description) {
    const Tensors golden = tensors_of(description);
    const json cases = testing::read_json(description);
    ASSERT_FALSE(cases.empty());
    for (const json& row : cases) {
      const auto name = row.at("name").get<std::string>();
      SCOPED_TRACE(name);
      const image::Image image = image_of(golden.at(name + ".img"));
      image::Matrix3 matrix;
      std::ranges::copy(golden.at(name + ".M").values<double>(), matrix.begin());
      const Size output{row.at("output_hw").at(1).get<int>(), row.at("output_hw").at(0).get<int>()};
      const bool divide = row.at("use_perspective_divide").get<bool>();
      const double scale = row.at("scale_s").get<double>();

      image::Image warped(output.width, output.height);
      (divide ? image::warp_perspective : image::warp_affine)(image.pixels(), matrix, warped.pixels(),
                                                              kLetterboxGrey);
      EXPECT_EQ(difference(warped, image_of(golden.at(name + ".warped_img"))).count, 0);

      const std::vector<loader::Object> objects =
          objects_of(golden.at(name + ".boxes"), golden.at(name + ".cls"));
      const Tensor& all = golden.at(name + ".boxes_clipped_all");
      const auto keep = golden.at(name + ".keep").bytes();
      std::vector<loader::Object> kept;
      for (size_t i = 0; i < objects.size(); ++i) {
        SCOPED_TRACE("object " + std::to_string(i));
        loader::Object moved = loader::warp_object(objects[i], matrix, divide, output);
        expect_box(moved, all.values().subspan(i * 4, 4), 1e-2);
        const bool is = loader::is_kept(objects[i].box, moved.box, scale, row.at("area_thr").get<float>());
        EXPECT_EQ(is, keep[i] != std::byte{0});
        if (is) kept.push_back(std::move(moved));
      }
      expect_objects(kept, golden.at(name + ".boxes_out"), golden.at(name + ".cls_out"), 1e-2);
    }
  });
}

// The recorded matrix is T S R P C; without rotation, shear and perspective the draws follow from it.
TEST(parity_augment, PerspectiveFromDraws) {
  testing::for_each_golden("yolov8/augment/perspective.json", [](const std::filesystem::path& description) {
    const Tensors golden = tensors_of(description);
    int compared = 0;
    for (const json& row : testing::read_json(description)) {
      const json& params = row.at("params");
      if (params.at("degrees") != 0 || params.at("shear") != 0 || params.at("perspective") != 0) continue;
      const auto name = row.at("name").get<std::string>();
      SCOPED_TRACE(name);
      const auto matrix = golden.at(name + ".M").values<double>();
      const image::Image image = image_of(golden.at(name + ".img"));
      const Size output{row.at("output_hw").at(1).get<int>(), row.at("output_hw").at(0).get<int>()};
      loader::PerspectiveDraws draws;
      draws.scale = row.at("scale_s").get<double>();
      draws.translate_x = (matrix[2] + matrix[0] * image.width() / 2.0) / output.width;
      draws.translate_y = (matrix[5] + matrix[4] * image.height() / 2.0) / output.height;
      const image::Matrix3 built = loader::perspective_matrix(draws, loader::size_of(image), output);
      for (size_t i = 0; i < built.size(); ++i) EXPECT_NEAR(built[i], matrix[i], 2e-5) << "element " << i;

      const loader::Sample sample = loader::random_perspective(
          {image, objects_of(golden.at(name + ".boxes"), golden.at(name + ".cls"))}, draws, output);
      // The draws come back with the matrix's rounding, which may move a sample point by a 32nd of a pixel.
      EXPECT_LE(difference(sample.image, image_of(golden.at(name + ".warped_img"))).largest, 255 / 32 + 1);
      expect_objects(sample.objects, golden.at(name + ".boxes_out"), golden.at(name + ".cls_out"), 1e-2);
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

// Bilinear, in double; what comes from outside is grey.
image::Image exactly_warped(const image::Image& image, std::span<const double> matrix, Size output) {
  const double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4], scale = 1 / (a * d - b * c);
  const auto at = [&](int x, int y, int channel) -> double {
    const bool inside = x >= 0 && y >= 0 && x < image.width() && y < image.height();
    return inside ? image.row(y)[3 * x + channel] : kLetterboxGrey;
  };
  image::Image warped(output.width, output.height);
  for (int v = 0; v < output.height; ++v)
    for (int u = 0; u < output.width; ++u) {
      const double x = (d * (u - matrix[2]) - b * (v - matrix[5])) * scale;
      const double y = (a * (v - matrix[5]) - c * (u - matrix[2])) * scale;
      const int left = static_cast<int>(std::floor(x)), top = static_cast<int>(std::floor(y));
      const double right = x - left, down = y - top;
      for (int channel = 0; channel < 3; ++channel)
        warped.row(v)[3 * u + channel] = static_cast<uint8_t>(std::lround(
            (at(left, top, channel) * (1 - right) + at(left + 1, top, channel) * right) * (1 - down) +
            (at(left, top + 1, channel) * (1 - right) + at(left + 1, top + 1, channel) * right) * down));
    }
  return warped;
}

// An image that is warped as it is, without a letterbox before: Ultralytics 8.4.
TEST(parity_augment, PerspectiveWithoutLetterbox) {
  testing::for_each_golden(
      "compat/misc/perspective_no_letterbox.json", [](const std::filesystem::path& path) {
        const Tensors golden = tensors_of(path);
        const json recorded = testing::read_json(path);
        int compared = 0;
        for (const json& row : recorded.at("cases")) {
          const std::string name = std::to_string(row.at("case").get<int>());
          SCOPED_TRACE(name);
          const image::Image image = image_of(golden.at(name + ".img"));
          const Size output{row.at("output_hw").at(1).get<int>(), row.at("output_hw").at(0).get<int>()};
          const auto matrix = golden.at(name + ".M").values<double>();
          const double scale = row.at("scale_s");
          // The draws out of the matrix: M = T R C.
          loader::PerspectiveDraws draws;
          draws.scale = scale;
          draws.degrees = std::atan2(matrix[1], matrix[0]) * 180 / std::numbers::pi;
          draws.translate_x =
              (matrix[2] + matrix[0] * image.width() / 2.0 + matrix[1] * image.height() / 2.0) / output.width;
          draws.translate_y =
              (matrix[5] + matrix[3] * image.width() / 2.0 + matrix[4] * image.height() / 2.0) /
              output.height;
          const image::Matrix3 built = loader::perspective_matrix(draws, loader::size_of(image), output);
          for (size_t i = 0; i < built.size(); ++i) EXPECT_NEAR(built[i], matrix[i], 2e-5) << "element " << i;
          // A later OpenCV warped it, without rounding positions to a 32nd of a pixel as 4.6 and Marrow do.
          const image::Image wanted_image = image_of(golden.at(name + ".out"));
          EXPECT_LE(difference(exactly_warped(image, matrix, output), wanted_image).largest, 1);
          const Tensor classes = Tensor({golden.at(name + ".boxes").dim(0)});
          const loader::Sample sample = loader::random_perspective(
              {image, objects_of(golden.at(name + ".boxes"), classes)}, draws, output);
          // The draws come back with the matrix's rounding, which may move a sample point by a 32nd of a
          // pixel.
          EXPECT_LE(difference(sample.image, wanted_image).largest, 255 / 32 + 1);
          EXPECT_LE(difference(sample.image, wanted_image).mean, 0.5);
          const Tensor& wanted = golden.at(name + ".boxes_out");
          ASSERT_EQ(sample.objects.size(), row.at("kept").get<size_t>());
          ASSERT_EQ(static_cast<int64_t>(sample.objects.size()), wanted.dim(0));
          for (size_t i = 0; i < sample.objects.size(); ++i)
            expect_box(sample.objects[i], wanted.values().subspan(i * 4, 4), 1e-2);
          ++compared;
        }
        EXPECT_GT(compared, 0);
      });
}

TEST(parity_augment, ColourConversions) {
  testing::for_each_golden("yolov8/augment/hsv_flip.json", [](const std::filesystem::path& description) {
    const Tensors golden = tensors_of(description);
    const auto convert = [](image::Image image, void (*row)(const uint8_t*, int, uint8_t*)) {
      for (int y = 0; y < image.height(); ++y) row(image.row(y), image.width(), image.row(y));
      return image;
    };
    EXPECT_EQ(
        difference(convert(image_of(golden.at("img_bgr")), image::bgr_to_hsv), image_of(golden.at("hsv_cv2")))
            .count,
        0);
    EXPECT_EQ(
        difference(convert(image_of(golden.at("hsv_in")), image::hsv_to_bgr), image_of(golden.at("bgr_cv2")))
            .count,
        0);
  });
}

TEST(parity_augment, Hsv) {
  testing::for_each_golden("yolov8/augment/hsv_flip.json", [](const std::filesystem::path& description) {
    const Tensors golden = tensors_of(description);
    const json cases = testing::read_json(description);
    ASSERT_FALSE(cases.empty());
    for (const json& row : cases) {
      const auto name = row.at("name").get<std::string>();
      const auto u = row.at("u").get<std::vector<double>>(),
                 gains = row.at("gains").get<std::vector<double>>();
      image::Image image = image_of(golden.at("img_bgr"));
      image::adjust_hsv(image, {u.at(0) * gains.at(0), u.at(1) * gains.at(1), u.at(2) * gains.at(2)});
      const Difference found = difference(image, image_of(golden.at(name + ".out")));
      EXPECT_LE(found.largest, 1) << name;
      EXPECT_EQ(found.count, 0) << name;
    }
  });
}

TEST(parity_augment, Flips) {
  testing::for_each_golden("yolov8/augment/hsv_flip.json", [](const std::filesystem::path& description) {
    const Tensors golden = tensors_of(description);
    const image::Image image = image_of(golden.at("img_bgr"));
    for (const auto& [direction, flip] : {std::pair{"flip_horizontal", &loader::flip_horizontally},
                                          std::pair{"flip_vertical", &loader::flip_vertically}}) {
      SCOPED_TRACE(direction);
      loader::Sample sample{
          image, objects_of_normalised(golden.at("flip.xywhn_in"), nullptr, loader::size_of(image))};
      flip(sample, {});
      EXPECT_TRUE(sample.image == image_of(golden.at(std::string(direction) + ".img")));
      const Tensor& wanted = golden.at(std::string(direction) + ".xywhn");
      ASSERT_EQ(static_cast<int64_t>(sample.objects.size()), wanted.dim(0));
      for (size_t i = 0; i < sample.objects.size(); ++i) {
        const CentredBox<Normalised> box = loader::normalised(sample.objects[i].box, loader::size_of(image));
        const auto row = wanted.values().subspan(i * 4, 4);
        EXPECT_NEAR(box.cx, row[0], 1e-6);
        EXPECT_NEAR(box.cy, row[1], 1e-6);
        EXPECT_NEAR(box.width, row[2], 1e-6);
        EXPECT_NEAR(box.height, row[3], 1e-6);
      }
    }
  });
}

}  // namespace
}  // namespace marrow
