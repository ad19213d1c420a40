#include "marrow/data/tools/suspects.h"

#include <gtest/gtest.h>

namespace marrow::data {
namespace {

// 100 x 100 pixels.
LabelledImage labelled(const std::vector<Label>& labels) {
  return {{.labels = labels}, "a.jpg", 100, 100};
}

detect::Detection seen(float x1, float y1, float x2, float y2, int class_id, float confidence) {
  return {.box = {x1, y1, x2, y2}, .confidence = confidence, .class_id = class_id};
}

std::vector<Suspect> suspects(const LabelledImage& image, const std::vector<detect::Detection>& detections) {
  return find_suspects(detections, image, 0.5f);
}

TEST(Suspects, NoneWhereModelAndLabelsAgree) {
  const auto image = labelled({{0, {.3, .3, .2, .2}}, {1, {.7, .7, .2, .2}}});
  EXPECT_TRUE(suspects(image, {seen(20, 20, 40, 40, 0, .9f), seen(61, 60, 80, 80, 1, .2f)}).empty());
  EXPECT_TRUE(suspects(labelled({}), {}).empty());
  EXPECT_TRUE(suspects(labelled({}), {seen(1, 1, 9, 9, 0, .4f)}).empty()) << "not sure";
}

TEST(Suspects, AnObjectWithoutALabel) {
  const auto found = suspects(labelled({{0, {.3, .3, .2, .2}}}),
                              {seen(60, 60, 80, 80, 1, .9f), seen(20, 20, 40, 40, 0, .8f)});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, Suspect::Kind::kMissing);
  EXPECT_EQ(found[0].found, 1);
  EXPECT_EQ(found[0].labelled, -1);
  EXPECT_FLOAT_EQ(static_cast<float>(found[0].score), .9f);
}

TEST(Suspects, AnotherClass) {
  const auto found = suspects(labelled({{0, {.3, .3, .2, .2}}}), {seen(21, 20, 40, 40, 1, .7f)});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, Suspect::Kind::kClass);
  EXPECT_EQ(found[0].labelled, 0);
  EXPECT_EQ(found[0].found, 1);
}

TEST(Suspects, ABoxBesideItsObject) {
  const auto found = suspects(labelled({{0, {.3, .3, .2, .2}}}), {seen(28, 20, 48, 40, 0, .7f)});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, Suspect::Kind::kLoose);
}

TEST(Suspects, ALabelWhereNothingIsSeen) {
  const auto found = suspects(labelled({{0, {.3, .3, .1, .1}}, {1, {.7, .7, .4, .4}}}), {});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].kind, Suspect::Kind::kUnseen);
  EXPECT_EQ(found[0].labelled, 1) << "the large one first";
  EXPECT_NEAR(found[0].score, 0.2, 1e-6);
}

TEST(Suspects, CrowdsAndSecondBoxesAreNone) {
  auto image = labelled({{0, {.3, .3, .2, .2}}});
  image.ignored.push_back({{0, {.75, .75, .4, .4}}});
  EXPECT_TRUE(suspects(image, {seen(20, 20, 40, 40, 0, .9f), seen(24, 20, 44, 40, 0, .8f),
                               seen(60, 60, 80, 80, 0, .9f)})
                  .empty());
}

TEST(Suspects, TwoObjectsThatOverlapKeepTheirOwnLabels) {
  const auto image = labelled({{0, {.30, .3, .2, .2}}, {1, {.32, .3, .2, .2}}});
  EXPECT_TRUE(suspects(image, {seen(22, 20, 42, 40, 1, .9f), seen(20, 20, 40, 40, 0, .8f)}).empty());
}

}  // namespace
}  // namespace marrow::data
