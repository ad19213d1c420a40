// Rows of label files against golden-2/tasks/labels.
#include <gtest/gtest.h>

#include "marrow/data/task_labels.h"
#include "tensors.h"

namespace marrow {
namespace {

using nlohmann::json;

void expect_polygons(const json& wanted, const std::vector<data::Polygon>& polygons) {
  ASSERT_EQ(polygons.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(polygons[i].size(), wanted[i].size());
    for (size_t k = 0; k < wanted[i].size(); ++k) {
      EXPECT_NEAR(polygons[i][k].x, wanted[i][k][0].get<double>(), 1e-6);
      EXPECT_NEAR(polygons[i][k].y, wanted[i][k][1].get<double>(), 1e-6);
    }
  }
}

void expect_keypoints(const json& wanted, const std::vector<data::LabelKeypoint>& keypoints) {
  std::vector<json> flat;
  for (const json& object : wanted) flat.insert(flat.end(), object.begin(), object.end());
  ASSERT_EQ(keypoints.size(), flat.size());
  for (size_t i = 0; i < flat.size(); ++i) {
    EXPECT_NEAR(keypoints[i].x, flat[i][0].get<double>(), 1e-6) << i;
    EXPECT_NEAR(keypoints[i].y, flat[i][1].get<double>(), 1e-6) << i;
    EXPECT_NEAR(keypoints[i].visibility, flat[i][2].get<double>(), 1e-6) << i;
  }
}

// The whole set is refused for an image like this.
bool refuses_set(Task task, const data::ParsedLabels& parsed) {
  data::Dataset dataset;
  dataset.task = task;
  data::LabelledImage image;
  image.path = "images/a.png";
  image.labels = parsed.labels;
  image.polygons = parsed.polygons;
  return data::missing_outlines(dataset, image).has_value();
}

void expect_rows(const json& one) {
  const Task task = task_named(one["task"].get<std::string>()).value();
  data::YoloRows rules{.classes = one["single_cls"].get<bool>() ? 1000 : one["classes"].get<int>(),
                       .task = task};
  if (!one["kpt_shape"].is_null()) rules.keypoints = {one["kpt_shape"][0], one["kpt_shape"][1]};
  const data::ParsedLabels parsed = data::parse_yolo_labels(one["text"].get<std::string>(), "a.txt", rules);
  EXPECT_EQ(parsed.usable, !one.contains("refused"))
      << (parsed.problems.empty() ? "" : parsed.problems[0].text());
  if (one.contains("refused") || !parsed.usable) return;
  ASSERT_EQ(parsed.labels.size(), one["cls"].size());
  for (size_t i = 0; i < parsed.labels.size(); ++i) {
    EXPECT_EQ(parsed.labels[i].class_id, one["cls"][i].get<int>());
    const auto& box = parsed.labels[i].box;
    const double numbers[] = {box.cx, box.cy, box.width, box.height};
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(numbers[k], one["bboxes"][i][k].get<double>(), 1e-6);
  }
  if (one.contains("set_refused")) {
    EXPECT_EQ(refuses_set(task, parsed), one["set_refused"].get<bool>());
  }
  if (one.contains("segments")) expect_polygons(one["segments"], parsed.polygons);
  if (one.contains("keypoints")) expect_keypoints(one["keypoints"], parsed.keypoints);
  int64_t duplicates = 0;
  for (const data::Problem& problem : parsed.problems)
    duplicates += problem.kind == data::Problem::Kind::kDuplicateLabel;
  EXPECT_EQ(duplicates, one["duplicates_removed"].get<int64_t>());
}

TEST(LabelRows, AreReadAsRecorded) {
  testing::for_each_golden("tasks/labels/rows.json", [](const auto& path) {
    for (const json& one : testing::read_json(path)) {
      SCOPED_TRACE(one["task"].get<std::string>() + ": " + one["what"].get<std::string>());
      expect_rows(one);
    }
  });
}

}  // namespace
}  // namespace marrow
