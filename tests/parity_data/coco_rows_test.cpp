// COCO's annotations as rows of label files, against golden-2/tasks/labels/coco.json.
#include <gtest/gtest.h>

#include <map>

#include "marrow/data/formats/coco_format.h"
#include "tensors.h"

namespace marrow {
namespace {

using nlohmann::json;

// The rows of every image, by the stem of its name; images without any are left out.
std::map<std::string, std::string> rows_of(const json& file, Task task) {
  const data::CocoFile coco = data::parse_coco(file.dump(), "coco.json");
  data::CocoRules rules{.task = task};
  data::CocoClasses classes;
  for (const data::CocoCategory& category : coco.categories) {
    classes.class_of.emplace_back(category.id, static_cast<int>(category.id) - 1);
    if (task == Task::kPose) rules.keypoints = {static_cast<int>(category.keypoints.size()), 3};
  }
  std::map<std::string, std::string> rows;
  for (const data::CocoImage& image : coco.images) {
    const auto objects = std::ranges::equal_range(coco.objects, image.id, {}, &data::CocoObject::image_id);
    const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
    data::ParsedLabels parsed = data::coco_labels(coco, image, {objects.begin(), objects.end()}, classes,
                                                  width, height, "coco.json", rules);
    EXPECT_TRUE(parsed.usable);
    data::LabelledImage labelled;
    labelled.width = width;
    labelled.height = height;
    labelled.labels = std::move(parsed.labels);
    labelled.polygons = std::move(parsed.polygons);
    labelled.parts = std::move(parsed.parts);
    labelled.keypoints = std::move(parsed.keypoints);
    const std::string text = data::yolo_label_lines(labelled, task, rules.keypoints);
    if (!text.empty()) rows[std::filesystem::path(image.file_name).stem()] = text;
  }
  return rows;
}

TEST(CocoRows, AreWrittenAsRecorded) {
  testing::for_each_golden("tasks/labels/coco.json", [](const auto& path) {
    const json recorded = testing::read_json(path);
    EXPECT_EQ(json(rows_of(recorded["instances"], Task::kSegment)).dump(1),
              recorded["rows_with_polygons"].dump(1));
    EXPECT_EQ(json(rows_of(recorded["keypoints"], Task::kPose)).dump(1),
              recorded["rows_with_keypoints"].dump(1));
  });
}

}  // namespace
}  // namespace marrow
