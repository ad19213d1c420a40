#include "marrow/detect/dota_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace marrow::detect {
namespace {

TEST(DotaText, HasAFileAClassAndALineABox) {
  DotaText text(std::vector<std::string>{"small vehicle", "../ship", "Small-Vehicle"});
  text.add("a", 0, .5, {10, 20, 8, 4, 0});
  text.add("b c\nd", 0, .123456, {10.0004f, 20, 8, 4, 0});
  text.add("a", 3, .5, {10, 20, 8, 4, 0});  // of no name
  const std::vector<DotaText::File>& files = text.files();
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].name, "Task1_small-vehicle.txt");
  EXPECT_EQ(files[0].text,
            "a 0.5 14 22 14 18 6 18 6 22\n"
            "b_c_d 0.12346 14 22 14 18 6 18 6 22\n");
  EXPECT_EQ(files[1].name, "Task1_.._ship.txt");
  EXPECT_EQ(files[1].text, "");
  EXPECT_EQ(files[2].name, "Task1_Small-Vehicle_2.txt");
}

TEST(DotaText, NumbersThatAreNotFiniteAreZero) {
  DotaText text(std::vector<std::string>{"x"});
  text.add("a", 0, NAN, {INFINITY, 20, 8, 4, 0});
  EXPECT_EQ(text.files()[0].text, "a 0 0 22 0 18 0 18 0 22\n");
}

}  // namespace
}  // namespace marrow::detect
