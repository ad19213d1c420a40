// The demonstration from end to end, on a handful of images.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "apps/program.h"

namespace marrow::apps {
namespace {

namespace fs = std::filesystem;
using testing::ProgramResult;
using testing::run_program;

class Demo : public ::testing::Test {
 protected:
  const testing::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Demo, LeavesARunImagesAndWhatToDoNextEachTimeAnew) {
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

// Starts the demonstration in a group of its own and sends the group what Ctrl-C sends, once `file` is there.
int status_of_interrupted_demo(const fs::path& folder, const char* images, const fs::path& file) {
  const pid_t demo = ::fork();
  if (demo == 0) {
    ::setpgid(0, 0);
    ::signal(SIGINT, SIG_DFL);  // which a shell's background job ignores
    if (::chdir(folder.c_str()) != 0 || std::freopen("out", "w", stdout) == nullptr ||
        std::freopen("err", "w", stderr) == nullptr)
      ::_exit(99);
    ::execl(MARROW_PROGRAM, MARROW_PROGRAM, "demo", "--images", images, "--epochs", "1000", "--threads", "1",
            nullptr);
    ::_exit(99);
  }
  int status = 0;
  while (!fs::exists(folder / file) && ::waitpid(demo, &status, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(fs::exists(folder / file)) << testing::read_text(folder / "err");
  EXPECT_EQ(::kill(-demo, SIGINT), 0);
  EXPECT_EQ(::waitpid(demo, &status, 0), demo);
  EXPECT_EQ(::kill(-demo, 0), -1);  // nobody is left in the group
  EXPECT_EQ(errno, ESRCH);
  return status;
}

TEST_F(Demo, CtrlCWhileItTrainsEndsItWithACheckpoint) {
  const int status = status_of_interrupted_demo(folder_, "14", "runs/demo/train/weights/last.safetensors");
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  EXPECT_SAYS(testing::read_text(folder_ / "err"), "train --resume runs/demo/train");
}

TEST_F(Demo, CtrlCWhileItDrawsEndsItAsAnyProgram) {
  const int status = status_of_interrupted_demo(folder_, "5000", "runs/demo/shapes/images/train/000000.jpg");
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGINT);
  EXPECT_EQ(testing::read_text(folder_ / "err"), "");
}

}  // namespace
}  // namespace marrow::apps
