#include "marrow/base/counted.h"

#include <gtest/gtest.h>

namespace marrow {
namespace {

TEST(Counted, WritesOneAndManyAsEnglishDoes) {
  EXPECT_EQ(counted(1, "batch"), "1 batch");
  EXPECT_EQ(counted(3, "batch"), "3 batches");
  EXPECT_EQ(counted(2, "epoch"), "2 epochs");
  EXPECT_EQ(counted(0, "loss"), "0 losses");
  EXPECT_EQ(counted(2, "cross"), "2 crosses");
  EXPECT_EQ(counted(1, "cross"), "1 cross");
  EXPECT_EQ(counted(2, "fly"), "2 flies");
  EXPECT_EQ(counted(2, "tray"), "2 trays");
  EXPECT_EQ(counted(2, "person"), "2 persons");
  EXPECT_EQ(counted(2, "bus"), "2 buses");
  EXPECT_EQ(counted(3, "Platelets"), "3 Platelets");
  EXPECT_EQ(counted(1, "scissors"), "1 scissors");
  EXPECT_EQ(counted(2, "y"), "2 ys");
  EXPECT_EQ(counted(2, ""), "2 s");
}

}  // namespace
}  // namespace marrow
