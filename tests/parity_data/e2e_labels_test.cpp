// The small datasets of golden-2/tasks/e2e, read from their label files, against the annotations that were
// recorded of them.
#include <gtest/gtest.h>

#include <map>

#include "marrow/data/dataset_split.h"
#include "marrow/outline/turned_box.h"
#include "tensors.h"

namespace marrow {
namespace {

using nlohmann::json;

std::vector<Point<ImagePixels>> pixels_of(const data::Polygon& polygon, const data::LabelledImage& image) {
  std::vector<Point<ImagePixels>> points;
  for (const auto& [x, y] : polygon)
    points.push_back({static_cast<float>(x * image.width), static_cast<float>(y * image.height)});
  return points;
}

void expect_points(const json& wanted, const std::vector<Point<ImagePixels>>& points) {
  ASSERT_EQ(wanted.size(), points.size() * 2);
  for (size_t i = 0; i < points.size(); ++i) {
    EXPECT_NEAR(points[i].x, wanted[2 * i].get<double>(), 1e-2);
    EXPECT_NEAR(points[i].y, wanted[2 * i + 1].get<double>(), 1e-2);
  }
}

void expect_object(const json& wanted, const data::LabelledImage& image, size_t i) {
  EXPECT_EQ(image.labels[i].class_id + 1, wanted["category_id"].get<int>());
  if (wanted.contains("segmentation"))
    expect_points(wanted["segmentation"][0], pixels_of(image.polygons.at(i), image));
  if (wanted.contains("keypoints")) {
    const json& numbers = wanted["keypoints"];
    const size_t each = numbers.size() / 3;
    for (size_t k = 0; k < each; ++k) {
      const data::LabelKeypoint& point = image.keypoints.at(i * each + k);
      EXPECT_NEAR(point.x * image.width, numbers[3 * k].get<double>(), 1e-2);
      EXPECT_NEAR(point.y * image.height, numbers[3 * k + 1].get<double>(), 1e-2);
      EXPECT_EQ(point.visibility, numbers[3 * k + 2].get<double>());
    }
  }
  if (wanted.contains("poly")) {
    const auto corners = outline::turned_box(pixels_of(image.polygons.at(i), image)).corners();
    expect_points(wanted["poly"], {corners.begin(), corners.end()});
  }
}

TEST(E2eLabels, AreTheRecordedAnnotations) {
  testing::for_each_golden("tasks/e2e", [](const auto& folder) {
    for (const auto& path : testing::files_below(folder, {"gt_coco.json"})) {
      SCOPED_TRACE(path.string());
      const json recorded = testing::read_json(path);
      data::Dataset dataset = data::read_dataset(path.parent_path() / "dataset" / "data.yaml");
      dataset.task = task_named(path.parent_path().filename().string()).value();
      const data::SplitLabels labels = data::load_split(dataset, "val", {.use_cache = false});
      EXPECT_TRUE(labels.problems.empty());
      std::map<int64_t, std::vector<json>> objects;
      for (const json& object : recorded["annotations"]) objects[object["image_id"]].push_back(object);
      for (const json& picture : recorded["images"]) {
        const auto image = std::ranges::find_if(labels.images, [&](const data::LabelledImage& each) {
          return each.path.filename() == picture["file_name"].get<std::string>();
        });
        ASSERT_NE(image, labels.images.end()) << picture["file_name"];
        const std::vector<json>& wanted = objects[picture["id"]];
        ASSERT_EQ(image->labels.size(), wanted.size()) << picture["file_name"];
        for (size_t i = 0; i < wanted.size(); ++i) {
          SCOPED_TRACE(picture["file_name"].get<std::string>() + " object " + std::to_string(i));
          expect_object(wanted[i], *image, i);
        }
      }
    }
  });
}

}  // namespace
}  // namespace marrow
