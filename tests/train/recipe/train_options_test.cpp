#include "marrow/train/recipe/train_options.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::train {
namespace {

using testing::message_of;

TEST(TrainOptions, DefaultsAreThoseOfTheTable) {
  TrainOptions options;
  for (const TrainOption& row : train_option_table()) {
    SCOPED_TRACE(row.key);
    std::string text = row.text(options);
    if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
    EXPECT_NO_THROW(row.set(options, text));
  }
  EXPECT_EQ(to_map(options), to_map(TrainOptions{}));
}

TEST(TrainOptions, ReadsBackWhatItWrites) {
  TrainOptions options;
  options.model = "a \"quoted\": #name\\";
  options.data = "true";
  options.name = "007";
  options.freeze = {0, 3, 22};
  options.time_hours = 0.25;
  options.lr0 = 1.0 / 3;
  options.cos_lr = true;
  options.seed = 1234567890123;
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "args.yaml", to_yaml(options, {{"save_dir", "runs/detect/train 2"}}));
  TrainOptions back;
  EXPECT_TRUE(read_train_options(folder / "args.yaml", back).empty());
  EXPECT_EQ(back.model, options.model);
  EXPECT_EQ(back.name, options.name);
  EXPECT_EQ(back.freeze, options.freeze);
  EXPECT_EQ(back.lr0, options.lr0);
  EXPECT_EQ(back.seed, options.seed);
  EXPECT_EQ(to_map(back), to_map(options));
  EXPECT_EQ(to_map(train_options_of(to_map(options), "here")), to_map(options));
}

TEST(TrainOptions, SayWhatTheySuit) {
  using Suits = TrainOption::Suits;
  EXPECT_EQ(train_option("mosaic").suits, Suits::kDetectors);
  EXPECT_EQ(train_option("erasing").suits, Suits::kClassifiers);
  EXPECT_EQ(train_option("lr0").suits, Suits::kEveryTask);
  EXPECT_TRUE(train_option("workers").resumable);
  EXPECT_FALSE(train_option("batch").resumable);
  EXPECT_EQ(train_option("iou").limits, (std::pair{0.0, 1.0}));
}

// A row without a value says what none stands for.
TEST(TrainOptions, SayWhatNoneStandsFor) {
  const TrainOptions defaults;
  for (const TrainOption& row : train_option_table()) {
    const std::string text = row.text(defaults);
    EXPECT_EQ(text == "null" || text == "\"\"", !row.absence.empty()) << row.key << ": " << text;
  }
}

TEST(TrainOptions, TakesPythonsSpelling) {
  TrainOptions options;
  set_train_option(options, "cos_lr", "True");
  set_train_option(options, "val", "False");
  set_train_option(options, "time", "None");
  set_train_option(options, "lr0", "1e-3");
  EXPECT_TRUE(options.cos_lr);
  EXPECT_FALSE(options.val);
  EXPECT_FALSE(options.time_hours);
  EXPECT_DOUBLE_EQ(options.lr0, 0.001);
}

TEST(TrainOptions, FreezeIsACountOrAList) {
  TrainOptions options;
  set_train_option(options, "freeze", "3");
  EXPECT_EQ(options.freeze, (std::vector<int>{0, 1, 2}));
  set_train_option(options, "freeze", "[22]");
  EXPECT_EQ(options.freeze, (std::vector<int>{22}));
  set_train_option(options, "freeze", "4, 7");
  EXPECT_EQ(options.freeze, (std::vector<int>{4, 7}));
  set_train_option(options, "freeze", "null");
  EXPECT_TRUE(options.freeze.empty());
  for (const char* wrong : {"-1", "1.5", "a", "[1,]", "[", "99999999999"})
    EXPECT_THROW(set_train_option(options, "freeze", wrong), Error) << wrong;
}

TEST(TrainOptions, RefusesWhatDoesNotFitAndNamesIt) {
  TrainOptions options;
  EXPECT_EQ(message_of([&] { set_train_option(options, "mosaic", "1.5"); }),
            "mosaic: '1.5' is not a number from 0 to 1");
  EXPECT_EQ(message_of([&] { set_train_option(options, "epochs", "2.5"); }),
            "epochs: '2.5' is not a whole number from 1 to 1000000");
  EXPECT_NE(message_of([&] { set_train_option(options, "lr0", "nan"); }).find("lr0"), std::string::npos);
  EXPECT_NE(message_of([&] { set_train_option(options, "momentun", "0.9"); }).find("Did you mean 'momentum'"),
            std::string::npos);
  EXPECT_NE(message_of([&] { set_train_option(options, "optimizer", "sdg"); }).find("Did you mean 'SGD'"),
            std::string::npos);
}

TEST(TrainOptions, SaysWhereAFileIsWrong) {
  const testing::TemporaryFolder folder;
  const auto file = folder / "cfg.yaml";
  TrainOptions options;
  write_file_atomically(file, "epochs: 3\nlr0: fast\n");
  EXPECT_NE(message_of([&] { read_train_options(file, options); }).find("cfg.yaml:2: lr0: 'fast'"),
            std::string::npos);
  write_file_atomically(file, "epochs: 3\n\nmosiac: 0\n");
  const std::string message = message_of([&] { read_train_options(file, options); });
  EXPECT_NE(message.find("cfg.yaml:3: "), std::string::npos) << message;
  EXPECT_NE(message.find("Did you mean 'mosaic'"), std::string::npos) << message;
  write_file_atomically(file, "- a\n");
  EXPECT_NE(message_of([&] { read_train_options(file, options); }).find("cfg.yaml"), std::string::npos);
}

TEST(TrainOptions, ReportsForeignSettingsThatWouldHaveMattered) {
  const testing::TemporaryFolder folder;
  const auto file = folder / "cfg.yaml";
  TrainOptions options;
  write_file_atomically(file, "task: detect\nint8: true\nsource: null\nepochs: 7\ntracker: bytetrack.yaml\n");
  const std::vector<std::string> notices = read_train_options(file, options);
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_NE(notices[0].find("cfg.yaml:2: int8"), std::string::npos);
  EXPECT_NE(notices[1].find("cfg.yaml:5: tracker"), std::string::npos);
  EXPECT_EQ(options.epochs, 7);
}

// The names and defaults that users of YOLOv8 know, of all that concerns detection and classification.
TEST(TrainOptions, HasEveryKnownSettingWithItsDefault) {
  const std::map<std::string, std::string> kKnown = {
      {"model", "null"},
      {"data", "null"},
      {"epochs", "100"},
      {"time", "null"},
      {"patience", "100"},
      {"batch", "16"},
      {"save", "true"},
      {"save_period", "-1"},
      {"cache", "false"},
      {"device", "null"},
      {"workers", "8"},
      {"project", "null"},
      {"name", "train"},
      {"exist_ok", "false"},
      {"pretrained", "true"},
      {"optimizer", "auto"},
      {"verbose", "true"},
      {"seed", "0"},
      {"deterministic", "true"},
      {"single_cls", "false"},
      {"rect", "false"},
      {"cos_lr", "false"},
      {"close_mosaic", "10"},
      {"amp", "true"},
      {"fraction", "1"},
      {"freeze", "null"},
      {"multi_scale", "false"},
      {"dropout", "0"},
      {"val", "true"},
      {"split", "val"},
      {"save_json", "false"},
      {"conf", "null"},
      {"iou", "0.7"},
      {"max_det", "300"},
      {"agnostic_nms", "false"},
      {"plots", "true"},
      {"lr0", "0.01"},
      {"lrf", "0.01"},
      {"momentum", "0.937"},
      {"weight_decay", "0.0005"},
      {"warmup_epochs", "3"},
      {"warmup_momentum", "0.8"},
      {"warmup_bias_lr", "0.1"},
      {"box", "7.5"},
      {"cls", "0.5"},
      {"dfl", "1.5"},
      {"nbs", "64"},
      {"hsv_h", "0.015"},
      {"hsv_s", "0.7"},
      {"hsv_v", "0.4"},
      {"degrees", "0"},
      {"translate", "0.1"},
      {"scale", "0.5"},
      {"shear", "0"},
      {"perspective", "0"},
      {"flipud", "0"},
      {"fliplr", "0.5"},
      {"bgr", "0"},
      {"mosaic", "1"},
      {"mixup", "0"},
      {"cutmix", "0"},
      {"copy_paste", "0"},
      {"copy_paste_mode", "flip"},
      {"auto_augment", "randaugment"},
      {"erasing", "0.4"},
  };
  std::map<std::string, std::string> here;
  for (const TrainOption& row : train_option_table()) here[row.key] = row.text(TrainOptions{});
  for (const auto& [key, text] : kKnown) {
    ASSERT_TRUE(here.contains(key)) << key;
    EXPECT_EQ(here[key], text) << key;
  }
  EXPECT_TRUE(here.contains("imgsz"));
}

TEST(TrainOptions, RefusesWhatIsNotThere) {
  TrainOptions options;
  EXPECT_EQ(message_of([&] { set_train_option(options, "batch", "0"); }),
            "batch: '0' is not a whole number from 1 to 65536, or -1 for 16");
  EXPECT_NE(message_of([&] { set_train_option(options, "copy_paste_mode", "mixup"); }).find("Known: flip"),
            std::string::npos);
  for (const char* key : {"epochs", "imgsz"})
    EXPECT_NE(message_of([&] {
                set_train_option(options, key, "0");
              }).find(std::string(key) + ": '0' is not a whole"),
              std::string::npos);
}

}  // namespace
}  // namespace marrow::train
