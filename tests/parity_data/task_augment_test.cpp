// Augmentation of outlines, keypoints and turned boxes against golden-2/tasks/augment.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "marrow/loader/augment/blend.h"
#include "marrow/loader/augment/copy_paste.h"
#include "marrow/loader/augment/flip.h"
#include "marrow/loader/augment/mosaic.h"
#include "marrow/loader/augment/perspective.h"
#include "marrow/loader/augment/pipeline.h"
#include "marrow/loader/detection_batch.h"
#include "marrow/outline/resample.h"
#include "marrow/outline/turned_box.h"
#include "tensors.h"

namespace marrow::loader {
namespace {

using nlohmann::json;
using testing::for_each_case;
using testing::Recorded;

// Objects recorded as "NAME.cls", "NAME.xywhn" and so on.
std::vector<Object> objects_at(const Recorded& recorded, const std::string& name, Size picture) {
  std::vector<Object> objects;
  const Tensor& boxes = recorded.at(name + ".xywhn");
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  for (size_t i = 0; i < static_cast<size_t>(boxes.dim(0)); ++i) {
    const auto box = boxes.values().subspan(i * 4, 4);
    objects.push_back({static_cast<int>(recorded.at(name + ".cls").values()[i]),
                       to_pixels({box[0], box[1], box[2], box[3]}, picture)});
    if (recorded.has(name + ".polygonsn")) {
      const Tensor& polygons = recorded.at(name + ".polygonsn");
      const auto each = static_cast<size_t>(polygons.dim(1)) * 2;
      objects.back().polygon = testing::points_of<ImagePixels>(polygons.values().subspan(i * each, each));
      for (auto& [x, y] : objects.back().polygon) x *= w, y *= h;
      // Turned boxes are recorded by their corners, before they are resampled as objects_of() does.
      if (each == 2 * 4)
        objects.back().polygon =
            outline::resampled(std::span<const Point<ImagePixels>>(objects.back().polygon), 100);
    }
    if (recorded.has(name + ".keypointsn")) {
      const Tensor& keypoints = recorded.at(name + ".keypointsn");
      const auto each = static_cast<size_t>(keypoints.dim(1)) * 3;
      const auto values = keypoints.values().subspan(i * each, each);
      for (size_t k = 0; k < each; k += 3)
        objects.back().keypoints.push_back({values[k] * w, values[k + 1] * h, values[k + 2]});
    }
  }
  return objects;
}

// Angles of squares are known modulo a right angle.
void expect_turned(const RotatedBox<ImagePixels>& box, std::span<const float> wanted, double tolerance) {
  constexpr double kRight = std::numbers::pi / 2;
  EXPECT_NEAR(box.cx, wanted[0], tolerance);
  EXPECT_NEAR(box.cy, wanted[1], tolerance);
  const bool square = std::abs(wanted[2] - wanted[3]) < 10 * tolerance;
  EXPECT_NEAR(box.width, wanted[2], tolerance);
  EXPECT_NEAR(box.height, wanted[3], tolerance);
  const double difference = square ? std::remainder(box.angle - wanted[4], kRight) : box.angle - wanted[4];
  EXPECT_NEAR(difference, 0, tolerance);
}

void expect_object(const Recorded& recorded, const std::string& name, size_t i, const Object& object,
                   double tolerance) {
  SCOPED_TRACE(name + " object " + std::to_string(i));
  EXPECT_EQ(object.class_id, static_cast<int>(recorded.at(name + ".cls").values()[i]));
  const auto box = recorded.at(name + ".boxes").values().subspan(i * 4, 4);
  for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(object.box.corners()[k], box[k], tolerance) << k;
  if (recorded.has(name + ".polygons")) {
    const Tensor& polygons = recorded.at(name + ".polygons");
    const auto each = static_cast<size_t>(polygons.dim(1)) * 2;
    const auto wanted = testing::points_of<ImagePixels>(polygons.values().subspan(i * each, each));
    ASSERT_EQ(object.polygon.size(), wanted.size());
    for (size_t k = 0; k < wanted.size(); ++k) {
      EXPECT_NEAR(object.polygon[k].x, wanted[k].x, tolerance) << k;
      EXPECT_NEAR(object.polygon[k].y, wanted[k].y, tolerance) << k;
    }
  }
  if (recorded.has(name + ".keypoints")) {
    const auto values = recorded.at(name + ".keypoints").values();
    const size_t each = object.keypoints.size();
    for (size_t k = 0; k < each; ++k) {
      const float* wanted = &values[(i * each + k) * 3];
      EXPECT_NEAR(object.keypoints[k].x, wanted[0], tolerance) << k;
      EXPECT_NEAR(object.keypoints[k].y, wanted[1], tolerance) << k;
      EXPECT_EQ(object.keypoints[k].visibility, wanted[2]) << k;
    }
  }
  if (recorded.has(name + ".xywhr"))
    expect_turned(outline::turned_box(object.polygon),
                  recorded.at(name + ".xywhr").values().subspan(i * 5, 5), tolerance);
}

void expect_objects(const Recorded& recorded, const std::string& name, const std::vector<Object>& objects,
                    double tolerance) {
  ASSERT_EQ(static_cast<int64_t>(objects.size()), recorded.at(name + ".cls").dim(0)) << name;
  for (size_t i = 0; i < objects.size(); ++i) expect_object(recorded, name, i, objects[i], tolerance);
}

image::Image image_at(const Recorded& recorded, const std::string& name) {
  const Tensor& tensor = recorded.at(name);
  const auto width = static_cast<int>(tensor.dim(1)), height = static_cast<int>(tensor.dim(0));
  return image::copy_image(
      {tensor.values<uint8_t>().data(), width, height, 3, static_cast<size_t>(width) * 3});
}

double pixels(Task task) {
  return task == Task::kObb ? 5e-3 : 1e-3;
}

Task task_of(const json& one) {
  return task_named(one["task"].get<std::string>()).value();
}

void expect_masks(const Recorded& recorded, const std::string& name, std::vector<Object> objects,
                  Size canvas) {
  const std::vector<Object> before = objects;
  const auto as_numbers = [](const Tensor& tensor) {
    const std::vector<uint8_t> bytes = testing::bytes_of(tensor);
    return std::vector<int32_t>(bytes.begin(), bytes.end());
  };
  for (const bool overlap : {false, true}) {
    const std::string key = name + (overlap ? ".format_overlap" : ".format_separate");
    if (!recorded.has(key + ".masks")) continue;
    objects = before;
    EXPECT_EQ(draw_masks(objects, canvas, {.overlap = overlap}), as_numbers(recorded.at(key + ".masks")))
        << key;
    BatchRows rows(Task::kSegment);
    rows.add(objects, {}, canvas);
    DetectionBatch batch;
    std::move(rows).move_into(batch, canvas, {});
    const auto boxes = recorded.at(key + ".xywhn").values();
    for (size_t i = 0; i < objects.size(); ++i)
      for (size_t k = 0; k < 4; ++k)
        EXPECT_NEAR(batch.targets.values()[i * 6 + 2 + k], boxes[i * 4 + k], 1e-4) << key << " " << i;
  }
}

TEST(TaskAugment, Perspective) {
  for_each_case("tasks/augment/perspective.json", [](auto& recorded, auto& one, auto& name) {
    const Task task = task_of(one);
    const Size input = testing::size_of_hw(one["input_hw"]), output = testing::size_of_hw(one["output_hw"]);
    const json& d = one["draws"];
    const PerspectiveDraws draws{.perspective_x = d["perspective_x"],
                                 .perspective_y = d["perspective_y"],
                                 .degrees = d["degrees"],
                                 .scale = d["scale"],
                                 .shear_x = d["shear_x_degrees"],
                                 .shear_y = d["shear_y_degrees"],
                                 .translate_x = d["translate_x"],
                                 .translate_y = d["translate_y"]};
    const std::vector<Object> objects = objects_at(recorded, name + ".in", input);
    const Tensor& keep = recorded.at(name + ".keep");
    for (size_t i = 0; i < objects.size(); ++i) {
      if (task == Task::kObb && keep.bytes()[i] == std::byte{0}) continue;
      const Object moved = warp_object(objects[i], perspective_matrix(draws, input, output),
                                       one["use_perspective_divide"], output, task);
      expect_object(recorded, name + ".all", i, moved, 1e-2);
    }
    const Sample sample =
        random_perspective({image::Image(input.width, input.height), objects, {}, task}, draws, output);
    expect_objects(recorded, name + ".out", sample.objects, 1e-2);
    if (task == Task::kSegment) expect_masks(recorded, name, sample.objects, output);
    if (task != Task::kObb) return;
    BatchRows rows(task);
    rows.add(sample.objects, {}, output);
    DetectionBatch batch;
    std::move(rows).move_into(batch, output);
    const auto wanted = recorded.at(name + ".out.xywhrn").values();
    for (size_t i = 0; i < sample.objects.size(); ++i)
      for (size_t k = 0; k < 4; ++k)
        EXPECT_NEAR(batch.targets.values()[i * 7 + 2 + k], wanted[i * 5 + k],
                    1e-2 / (k % 2 == 0 ? output.width : output.height))
            << i;
  });
}

TEST(TaskAugment, Mosaic) {
  for_each_case("tasks/augment/mosaic.json", [](auto& recorded, auto& one, auto& name) {
    const Task task = task_of(one);
    std::array<SharedSample, 4> tiles;
    for (size_t i = 0; i < 4; ++i) {
      const std::string tile = name + ".tile" + std::to_string(i);
      const auto hw = recorded.at(tile + ".hw").template values<int64_t>();
      const Size size = {static_cast<int>(hw[1]), static_cast<int>(hw[0])};
      tiles[i] = {std::make_shared<const image::Image>(size.width, size.height),
                  objects_at(recorded, tile, size),
                  {},
                  task};
    }
    const Sample sample = mosaic(tiles, one["s"], {one["xc"], one["yc"]});
    expect_objects(recorded, name + ".out", sample.objects, pixels(task));
  });
}

TEST(TaskAugment, Flips) {
  for_each_case("tasks/augment/flip.json", [](auto& recorded, auto& one, auto& name) {
    const Task task = task_of(one);
    if (!recorded.has(name + ".out.cls")) {
      // Keypoints without flip_idx are never mirrored.
      AugmentSettings settings;
      settings.flipud = settings.fliplr = 1;
      settings.forbid_flips_without_indices(task);
      EXPECT_EQ(settings.fliplr + settings.flipud, 0);
      return;
    }
    const Size size = testing::size_of_hw(one["hw"]);
    Sample sample{image::Image(size.width, size.height), objects_at(recorded, name + ".in", size), {}, task};
    std::vector<int> flip_idx;
    if (!one["flip_idx"].is_null()) flip_idx = one["flip_idx"].template get<std::vector<int>>();
    (one["direction"] == "horizontal" ? flip_horizontally : flip_vertically)(sample, flip_idx);
    expect_objects(recorded, name + ".out", sample.objects, pixels(task));
  });
}

TEST(TaskAugment, CopyPaste) {
  for_each_case("tasks/augment/copy_paste.json", [](auto& recorded, auto& one, auto& name) {
    const Task task = task_of(one);
    const Size size = testing::size_of_hw(one["hw"]);
    Sample sample{image_at(recorded, name + ".img"), objects_at(recorded, name + ".in", size), {}, task};
    const size_t before = sample.objects.size();
    if (one["mode"] == "flip")
      copy_paste_mirrored(sample, one["p"]);
    else
      copy_paste_from(
          {image_at(recorded, name + ".second_img"), objects_at(recorded, name + ".second", size), {}, task},
          sample, one["p"]);
    EXPECT_EQ(sample.objects.size(), before + one["selected_in_order"].size());
    const image::Image wanted = image_at(recorded, name + ".out_img");
    for (int y = 0; y < size.height; ++y)
      for (int x = 0; x < size.width; ++x)
        EXPECT_TRUE(std::equal(wanted.pixel(x, y), wanted.pixel(x, y) + 3, sample.image.pixel(x, y)))
            << x << ", " << y;
    if (recorded.has(name + ".out.cls"))
      expect_objects(recorded, name + ".out", sample.objects, pixels(task));
  });
}

TEST(TaskAugment, Cutmix) {
  for_each_case("tasks/augment/cutmix.json", [](auto& recorded, auto& one, auto& name) {
    const Task task = task_of(one);
    const Size size = testing::size_of_hw(one["hw"]);
    const json& r = one["rectangle_xyxy"];
    const PixelRectangle rectangle = {r[0].get<int>(), r[1].get<int>(), r[2].get<int>(), r[3].get<int>()};
    Sample sample{image::Image(size.width, size.height), objects_at(recorded, name + ".in", size), {}, task};
    Sample other{
        image::Image(size.width, size.height), objects_at(recorded, name + ".second", size), {}, task};
    paste_rectangle(sample, other, rectangle);
    expect_objects(recorded, name + ".out", sample.objects, pixels(task));
  });
}

}  // namespace
}  // namespace marrow::loader
