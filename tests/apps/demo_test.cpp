// The demonstration from end to end, on a handful of pictures; without a program that trains, what is missing.
#include <gtest/gtest.h>

#include "apps/program.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using testing::ProgramResult;
using testing::run_program;

class Demo : public ::testing::Test {
 protected:
  const testing::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

#ifdef MARROW_HAS_TRAINING
TEST_F(Demo, LeavesARunPicturesAndWhatToDoNextEachTimeAnew) {
  const std::vector<std::string> arguments = {"demo", "--images", "14", "--epochs", "1", "--threads", "1"};
  for (const std::string run : {"runs/demo", "runs/demo2"}) {
    const ProgramResult result = run_program(arguments, {.folder = folder_});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_SAYS(result.out, "1/1 ");
    EXPECT_SAYS(result.out, "mAP50 0.");
    EXPECT_SAYS(result.out, "marrow train --data your/data.yaml");
    for (const char* file : {"shapes/data.yaml", "train/results.csv", "train/weights/best.safetensors",
                             "predict/just_drawn.jpg", "detections.png"})
      EXPECT_TRUE(fs::exists(folder_ / run / file)) << file;
  }
  EXPECT_EQ(testing::read_text(folder_ / "runs/demo/shapes/labels/val/000000.txt"),
            testing::read_text(folder_ / "runs/demo2/shapes/labels/val/000000.txt"));
  EXPECT_FALSE(fs::exists(folder_ / "runs/detect"));
}
#endif

TEST_F(Demo, SaysWhatIsMissingWithoutTraining) {
  // A copy that has no marrow-train beside it.
  fs::copy_file(MARROW_PROGRAM, folder_ / "marrow");
  const std::string command = "cd '" + folder_.string() + "' && PATH=/nowhere ./marrow demo 2>err";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_SAYS(testing::read_text(folder_ / "err"), "marrow: this build has no training. Install LibTorch");
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

}  // namespace
}  // namespace marrow
