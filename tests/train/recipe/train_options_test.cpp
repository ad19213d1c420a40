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
  options.freeze = {"0", "3", "22.cv2"};
  options.classes = {"0", "red box", "true"};
  options.fraction = {0.5, 100};
  options.scale = {0.5, 1.25};
  options.batch = -1;
  options.batch_memory = 0.7;
  options.multi_scale = kMultiScaleTrue;
  options.amp = "bf16";
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
  using Layers = std::vector<std::string>;
  EXPECT_EQ(options.freeze, (Layers{"0", "1", "2"}));
  set_train_option(options, "freeze", "[22]");
  EXPECT_EQ(options.freeze, (Layers{"22"}));
  set_train_option(options, "freeze", "4, 7");
  EXPECT_EQ(options.freeze, (Layers{"4", "7"}));
  set_train_option(options, "freeze", "null");
  EXPECT_TRUE(options.freeze.empty());
  set_train_option(options, "freeze", "[0, '22.cv2', 23.one2one_cv3]");
  EXPECT_EQ(options.freeze, (Layers{"0", "22.cv2", "23.one2one_cv3"}));
  set_train_option(options, "freeze", "22.cv2");
  EXPECT_EQ(options.freeze, Layers{"22.cv2"});
  set_train_option(options, "freeze", "backbone");
  EXPECT_EQ(options.freeze, Layers{"backbone"});
  set_train_option(options, "freeze", "[backbone, 22.cv2]");
  EXPECT_EQ(options.freeze, (Layers{"backbone", "22.cv2"}));
  for (const char* wrong : {"-1", "1.5", "a", "[1,]", "[", "99999999999", "cv2", "22.cv2."})
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
      {"classes", "null"},
      {"cls_pw", "0"},
      {"pose", "12"},
      {"kobj", "1"},
      {"angle", "1"},
      {"overlap_mask", "true"},
      {"mask_ratio", "4"},
      {"freeze", "null"},
      {"multi_scale", "0"},
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

// Every setting of Ultralytics 8.4.190 with its default there, and those of earlier releases since 8.0.
const std::vector<std::pair<std::string, std::string>> kSettingsOfUltralytics = {
    {"task", "detect"},
    {"mode", "train"},
    {"model", "null"},
    {"data", "null"},
    {"epochs", "100"},
    {"time", "null"},
    {"patience", "100"},
    {"batch", "16"},
    {"imgsz", "640"},
    {"save", "True"},
    {"save_period", "-1"},
    {"cache", "False"},
    {"device", "null"},
    {"workers", "8"},
    {"project", "null"},
    {"name", "null"},
    {"exist_ok", "False"},
    {"pretrained", "True"},
    {"cls_remap", "True"},
    {"optimizer", "auto"},
    {"verbose", "True"},
    {"seed", "0"},
    {"deterministic", "True"},
    {"single_cls", "False"},
    {"rect", "False"},
    {"cos_lr", "False"},
    {"close_mosaic", "10"},
    {"resume", "False"},
    {"amp", "True"},
    {"fraction", "1.0"},
    {"profile", "False"},
    {"freeze", "null"},
    {"multi_scale", "0.0"},
    {"compile", "False"},
    {"channels_last", "null"},
    {"overlap_mask", "True"},
    {"mask_ratio", "4"},
    {"dropout", "0.0"},
    {"val", "True"},
    {"split", "val"},
    {"save_json", "False"},
    {"conf", "null"},
    {"iou", "0.7"},
    {"max_det", "300"},
    {"quantize", "null"},
    {"dnn", "False"},
    {"plots", "True"},
    {"nms", "null"},
    {"source", "null"},
    {"vid_stride", "1"},
    {"stream_buffer", "False"},
    {"visualize", "False"},
    {"augment", "False"},
    {"agnostic_nms", "False"},
    {"classes", "null"},
    {"retina_masks", "False"},
    {"embed", "null"},
    {"show", "False"},
    {"save_frames", "False"},
    {"save_txt", "False"},
    {"save_conf", "False"},
    {"save_crop", "False"},
    {"show_labels", "True"},
    {"show_conf", "True"},
    {"show_boxes", "True"},
    {"line_width", "null"},
    {"format", "torchscript"},
    {"optimize", "False"},
    {"dynamic", "False"},
    {"simplify", "True"},
    {"opset", "null"},
    {"workspace", "null"},
    {"lr0", "0.01"},
    {"lrf", "0.01"},
    {"momentum", "0.937"},
    {"weight_decay", "0.0005"},
    {"warmup_epochs", "3.0"},
    {"warmup_momentum", "0.8"},
    {"warmup_bias_lr", "0.1"},
    {"distill_model", "null"},
    {"dis", "6.0"},
    {"box", "7.5"},
    {"cls", "0.5"},
    {"cls_pw", "0.0"},
    {"dfl", "1.5"},
    {"pose", "12.0"},
    {"kobj", "1.0"},
    {"rle", "1.0"},
    {"angle", "1.0"},
    {"dlog", "1.0"},
    {"dgrad", "0.5"},
    {"dlam", "1.0"},
    {"nbs", "64"},
    {"hsv_h", "0.015"},
    {"hsv_s", "0.7"},
    {"hsv_v", "0.4"},
    {"degrees", "0.0"},
    {"translate", "0.1"},
    {"scale", "0.5"},
    {"shear", "0.0"},
    {"perspective", "0.0"},
    {"flipud", "0.0"},
    {"fliplr", "0.5"},
    {"bgr", "0.0"},
    {"mosaic", "1.0"},
    {"mixup", "0.0"},
    {"cutmix", "0.0"},
    {"copy_paste", "0.0"},
    {"copy_paste_mode", "flip"},
    {"auto_augment", "randaugment"},
    {"erasing", "0.4"},
    {"cfg", "null"},
    {"tracker", "tracktrack.yaml"}};
const std::vector<std::pair<std::string, std::string>> kFormerSettings = {
    {"save_hybrid", "false"},   {"crop_fraction", "1.0"},    {"keras", "false"},
    {"label_smoothing", "0.0"}, {"half", "false"},           {"int8", "false"},
    {"end2end", "null"},        {"hide_labels", "false"},    {"hide_conf", "false"},
    {"line_thickness", "3"},    {"boxes", "true"},           {"v5loader", "false"},
    {"fl_gamma", "0.0"},        {"image_weights", "false"},  {"min_memory", "false"},
    {"save_dir", "runs/x"},     {"tracker", "botsort.yaml"}, {"amp", "true"},
    {"multi_scale", "false"}};

TEST(TrainOptions, TakesEverySettingOfEveryRelease) {
  const testing::TemporaryFolder folder;
  const auto file = folder / "args.yaml";
  ASSERT_EQ(kSettingsOfUltralytics.size(), 113u);
  std::vector<std::pair<std::string, std::string>> all = kSettingsOfUltralytics;
  all.insert(all.end(), kFormerSettings.begin(), kFormerSettings.end());
  std::string whole;
  for (const auto& [key, value] : kSettingsOfUltralytics) whole += key + ": " + value + "\n";
  const auto read = [&](const std::string& text) {
    write_file_atomically(file, text);
    TrainOptions options;
    const std::vector<std::string> notices = read_train_options(file, options);
    return std::pair(notices, to_map(options));
  };
  EXPECT_EQ(read(whole).first, std::vector<std::string>());
  for (const auto& [key, value] : all) {
    SCOPED_TRACE(key);
    const auto there = read(key + ": " + value + "\n"), nothing = read(key + ": null\n");
    EXPECT_EQ(there.first, std::vector<std::string>());
    EXPECT_EQ(nothing.first, std::vector<std::string>());
    // None of a policy is a policy.
    if (key != "auto_augment") {
      EXPECT_EQ(nothing.second, to_map(TrainOptions{}));
    }
    // Their defaults are ours.
    if (key != "imgsz" && key != "conf") {
      EXPECT_EQ(there.second, to_map(TrainOptions{}));
    }
    const std::string python = value == "null"    ? "None"
                               : value == "true"  ? "True"
                               : value == "false" ? "False"
                                                  : value;
    EXPECT_EQ(read(key + ": " + python + "\n"), there);
  }
}

TEST(TrainOptions, SaysOnceWhatAsksForSomethingThatIsNotHere) {
  const testing::TemporaryFolder folder;
  const auto file = folder / "args.yaml";
  for (const char* line : {"distill_model: teacher.pt", "quantize: 8", "retina_masks: true", "nms: true",
                           "augment: True", "end2end: true", "rle: 3.0"}) {
    SCOPED_TRACE(line);
    write_file_atomically(file, "epochs: 3\n" + std::string(line) + "\n");
    TrainOptions options;
    EXPECT_EQ(read_train_options(file, options).size(), 1u);
    EXPECT_EQ(options.epochs, 3);
  }
}

TEST(TrainOptions, TakeEveryForm) {
  TrainOptions o;
  const auto set = [&](const char* key, const char* text) { set_train_option(o, key, text); };
  set("multi_scale", "0.25");
  EXPECT_EQ(multi_scale_share(o), 0.25);
  for (const char* off : {"False", "0", "0.0", "null"}) {
    set("multi_scale", off);
    EXPECT_EQ(multi_scale_share(o), 0) << off;
  }
  set("amp", "bf16");
  EXPECT_EQ(o.amp, "bf16");
  set("amp", "FP32");
  EXPECT_EQ(o.amp, "fp32");
  set("batch", "0.7");
  EXPECT_EQ(std::pair(o.batch, o.batch_memory), std::pair(-1, 0.7));
  set("batch", "8");
  EXPECT_EQ(std::pair(o.batch, o.batch_memory), std::pair(8, 0.0));
  set("scale", "[0.8, 1.2]");
  EXPECT_EQ(zoom_range(o), std::pair(0.8, 1.2));
  set("scale", "(0.5, 2)");
  EXPECT_EQ(zoom_range(o), std::pair(0.5, 2.0));
  set("scale", "0.25");
  EXPECT_EQ(zoom_range(o), std::pair(0.75, 1.25));
  set("classes", "0");
  EXPECT_EQ(o.classes, (std::vector<std::string>{"0"}));
  set("classes", "[0, 'red box']");
  EXPECT_EQ(o.classes, (std::vector<std::string>{"0", "red box"}));
  // Shares are of the split, numbers are images, and 1 is all.
  set("fraction", "0.25");
  EXPECT_EQ(images_kept(o, "train", 10), 2u);  // half to even
  EXPECT_EQ(images_kept(o, "train", 1), 1u);
  EXPECT_EQ(images_kept(o, "val", 10), 10u);
  set("fraction", "3");
  EXPECT_EQ(images_kept(o, "train", 10), 3u);
  EXPECT_EQ(images_kept(o, "train", 2), 2u);
  set("fraction", "[1, 0.5, 4]");
  EXPECT_EQ(images_kept(o, "train", 10), 10u);
  EXPECT_EQ(images_kept(o, "val", 10), 5u);
  EXPECT_EQ(images_kept(o, "test", 10), 4u);
  for (const auto& [key, text] :
       std::initializer_list<std::pair<const char*, const char*>>{{"fraction", "0"},
                                                                  {"fraction", "1.5"},
                                                                  {"fraction", "[1, 1, 1, 1]"},
                                                                  {"fraction", "[]"},
                                                                  {"scale", "[2, 1]"},
                                                                  {"scale", "-0.1"},
                                                                  {"scale", "[0, 1]"},
                                                                  {"scale", "[1, 2, 3]"},
                                                                  {"batch", "-0.5"},
                                                                  {"batch", "1.5"},
                                                                  {"multi_scale", "1.5"},
                                                                  {"amp", "fp8"},
                                                                  {"cls_pw", "2"},
                                                                  {"classes", "[0,,1]"},
                                                                  {"cache", "gpu"}})
    EXPECT_THROW(set(key, text), Error) << key << " " << text;
}

// What --cfg is not.
TEST(TrainOptions, KnowsOtherKindsOfFiles) {
  const testing::TemporaryFolder folder;
  const auto file = folder / "x.yaml";
  TrainOptions options;
  write_file_atomically(
      file, "nc: 3\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\nhead:\n  - [[-1], 1, Detect, [nc]]\n");
  EXPECT_NE(message_of([&] { read_train_options(file, options); }).find("x.yaml: a model's YAML"),
            std::string::npos);
  write_file_atomically(file, "path: d\ntrain: a\nval: b\nnames: [x]\n");
  EXPECT_NE(message_of([&] { read_train_options(file, options); }).find("x.yaml: a dataset's YAML"),
            std::string::npos);
}

// Files that earlier versions of Marrow wrote.
TEST(TrainOptions, ReadsFormerSettingsOfItsOwn) {
  TrainOptions options = train_options_of({{"amp", "true"}, {"amp_type", "bf16"}}, "x");
  EXPECT_EQ(options.amp, "bf16");
  options = train_options_of({{"amp", "true"}, {"amp_type", "auto"}}, "x");
  EXPECT_EQ(options.amp, "true");
  EXPECT_EQ(options.rules, "8.3");  // a run that began before there was a choice
  EXPECT_EQ(TrainOptions{}.rules, "8.4");
}

TEST(TrainOptions, RefusesWhatIsNotThere) {
  TrainOptions options;
  EXPECT_EQ(message_of([&] { set_train_option(options, "batch", "0"); }),
            "batch: '0' is not a whole number from 1 to 65536, a share of the memory between 0 and 1, or -1 "
            "for 16");
  EXPECT_NE(
      message_of([&] { set_train_option(options, "copy_paste_mode", "copy"); }).find("Known: flip, mixup"),
      std::string::npos);
  for (const char* key : {"epochs", "imgsz"})
    EXPECT_NE(message_of([&] {
                set_train_option(options, key, "0");
              }).find(std::string(key) + ": '0' is not a whole"),
              std::string::npos);
}

}  // namespace
}  // namespace marrow::train
