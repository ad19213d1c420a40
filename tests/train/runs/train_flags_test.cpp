// The flags of marrow train, as a shell gives them.
#include <gtest/gtest.h>

#include "train/runs/train_program.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

class TrainFlags : public ::testing::Test {
 protected:
  // The settings of a run with these flags, as it wrote them down.
  TrainOptions settings(std::vector<std::string> flags) const {
    TrainOptions options = tiny_.options("run");
    options.epochs = 1;
    options.exist_ok = true;
    write_file_atomically(tiny_.folder / "cfg.yaml", to_yaml(options));
    flags.insert(flags.begin(), {"--cfg", (tiny_.folder / "cfg.yaml").string()});
    testing::TrainProgram program(flags, tiny_.folder / "log");
    EXPECT_EQ(program.wait(), 0) << program.said();
    TrainOptions written;
    read_train_options(tiny_.run("run") / "args.yaml", written);
    return written;
  }

  testing::TinyRun tiny_;
};

TEST_F(TrainFlags, ASwitchAloneIsOn) {
  const TrainOptions last = settings({"--seed", "3", "--save-json"});
  EXPECT_TRUE(last.save_json);
  const TrainOptions between = settings({"--save_json", "--seed", "3", "--no-val", "--amp", "false"});
  EXPECT_TRUE(between.save_json);
  EXPECT_EQ(between.seed, 3u);
  EXPECT_FALSE(between.val);
  EXPECT_EQ(between.amp, "false");
  EXPECT_FALSE(settings({"--save-json=false", "--val"}).save_json);
}

TEST_F(TrainFlags, HelpShowsTheDefaultsOfSwitchesAndNumbers) {
  testing::TrainProgram program({"--help"}, tiny_.folder / "log");
  EXPECT_EQ(program.wait(), 0);
  const std::string help = program.said();
  for (const char* line :
       {"--[no-]save-json", "--[no-]plots", "--lr0 0..1000", "[default: 0.01]", "--epochs"})
    EXPECT_NE(help.find(line), std::string::npos) << line << "\n" << help;
}

}  // namespace
}  // namespace marrow::train
