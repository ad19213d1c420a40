#include "marrow/data/skeleton.h"

#include "support.h"

namespace marrow::data {
namespace {

using testing::message_of;

Skeleton read(const std::string& text) {
  return read_skeleton(parse_yaml(text, "d.yaml"), "d.yaml");
}

TEST(Skeleton, IsReadAsItIsWritten) {
  const std::string yaml =
      "kpt_shape: [3, 2]\nflip_idx: [0, 2, 1]\nkpt_oks_sigmas: [0.5, 0.25, 1]\nkpt_names:\n"
      "  1: [\"nose\", \"left \\\"eye\\\"\", \"right\"]\n";
  const Skeleton skeleton = read(yaml);
  EXPECT_EQ(skeleton.shape, (KeypointShape{3, 2}));
  EXPECT_EQ(skeleton.flip_idx, (std::vector<int>{0, 2, 1}));
  EXPECT_EQ(skeleton.sigmas, (std::vector<double>{.5, .25, 1}));
  ASSERT_EQ(skeleton.names.size(), 2u);
  EXPECT_TRUE(skeleton.names[0].empty());
  EXPECT_EQ(skeleton.names[1][1], "left \"eye\"");
  EXPECT_EQ(skeleton_yaml(skeleton), yaml);
  EXPECT_EQ(read("kpt_shape: [2, 3]\nkpt_names: [a, b]\n").names,
            (std::vector<std::vector<std::string>>{{"a", "b"}}));
}

TEST(Skeleton, IsEmptyWithoutItsShape) {
  EXPECT_EQ(read("names: [x]\nflip_idx: [7]\n").shape.count, 0);
  EXPECT_EQ(skeleton_yaml({}), "");
}

TEST(Skeleton, RefusesWhatDoesNotFit) {
  const auto error = [](const std::string& keys) { return message_of([&] { read("a: 1\n" + keys); }); };
  EXPECT_EQ(error("kpt_shape: [0, 2]\n"),
            "d.yaml:2: kpt_shape: '0', expected a whole number from 1 to 10000");
  EXPECT_EQ(error("kpt_shape: [2, 4]\n"), "d.yaml:2: kpt_shape: '4', expected a whole number from 2 to 3");
  EXPECT_EQ(error("kpt_shape: [3, 2]\nflip_idx: [0, 1]\n"),
            "d.yaml:3: flip_idx: a list of 2, expected a list of 3, one for each keypoint of kpt_shape");
  EXPECT_EQ(error("kpt_shape: [2, 2]\nflip_idx: [0, 2]\n"),
            "d.yaml:3: flip_idx: '2', expected a whole number from 0 to 1");
  EXPECT_EQ(error("kpt_shape: [2, 2]\nkpt_oks_sigmas: [0.1, -1]\n"),
            "d.yaml:3: kpt_oks_sigmas: '-1', expected a positive number");
  EXPECT_NE(error("kpt_shape: [2, 2]\nkpt_names: {x: [a, b]}\n").find("key 'x', expected a class's number"),
            std::string::npos);
}

TEST(Skeleton, LeftAndRightChangePlacesByTheirNames) {
  const Skeleton skeleton =
      skeleton_of_names({"car", "person"}, {{"person", {"nose", "left_eye", "right_eye", "neck"}}});
  EXPECT_EQ(skeleton.shape, (KeypointShape{4, 3}));
  EXPECT_EQ(skeleton.flip_idx, (std::vector<int>{0, 2, 1, 3}));
  EXPECT_TRUE(skeleton.names[0].empty());
  EXPECT_EQ(skeleton.names[1][3], "neck");
  EXPECT_TRUE(skeleton_of_names({"a"}, {{"a", {"left", "middle"}}}).flip_idx.empty());
  EXPECT_TRUE(skeleton_of_names({"a"}, {{"a", {"one", "two"}}}).flip_idx.empty());
}

}  // namespace
}  // namespace marrow::data
