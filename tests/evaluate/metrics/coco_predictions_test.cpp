#include "marrow/evaluate/metrics/coco_predictions.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace marrow::evaluate {
namespace {

TEST(CocoPredictions, AreWrittenRoundedWithTheNumberInTheName) {
  const std::vector<CocoPrediction> predictions = {{"seven.jpg", 1, {1.23456, 2, 3.0004, 4}, 0.123456},
                                                   {"0000000007.png", 90, {0, 0, 1, 1}, 1.0}};
  const std::string text = coco_predictions_json(predictions);
  EXPECT_EQ(
      text,
      "[\n"
      R"({"image_id": "seven", "file_name": "seven.jpg", "category_id": 1, "bbox": [1.235, 2, 3, 4], )"
      R"("score": 0.12346},)"
      "\n"
      R"({"image_id": 7, "file_name": "0000000007.png", "category_id": 90, "bbox": [0, 0, 1, 1], "score": 1})"
      "\n]\n");
  EXPECT_EQ(coco_predictions_json({}), "[\n]\n");
  EXPECT_EQ(coco_predictions_json({{{"0000000007.png", 1, {0, 0, 1, 1}, 1.0, 42}}}).substr(2, 15),
            "{\"image_id\": 42");
}

TEST(CocoPredictions, WritesJsonWhateverItIsGiven) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<CocoPrediction> predictions = {
      {"a\"b\xff.jpg", 1, {inf, -inf, std::numeric_limits<double>::quiet_NaN(), 1e307}, inf},
      {"99999999999999999999999.jpg", 1, {0, 0, 1, 1}, 0.5}};
  const std::string text = coco_predictions_json(predictions);
  const nlohmann::json read = nlohmann::json::parse(text);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].at("image_id"), "a\"b\xef\xbf\xbd");
  EXPECT_EQ(read[0].at("bbox")[0], 0.0);
  EXPECT_EQ(read[0].at("score"), 0.0);
  EXPECT_EQ(read[1].at("image_id"), "99999999999999999999999");  // no number that fits
}

TEST(CocoPredictions, Coco91SkipsTheUnusedNumbers) {
  const std::vector<int64_t> ids = coco_category_ids(80, true);
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(ids[10], 11);
  EXPECT_EQ(ids[11], 13);
  EXPECT_EQ(ids.back(), 90);
  EXPECT_EQ(coco_category_ids(3, false), (std::vector<int64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace marrow::evaluate
