// Killed at any moment, or stopped by a signal or a full disk, a run goes on to the same bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "train/runs/program_run.h"

namespace marrow::train {
namespace {

using testing::TrainProgram;
namespace fs = std::filesystem;

// results.csv without the column of the clock.
std::string results(const fs::path& run) {
  std::istringstream lines(read_file(run / "results.csv", 1 << 20));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(','), second = line.find(',', first + 1);
    kept += line.substr(0, first) + line.substr(second) + "\n";
  }
  return kept;
}

class KilledRun : public testing::ProgramRun {
 protected:
  void expect_equal(const std::string& a, const std::string& b) const {
    EXPECT_EQ(results(tiny_.run(a)), results(tiny_.run(b)));
    for (const char* file : {"best", "last"})
      EXPECT_TRUE(tiny_.bytes(a, file) == tiny_.bytes(b, file)) << file;
    for (const auto& entry : fs::recursive_directory_iterator(tiny_.run(b)))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }

  // Kills the run again and again: each process after a number of changes to the run folder, which grows by
  // `step` from kill to kill, and some milliseconds, which do not keep in step with it. Returns the number of
  // kills.
  int kill_until_done(const Arguments& first, const std::string& name, int step,
                      const std::vector<Arguments>& changes = {{}}) {
    constexpr int kDelaysMs[] = {0, 0, 19, 0, 7, 0, 43};
    for (int kills = 0;; ++kills) {
      const bool begun = fs::exists(tiny_.run(name) / "args.yaml");
      testing::FolderEvents events({tiny_.run(name), tiny_.run(name) / "weights"});
      TrainProgram program(begun ? resume(name, changes[static_cast<size_t>(kills) % changes.size()]) : first,
                           log());
      while (!program.ended() && events.count() <= kills * step) {
      }
      const int delay = kDelaysMs[static_cast<size_t>(kills) % std::size(kDelaysMs)];
      if (delay > 0 && !program.ended()) std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      if (const int code = program.kill(SIGKILL); code != -SIGKILL) {
        EXPECT_EQ(code, 0) << program.said();
        return kills;
      }
    }
  }
};

TEST_F(KilledRun, EndsWithTheSameBytes) {
  // Ten images in three batches, four batches a step: gradients are pending at the end of most epochs.
  TrainOptions options = tiny_.options("");
  options.close_mosaic = 2;
  options.epochs = 8;  // enough changes to be killed at
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  EXPECT_GT(kill_until_done(begin(options, "killed"), "killed", 1), 9);
  expect_equal("straight", "killed");
  // After the end there is nothing to go on with, and nothing changes.
  TrainProgram after(resume("killed"), log());
  EXPECT_EQ(after.wait(), 0);
  EXPECT_NE(after.said().find("this run is finished"), std::string::npos) << after.said();
  expect_equal("straight", "killed");
}

TEST_F(KilledRun, EndsWithTheSameBytesWithOtherThreadsWorkersAndCaches) {
  TrainOptions options = tiny_.options("");
  options.optimizer = "NAdam";
  options.lr0 = 0.001;
  options.multi_scale = 0.5;
  options.cos_lr = true;
  options.warmup_epochs = 1;
  options.mixup = 0.5;
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  EXPECT_GT(kill_until_done(begin(options, "killed"), "killed", 3,
                            {{"--threads", "3", "--workers", "0", "--cache", "ram"},
                             {"--threads", "1", "--workers", "3", "--cache", "false"},
                             {"--threads", "2", "--workers", "1", "--cache", "disk"}}),
            3);
  expect_equal("straight", "killed");
}

TEST_F(KilledRun, EndsWithTheSameBytesWithRectanglesAndWithoutValidation) {
  TrainOptions options = tiny_.options("");
  options.optimizer = "auto";
  options.rect = true;
  options.val = false;
  options.save_period = 1;
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  EXPECT_GT(kill_until_done(begin(options, "killed"), "killed", 4), 3);
  expect_equal("straight", "killed");
}

TEST_F(KilledRun, EndsWithTheSameBytesInTiles) {
  TrainOptions options = tiny_.options("");
  options.tile = 48;
  options.imgsz = 0;
  options.overlap = 0.25;
  options.epochs = 3;
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  EXPECT_GT(kill_until_done(begin(options, "killed"), "killed", 3,
                            {{"--workers", "0", "--cache", "ram"}, {"--workers", "3", "--cache", "false"}}),
            3);
  expect_equal("straight", "killed");
}

TEST_F(KilledRun, LeavesWithTheSignalsCodeAndGoesOn) {
  const TrainOptions options = tiny_.options("");
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  const Arguments first = begin(options, "stopped");
  for (const int signal : {SIGINT, SIGTERM}) {
    const bool begun = fs::exists(tiny_.weights("stopped", "last"));
    testing::FolderEvents events({tiny_.run("stopped") / "weights"});
    TrainProgram program(begun ? resume("stopped") : first, log());
    while (!program.ended() && events.count() < 2) {  // the first checkpoint is in its place
    }
    for (int i = 0; i < 2; ++i) program.send(signal);  // as `timeout` does
    EXPECT_EQ(program.wait(), 128 + signal);
    EXPECT_NE(program.said().find("--resume"), std::string::npos) << program.said();
  }
  // As users of `yolo` resume: the run is named by its model.
  const std::string model = "model=" + tiny_.weights("stopped", "last").string();
  ASSERT_EQ(TrainProgram({"detect", "train", model, "resume=True"}, log(), {}, {MARROW_PROGRAM}).wait(), 0);
  expect_equal("straight", "stopped");
}

TEST_F(KilledRun, LeavesItsCheckpointOnAFullDiskAndGoesOn) {
  const TrainOptions options = tiny_.options("");
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  {
    const Arguments first = begin(options, "full");
    testing::FolderEvents events({tiny_.run("full") / "weights"});
    TrainProgram program(first, log());
    while (!program.ended() && events.count() < 6) {  // the first epoch's checkpoint
    }
    EXPECT_EQ(program.kill(SIGKILL), -SIGKILL);
  }
  const std::string before = tiny_.bytes("full", "last");
  TrainProgram program(resume("full"), log(), 100'000);
  EXPECT_EQ(program.wait(), 1);
  EXPECT_NE(program.said().find("last.safetensors: "), std::string::npos) << program.said();
  EXPECT_TRUE(tiny_.bytes("full", "last") == before);
  ASSERT_EQ(TrainProgram(resume("full"), log()).wait(), 0);
  expect_equal("straight", "full");
}

}  // namespace
}  // namespace marrow::train
