#include "marrow/evaluate/metrics/classification.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

ClassificationValidator seven() {
  return ClassificationValidator({"a", "b", "c", "d", "e", "f", "g"});
}

TEST(Classification, CountsFirstAndFirstFive) {
  ClassificationValidator validator = seven();
  const std::vector<float> scores = {0.1f, 0.7f, 0.6f, 0.5f, 0.4f, 0.3f, 0.2f};
  validator.add(scores, 1);  // first
  validator.add(scores, 5);  // fifth
  validator.add(scores, 6);  // sixth
  EXPECT_EQ(validator.total().images, 3);
  EXPECT_EQ(validator.total().top1, 1);
  EXPECT_EQ(validator.total().top5, 2);
  EXPECT_NEAR(validator.fitness(), 0.5, 1e-12);
  EXPECT_EQ(validator.classes()[5].top1, 0);
  EXPECT_EQ(validator.classes()[5].top5, 1);
  EXPECT_EQ(validator.confusion().at(1, 1), 1);
  EXPECT_EQ(validator.confusion().at(1, 5), 1);
  EXPECT_EQ(validator.confusion().at(5, 5), 0);
}

TEST(Classification, OfEqualScoresTheLowerClassComesFirst) {
  ClassificationValidator validator = seven();
  const std::vector<float> equal(7, 0.5f);
  for (int c = 0; c < 7; ++c) validator.add(equal, c);
  EXPECT_EQ(validator.total().top1, 1);
  EXPECT_EQ(validator.total().top5, 5);
  EXPECT_EQ(validator.confusion().at(0, 6), 1);
}

TEST(Classification, ScoresThatAreNotNumbersComeLast) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  ClassificationValidator validator({"a", "b"});
  validator.add(std::vector<float>{kNan, -5.0f}, 1);
  EXPECT_EQ(validator.total().top1, 1);
  validator.add(std::vector<float>{kNan, kNan}, 1);
  EXPECT_EQ(validator.total().top1, 1);
}

TEST(Classification, FewerThanFiveClassesAreAllWithinFive) {
  ClassificationValidator validator({"a", "b"});
  validator.add(std::vector<float>{0.9f, 0.1f}, 1);
  EXPECT_EQ(validator.total().top5, 1);
}

TEST(Classification, NothingAddedIsZero) {
  EXPECT_EQ(seven().fitness(), 0.0);
  EXPECT_EQ(seven().total().top1_share(), 0.0);
}

TEST(Classification, RefusesAnotherNumberOfClasses) {
  ClassificationValidator validator({"a", "b"});
  EXPECT_THROW(validator.add(std::vector<float>{1.0f}, 0), Error);
  EXPECT_THROW(validator.add(std::vector<float>{1.0f, 0.0f}, 2), Error);
  EXPECT_THROW(validator.add(std::vector<float>{1.0f, 0.0f}, -1), Error);
  EXPECT_EQ(validator.total().images, 0);
}

TEST(Classification, TableAndJson) {
  ClassificationValidator validator({"a", "b", "c"});
  validator.add(std::vector<float>{0.9f, 0.1f, 0.0f}, 0);
  validator.add(std::vector<float>{0.9f, 0.1f, 0.0f}, 1);
  EXPECT_EQ(validator.table(true),
            "               classes     images   top1_acc   top5_acc\n"
            "                   all          2        0.5          1\n"
            "                     a          1          1          1\n"
            "                     b          1          0          1\n");
  EXPECT_EQ(validator.mistakes(5), "Most often taken for another class:\nb for a: 1 of 1\n");
  EXPECT_EQ(seven().mistakes(5), "");
  const nlohmann::ordered_json json = validator.json();
  EXPECT_EQ(json.at("top1"), 0.5);
  EXPECT_EQ(json.at("fitness"), 0.75);
  EXPECT_EQ(json.at("per_class").size(), 3u);
  EXPECT_EQ(json.at("confusion_matrix")[0], (nlohmann::ordered_json{1, 1, 0}));
}

}  // namespace
}  // namespace marrow::evaluate
