// The options of `marrow train`.
#include "training/train_flags.h"

#include <gtest/gtest.h>

#include "command_line/parse.h"
#include "marrow/base/error.h"

namespace marrow::cli {
namespace {

using Words = std::vector<std::string>;

struct Train {
  explicit Train(const Words& words) {
    declare_train_flags(command, flags);
    command.action([] { return 0; });
    parse(command, words);
    flags.apply(options);
  }

  TrainFlags flags;
  Command command{"marrow train"};
  train::TrainOptions options;
};

TEST(TrainFlags, SwitchesAreStatedInThreeWays) {
  const train::TrainOptions options = Train({"--seed", "3", "--save_json", "--no-val", "--amp", "false",
                                             "--plots=no", "--exist-ok", "true", "yolov8n"})
                                          .options;
  EXPECT_EQ(options.seed, 3u);
  EXPECT_TRUE(options.save_json);
  EXPECT_FALSE(options.val);
  EXPECT_EQ(options.amp, "false");
  EXPECT_FALSE(options.plots);
  EXPECT_TRUE(options.exist_ok);
  EXPECT_EQ(options.model, "yolov8n");
}

// What marrow hands over to marrow-train-torch says the same.
TEST(TrainFlags, AreHandedOverWhole) {
  const Train first({"--cfg", "a b.yaml", "--resume", "--warmup_epochs", "2.5", "--no-rect", "--freeze",
                     "[0, 3]", "--model", "", "--name", "--odd", "--cache=ram"});
  const Train second(first.flags.words());
  EXPECT_EQ(train::to_map(second.options), train::to_map(first.options));
  EXPECT_EQ(second.flags.cfg, "a b.yaml");
  EXPECT_EQ(second.flags.resume, "");
  EXPECT_EQ(second.flags.given().size(), first.flags.given().size());
  EXPECT_EQ(second.options.name, "--odd");
  EXPECT_EQ(second.options.warmup_epochs, 2.5);
  EXPECT_EQ(second.options.freeze, (Words{"0", "3"}));
}

TEST(TrainFlags, RefuseWhatDoesNotFit) {
  for (const Words& words :
       {Words{"--lr0", "fast"}, {"--optimizer", "sgdd"}, {"--rect=maybe"}, {"--lro", "1"}})
    EXPECT_THROW(Train{words}, Error);
}

}  // namespace
}  // namespace marrow::cli
