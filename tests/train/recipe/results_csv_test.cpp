#include "marrow/train/recipe/results_csv.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/train/recipe/progress.h"
#include "support/temporary_folder.h"

namespace marrow::train {
namespace {

TEST(ResultsCsv, WritesSixDigits) {
  const testing::TemporaryFolder folder;
  ResultsCsv csv(folder / "results.csv", {"epoch", "time", "loss"});
  csv.append({1, 12.3456789, 0.000012345678});
  csv.append({2, 1234567.0, 0});
  EXPECT_EQ(read_file(folder / "results.csv", 1000),
            "epoch,time,loss\n1,12.3457,1.23457e-05\n2,1.23457e+06,0\n");
}

TEST(ResultsCsv, LeavesTheCellOfWhatWasNotMeasuredEmpty) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "results.csv";
  ResultsCsv(path, {"epoch", "mAP", "loss"}).append({1, NAN, NAN});
  ResultsCsv(path, {"epoch", "mAP", "loss"}, 1).append({2, 0, 0.5});
  EXPECT_EQ(read_file(path, 1000), "epoch,mAP,loss\n1,,\n2,0,0.5\n");
  const ResultsTable table = read_results_csv(path);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_TRUE(std::isnan(table.rows[0][1]));
  EXPECT_TRUE(std::isnan(table.rows[0][2]));
  EXPECT_EQ(table.rows[1][1], 0);
}

TEST(ResultsCsv, KeepsOnlyTheEpochsBeforeAResume) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "results.csv";
  write_file_atomically(path, "epoch,loss\n1,5\n2,4\nbroken\n3,3\n4,2");
  ResultsCsv csv(path, {"epoch", "loss"}, 2);
  csv.append({3, 3.5});
  EXPECT_EQ(read_file(path, 1000), "epoch,loss\n1,5\n2,4\n3,3.5\n");
}

TEST(ResultsCsv, ReplacesWhatARunThatWentBackWroteBefore) {
  const testing::TemporaryFolder folder;
  ResultsCsv csv(folder / "results.csv", {"epoch", "loss"});
  for (int epoch = 1; epoch <= 4; ++epoch) csv.append({static_cast<double>(epoch), 0.5});
  csv.append({3, 0.25});
  EXPECT_EQ(read_file(folder / "results.csv", 1000), "epoch,loss\n1,0.5\n2,0.5\n3,0.25\n");
}

TEST(ResultsCsv, StartsAnewWhenTheColumnsDiffer) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "results.csv";
  write_file_atomically(path, "epoch,other\n1,5\n");
  ResultsCsv(path, {"epoch", "loss"}, 2);
  EXPECT_EQ(read_file(path, 1000), "epoch,loss\n");
}

TEST(ResultsTable, ReadsPaddedCellsAndWhatIsNoNumber) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "results.csv";
  write_file_atomically(path, "  epoch,  train/loss , lr/pg0\r\n 1, nan, 1e-3\n2,inf,x\nthree,1,1\n3,0.25");
  const ResultsTable table = read_results_csv(path);
  EXPECT_EQ(table.columns, (std::vector<std::string>{"epoch", "train/loss", "lr/pg0"}));
  ASSERT_EQ(table.rows.size(), 2u);  // the last line was cut off
  EXPECT_EQ(table.rows[0][0], 1);
  EXPECT_TRUE(std::isnan(table.rows[0][1]));
  EXPECT_EQ(table.rows[0][2], 1e-3);
  EXPECT_TRUE(std::isinf(table.rows[1][1]));
  EXPECT_TRUE(std::isnan(table.rows[1][2]));
}

TEST(ResultsTable, RefusesAnotherFile) {
  const testing::TemporaryFolder folder;
  for (const char* text : {"", "\n", "time,epoch\n1,1\n"}) {
    write_file_atomically(folder / "other.csv", text);
    EXPECT_THROW(read_results_csv(folder / "other.csv"), Error) << text;
  }
}

// What a run of two epochs says; the estimate comes with the first batch.
std::string told(bool on_terminal) {
  ::testing::internal::CaptureStderr();
  Progress progress({"loss"}, "Memory", on_terminal);
  for (int epoch = 1; epoch <= 2; ++epoch) {
    const EpochLine line = {.epoch = epoch, .epochs = 2, .losses = {0.5}, .instances = 7, .image_size = 64};
    progress.begin_epoch(1);
    if (epoch == 1) progress.estimate("about 1 GB");
    std::this_thread::sleep_for(std::chrono::milliseconds(101));
    progress.batch_done(line, 1, 4);
    progress.end_epoch(line, 0);
  }
  return ::testing::internal::GetCapturedStderr();
}

// Of each text, in this order.
void expect_in_order(const std::string& said, const std::vector<std::string>& texts) {
  size_t at = 0;
  for (const std::string& text : texts) {
    at = said.find(text, at);
    ASSERT_NE(at, std::string::npos) << text << " is missing or misplaced in:\n" << said;
  }
}

TEST(Progress, HeadsTheTableBelowTheEstimate) {
  expect_in_order(told(false), {"about 1 GB\n", "Epoch", " 1/2 ", " 2/2 "});
  EXPECT_EQ(told(false).find("Epoch"), told(false).rfind("Epoch"));
  expect_in_order(told(true), {"about 1 GB\n", "Epoch", " 1/2 ", "100% 1/1", " 1/2 ", "Epoch", " 2/2 "});
}

TEST(Progress, WritesDurationsForPeople) {
  EXPECT_EQ(duration_text(0.84), "0.8s");
  EXPECT_EQ(duration_text(65), "1:05");
  EXPECT_EQ(duration_text(3723), "1:02:03");
  EXPECT_GT(resident_bytes(), 1'000'000);
}

}  // namespace
}  // namespace marrow::train
