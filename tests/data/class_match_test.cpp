#include "marrow/data/class_match.h"

#include <gtest/gtest.h>

namespace marrow::data {
namespace {

using Names = std::vector<std::string>;

TEST(ClassMatch, IsByNameInAnotherOrder) {
  const ClassMatch match = match_classes({"WBC", "RBC", "Platelets"}, {"Platelets", "RBC", "WBC"});
  EXPECT_EQ(match.by, ClassMatch::By::kName);
  EXPECT_EQ(match.classes, (std::vector<int>{2, 1, 0}));
  EXPECT_EQ(match.note("a.safetensors", "d"),
            "the classes of a.safetensors have another order in d; they are matched by name");
}

TEST(ClassMatch, OfTheSameListSaysNothing) {
  for (const Names& names : {Names{"a", "b"}, Names{"a", "a"}}) {
    const ClassMatch match = match_classes(names, names);
    EXPECT_EQ(match.classes, (std::vector<int>{0, 1}));
    EXPECT_EQ(match.note("m", "d"), "");
  }
}

TEST(ClassMatch, IsByNumberWhereANameIsUnknownOrTwice) {
  for (const Names& names : {Names{"b", "c"}, Names{"a", "a"}, Names{"b", "b"}}) {
    const ClassMatch match = match_classes({"a", "b"}, names);
    EXPECT_EQ(match.by, ClassMatch::By::kNumber);
    EXPECT_EQ(match.classes, (std::vector<int>{0, 1}));
    EXPECT_NE(match.note("m", "d").find("matched by number"), std::string::npos);
  }
}

TEST(ClassMatch, FindsTheFewOfAClassifierOfMany) {
  EXPECT_EQ(match_classes({"a", "b", "c"}, {"c", "a"}).classes, (std::vector<int>{2, 0}));
}

}  // namespace
}  // namespace marrow::data
