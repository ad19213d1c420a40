// `marrow predict` as a process: files in, lines and files out.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "apps/program.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "support/golden.h"

namespace marrow::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::lines_of;
using testing::ProgramResult;
using testing::run_program;

class Predict : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder_ / "in");
    detector_ = testing::write_detector(folder_ / "detector.safetensors");
  }

  fs::path picture(const std::string& name, int width = 80, int height = 60) const {
    const fs::path path = folder_ / "in" / name;
    const image::Image image = image::draw_scene(width, height, 1);
    testing::write_text(path, name.ends_with(".png") ? image::encode_png(image.pixels())
                                                     : image::encode_jpeg(image.pixels()));
    return path;
  }

  // On a small input, in the temporary folder; more arguments behind.
  ProgramResult predict(const std::string& source, std::vector<std::string> more = {},
                        const testing::ProgramOptions& options = {}) const {
    std::vector<std::string> arguments = {"predict", "--model", detector_.string(), "--source", source,
                                          "--imgsz", "64",      "--conf",           "0.01",     "--max-det",
                                          "4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    testing::ProgramOptions here = options;
    here.folder = folder_.path();
    return run_program(arguments, here);
  }

  std::set<std::string> files_below(const fs::path& below) const {
    std::set<std::string> names;
    if (!fs::exists(below)) return names;
    for (const auto& entry : fs::recursive_directory_iterator(below))
      if (!entry.is_directory()) names.insert(fs::relative(entry.path(), below).string());
    return names;
  }

  const testing::TemporaryFolder folder_;
  fs::path detector_;
};

TEST_F(Predict, PrintsALineAImageAndSavesTheImages) {
  picture("a.png");
  picture("b.jpg");
  const ProgramResult result = predict("in");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 4u) << result.out;
  EXPECT_TRUE(lines[0].starts_with("image 1/2 in/a.png: 64x64 4 ") ||
              lines[0].starts_with("image 1/2 in/a.png: 64x64 "));
  EXPECT_SAYS(lines[0], "ms preprocess, ");
  EXPECT_TRUE(lines[1].starts_with("image 2/2 in/b.jpg: "));
  EXPECT_TRUE(lines[2].starts_with("Speed: "));
  EXPECT_EQ(lines[3], "Results saved to runs/detect/predict");
  EXPECT_EQ(files_below(folder_ / "runs/detect/predict"), (std::set<std::string>{"a.png", "b.jpg"}));
  EXPECT_EQ(image::decode_image_file(folder_ / "runs/detect/predict/a.png").image.width(), 80);
  EXPECT_FALSE(image::decode_image_file(folder_ / "runs/detect/predict/a.png").image ==
               image::draw_scene(80, 60, 1));
}

TEST_F(Predict, ImagesOfOneNameInTwoFoldersBothStay) {
  fs::create_directories(folder_ / "in" / "a");
  fs::create_directories(folder_ / "in" / "b");
  picture("a/x.png");
  picture("b/x.png");
  testing::write_text(folder_ / "list.txt", "./in/a/x.png\n./in/b/x.png\n");
  EXPECT_EQ(predict("list.txt").code, 0);
  EXPECT_EQ(files_below(folder_ / "runs/detect/predict"), (std::set<std::string>{"x.png", "x2.png"}));
}

TEST_F(Predict, AnEmptyClassIsNoClass) {
  picture("a.png");
  const ProgramResult result = predict("in", {"--classes", ""});
  EXPECT_EQ(result.code, 2);
  EXPECT_SAYS(result.err, "a class is empty");
}

TEST_F(Predict, WritesOnlyJsonToStdoutWhenAsked) {
  picture("a.png");
  picture("b.png", 33, 64);
  const ProgramResult result = predict("in", {"--json", "--no-save"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.err, "image 1/2 in/a.png");
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 2u);
  for (const std::string& line : lines) {
    const json object = json::parse(line);
    std::set<std::string> keys;
    for (const auto& item : object.items()) keys.insert(item.key());
    EXPECT_EQ(keys, (std::set<std::string>{"image", "width", "height", "detections"}));
    EXPECT_EQ(object.at("detections").size(), 4u);
    for (const json& detection : object.at("detections")) {
      keys.clear();
      for (const auto& item : detection.items()) keys.insert(item.key());
      EXPECT_EQ(keys, (std::set<std::string>{"class", "name", "confidence", "box"}));
      EXPECT_EQ(
          detection.at("name"),
          (std::vector<std::string>{"red box", "green/disc", "bar"}.at(detection.at("class").get<size_t>())));
      const auto box = detection.at("box").get<std::vector<double>>();
      ASSERT_EQ(box.size(), 4u);
      EXPECT_LE(box[2], object.at("width").get<double>());
      EXPECT_LE(box[3], object.at("height").get<double>());
    }
  }
  EXPECT_EQ(json::parse(lines[1]).at("width"), 33);
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Predict, RunsADetectorAtTheSizeItWasTrainedAt) {
  picture("a.png");
  model::Model model = model::make_model("yolov8n", {}, {.names = {"red box", "green/disc", "bar"}});
  std::get<Input>(model.graph.nodes.at(0).operation).format.crop = 96;
  model::save_checkpoint(folder_ / "trained.safetensors", model, randomize(model.graph, 3));
  testing::ProgramOptions here;
  here.folder = folder_.path();
  const auto shape = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"predict",   "--model",  "trained.safetensors", "--source", "in",
                                          "--no-save", "--no-rect"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, here).out;
  };
  EXPECT_SAYS(shape({}), "at shape (1, 3, 96, 96)");
  EXPECT_SAYS(shape({"--imgsz", "64"}), "at shape (1, 3, 64, 64)");
}

TEST_F(Predict, FastDecodeSpeaksInPixelsOfTheFile) {
  picture("a.jpg", 640, 480);
  const ProgramResult result = predict("in", {"--json", "--save-txt", "--fast-decode"});
  EXPECT_EQ(result.code, 0) << result.err;
  const json object = json::parse(result.out);
  EXPECT_EQ(object.at("width"), 640);
  EXPECT_EQ(object.at("height"), 480);
  double furthest = 0;
  for (const json& detection : object.at("detections"))
    for (const double side : detection.at("box").get<std::vector<double>>())
      furthest = std::max(furthest, side);
  EXPECT_GT(furthest, 200);
  EXPECT_LE(furthest, 640);
  EXPECT_EQ(image::decode_image_file(folder_ / "runs/detect/predict/a.jpg").image.width(), 80);
  EXPECT_TRUE(fs::exists(folder_ / "runs/detect/predict/labels/a.txt"));
}

TEST_F(Predict, SavesLabelsAndCropsInTheUsualLayout) {
  picture("a.png");
  const ProgramResult result = predict("in/a.png", {"--json", "--save-txt", "--save-conf", "--save-crop",
                                                    "--no-save", "--project", "out", "--name", "x"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.err, "1 label saved to out/x/labels");
  const json detections = json::parse(result.out).at("detections");
  const auto labels = lines_of(testing::read_text(folder_ / "out/x/labels/a.txt"));
  ASSERT_EQ(labels.size(), detections.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    std::istringstream words(labels[i]);
    int id = -1;
    double cx = 0, cy = 0, w = 0, h = 0, confidence = 0;
    ASSERT_TRUE(words >> id >> cx >> cy >> w >> h >> confidence) << labels[i];
    const auto box = detections[i].at("box").get<std::vector<double>>();
    EXPECT_EQ(id, detections[i].at("class"));
    EXPECT_NEAR(cx, (box[0] + box[2]) / 2 / 80, 1e-5);
    EXPECT_NEAR(h, (box[3] - box[1]) / 60, 1e-5);
    EXPECT_NEAR(confidence, detections[i].at("confidence").get<double>(), 1e-5);
  }
  const auto files = files_below(folder_ / "out/x");
  EXPECT_FALSE(files.contains("a.png"));
  std::map<std::string, int> crops;
  for (const std::string& file : files)
    if (file.starts_with("crops/")) ++crops[fs::path(file).parent_path().filename().string()];
  std::map<std::string, int> expected;
  for (const json& detection : detections) {
    std::string name = detection.at("name");
    std::ranges::replace(name, '/', '_');
    ++expected[name];
  }
  EXPECT_EQ(crops, expected);
}

TEST_F(Predict, KeepsImagesOfOneNameApart) {
  for (const char* folder : {"in/a", "in/b"}) fs::create_directories(folder_ / folder);
  picture("a/p.png");
  picture("b/p.png");
  picture("b/p.jpg");
  testing::write_text(folder_ / "list.txt", "in/a/p.png\nin/b/p.png\nin/b/p.jpg\n");
  const std::vector<std::string> options = {"--json", "--save-txt", "--save-crop", "--exist-ok"};
  const ProgramResult result = predict("list.txt", options);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.err, "3 labels saved");
  const fs::path out = folder_ / "runs/detect/predict";
  const auto files = files_below(out);
  for (const char* name : {"p.png", "p2.png", "p3.jpg", "labels/p.txt", "labels/p2.txt", "labels/p3.txt"})
    EXPECT_TRUE(files.contains(name)) << name;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 3u);
  const std::string labels = testing::read_text(out / "labels/p.txt");
  EXPECT_EQ(lines_of(labels).size(), json::parse(lines[0]).at("detections").size());
  // A second run replaces.
  EXPECT_EQ(predict("list.txt", options).code, 0);
  EXPECT_EQ(files_below(out), files);
  EXPECT_EQ(testing::read_text(out / "labels/p.txt"), labels);
}

TEST_F(Predict, NumbersItsFoldersUnlessToldToReuseThem) {
  picture("a.png");
  for (const char* name : {"predict", "predict2", "predict3"}) {
    EXPECT_EQ(predict("in").code, 0);
    EXPECT_TRUE(fs::exists(folder_ / "runs/detect" / name / "a.png")) << name;
  }
  EXPECT_SAYS(predict("in", {"--exist-ok"}).out, "Results saved to runs/detect/predict\n");
  EXPECT_FALSE(fs::exists(folder_ / "runs/detect/predict4"));
  const ProgramResult refused = predict("in", {"--name", "../x"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_SAYS(refused.err, "--project");
}

TEST_F(Predict, TakesClassesByNumberAndByName) {
  picture("a.png");
  std::set<int> seen;
  for (const auto& [text, ids] : std::vector<std::pair<std::string, std::set<int>>>{
           {"1", {1}}, {"red box", {0}}, {"bar,0", {0, 2}}, {"green/disc", {1}}}) {
    const ProgramResult result = predict("in/a.png", {"--json", "--no-save", "--classes", text});
    EXPECT_EQ(result.code, 0) << result.err;
    const json object = json::parse(result.out);
    for (const json& detection : object.at("detections")) {
      EXPECT_TRUE(ids.contains(detection.at("class").get<int>())) << text;
      seen.insert(detection.at("class").get<int>());
    }
  }
  EXPECT_GE(seen.size(), 2u) << "a random network need not find all three";
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {"red bix", "unknown class 'red bix'. Did you mean 'red box'?"},
           {"3", "3, but there are 3 classes (0..2)"},
           {"-1", "-1, but there are 3 classes"},
           {"1x", "unknown class '1x'"},
           {"99999999999999999999", "99999999999999999999"}}) {
    const ProgramResult result = predict("in/a.png", {"--classes", text});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_SAYS(result.err, says);
  }
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Predict, SkipsBrokenImagesAndSaysSoInTheExitCode) {
  picture("a.png");
  picture("c.png");
  testing::write_text(folder_ / "in/b.jpg", "this is no image");
  testing::write_text(folder_ / "in/d.jpg", "");
  const ProgramResult result = predict("in", {"--json"});
  EXPECT_EQ(result.code, 1);
  ASSERT_EQ(lines_of(result.out).size(), 2u);
  EXPECT_EQ(json::parse(lines_of(result.out)[1]).at("image"), "in/c.png");
  EXPECT_SAYS(result.err, "image 2/4 skipped: in/b.jpg: not an image");
  EXPECT_SAYS(result.err, "image 4/4 skipped: in/d.jpg: the file is empty");
  EXPECT_SAYS(result.err, "2 of 4 images could not be read");
  EXPECT_EQ(files_below(folder_ / "runs/detect/predict"), (std::set<std::string>{"a.png", "c.png"}));

  // A run that could read nothing leaves nothing.
  fs::remove_all(folder_ / "runs");
  const ProgramResult only = predict("in/b.jpg", {"--save-txt", "--save-crop"});
  EXPECT_EQ(only.code, 1);
  EXPECT_EQ(only.out, "");
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Predict, ReportsAMissingSource) {
  for (const auto& [source, says] : std::vector<std::pair<std::string, std::string>>{
           {"nowhere.jpg", "nowhere.jpg: no such image, folder or list"},
           {"in", "in: no images in this folder"},
           {"in/*.png", "in/*.png: the pattern matches no images"}}) {
    const ProgramResult result = predict(source);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_SAYS(result.err, says);
  }
}

TEST_F(Predict, ReadsPatternsAndLists) {
  picture("a.png");
  picture("b.png");
  picture("c.jpg");
  EXPECT_EQ(lines_of(predict("in/*.png", {"--json", "--no-save"}).out).size(), 2u);
  testing::write_text(folder_ / "list.txt", "in/c.jpg\n\nin/missing.png\r\n./in/a.png\n");
  const ProgramResult listed = predict("list.txt", {"--json", "--no-save"});
  EXPECT_EQ(listed.code, 1);
  EXPECT_EQ(lines_of(listed.out).size(), 2u);
  EXPECT_SAYS(listed.err, "in/missing.png: cannot open: No such file or directory");
}

TEST_F(Predict, TakesAwkwardNames) {
  const std::vector<std::string> names = {"two words.png", "имя_图片.png", "new\nline.png",
                                          "-dash.png",     "100%{}s.png",  "not utf8 \xff.png"};
  for (const std::string& name : names) picture(name);
  const ProgramResult result = predict("in", {"--json", "--save-txt", "--save-crop"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), names.size());
  std::set<std::string> seen;
  for (const std::string& line : lines) seen.insert(json::parse(line).at("image").get<std::string>());
  for (size_t i = 0; i + 1 < names.size(); ++i) EXPECT_TRUE(seen.contains("in/" + names[i])) << names[i];
  const auto files = files_below(folder_ / "runs/detect/predict");
  for (const std::string& name : names) {
    EXPECT_TRUE(files.contains(name)) << name;
    EXPECT_TRUE(files.contains("labels/" + fs::path(name).stem().string() + ".txt")) << name;
  }
  for (const std::string& name : names) EXPECT_EQ(predict("in/" + name, {"--no-save"}).code, 0) << name;
}

TEST_F(Predict, EndsWithAMessageWhenItsFolderCannotBeWritten) {
  picture("a.png");
  testing::write_text(folder_ / "file", "");
  const ProgramResult behind_a_file = predict("in", {"--project", "file"});
  EXPECT_EQ(behind_a_file.code, 1);
  EXPECT_EQ(behind_a_file.out, "");
  EXPECT_SAYS(behind_a_file.err, "file");
  if (::geteuid() == 0) return;  // root writes anywhere
  fs::create_directory(folder_ / "locked");
  ::chmod((folder_ / "locked").c_str(), 0500);
  const ProgramResult locked = predict("in", {"--project", "locked"});
  EXPECT_EQ(locked.code, 1);
  EXPECT_SAYS(locked.err, "locked/predict: cannot make this folder: Permission denied");
}

// A file-size limit acts as a full disk does, for each kind of file that is written.
TEST_F(Predict, EndsWithAMessageWhenTheDiskIsFull) {
  picture("a.png", 300, 200);
  picture("b.png", 300, 200);
  for (const std::vector<std::string>& what :
       {std::vector<std::string>{"--save"}, {"--no-save", "--save-txt"}, {"--no-save", "--save-crop"}}) {
    SCOPED_TRACE(what.back());
    const ProgramResult result = predict("in", what, {.file_bytes_limit = 0});
    EXPECT_EQ(result.code, 1);
    EXPECT_SAYS(result.err, "File too large");
    EXPECT_SAYS(result.err, "runs/detect/predict");
    EXPECT_EQ(result.out.find("image 2/2"), std::string::npos) << "it went on";
  }
  const ProgramResult mute = predict("in", {}, {.stderr_to = "/dev/full", .file_bytes_limit = 0});
  EXPECT_EQ(mute.code, 1) << "nobody hears why, but it does not crash";
  if (!fs::exists("/dev/full")) return;
  const ProgramResult full = predict("in", {"--json", "--no-save"}, {.stdout_to = "/dev/full"});
  EXPECT_EQ(full.code, 1);
  EXPECT_SAYS(full.err, "No space left on device");
}

TEST_F(Predict, RefusesWhatIsNoCheckpoint) {
  picture("a.png");
  const auto refused = [&](const std::string& model, int code) {
    const ProgramResult result =
        run_program({"predict", "--model", model, "--source", "in"}, {.folder = folder_.path()});
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  EXPECT_SAYS(refused("yolov8n", 2),
              "a description without weights. Wanted is a checkpoint, such as yolov8n.pt");
  EXPECT_SAYS(refused("yolov8s.yaml", 2), "such as yolov8s.pt");
  EXPECT_SAYS(refused("yolov8nn", 1), "Did you mean 'yolov8n'?");
  EXPECT_SAYS(refused("missing.pt", 1), "missing.pt: there is no such file");
  EXPECT_SAYS(refused("in/a.png", 1), "in/a.png: not a checkpoint that Marrow knows");
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Predict, FindsMasksKeypointsAndTurnedBoxes) {
  picture("a.png");
  const std::vector<std::tuple<std::string, std::string, std::string>> tasks = {
      {"seg", "segment", "outline"}, {"pose", "pose", "keypoints"}, {"obb", "obb", "corners"}};
  for (const auto& [suffix, task, key] : tasks) {
    SCOPED_TRACE(task);
    const fs::path model = testing::write_detector(folder_ / "other.safetensors", "yolov8n-" + suffix);
    const ProgramResult result = run_program({"predict", "--model", model, "--source", "in", "--conf",
                                              "0.001", "--max-det", "5", "--save-txt", "--json"},
                                             {.folder = folder_.path()});
    EXPECT_EQ(result.code, 0) << result.err;
    const nlohmann::json line = nlohmann::json::parse(result.out);
    ASSERT_FALSE(line.at("detections").empty());
    for (const nlohmann::json& one : line.at("detections")) EXPECT_TRUE(one.contains(key)) << one;
    EXPECT_TRUE(fs::exists(folder_ / "runs" / task / "predict" / "a.png"));
    EXPECT_TRUE(fs::exists(folder_ / "runs" / task / "predict" / "labels" / "a.txt"));
  }
}

TEST_F(Predict, RefusesWhatIsForOtherTasks) {
  picture("a.png");
  const fs::path model = testing::write_detector(folder_ / "other.safetensors", "yolov8n-obb");
  const auto refused = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"predict", "--model", model, "--source", "in"});
    const ProgramResult result = run_program(more, {.folder = folder_.path()});
    EXPECT_NE(result.code, 0);
    return result.err;
  };
  EXPECT_SAYS(refused({"--retina-masks"}), "--retina-masks is for segmentation");
}

TEST_F(Predict, CutsImagesForMasksAndTurnedBoxesButNotForKeypoints) {
  picture("a.png");
  const auto tiled = [&](const std::string& suffix) {
    const fs::path model = testing::write_detector(folder_ / "other.safetensors", "yolov8n-" + suffix);
    return run_program({"predict", "--model", model, "--source", "in", "--tile", "32", "--conf", "0.001",
                        "--max-det", "5", "--json"},
                       {.folder = folder_.path()});
  };
  for (const auto& [suffix, key] : {std::pair{"seg", "outline"}, {"obb", "corners"}}) {
    const ProgramResult result = tiled(suffix);
    EXPECT_EQ(result.code, 0) << result.err;
    const nlohmann::json found = nlohmann::json::parse(result.out).at("detections");
    ASSERT_FALSE(found.empty());
    for (const nlohmann::json& one : found) EXPECT_TRUE(one.contains(key)) << one;
  }
  EXPECT_SAYS(tiled("pose").err, "tiles are not for keypoints");
}

TEST_F(Predict, APathWithoutItsOptionIsNamed) {
  EXPECT_SAYS(run_program({"predict", "x.pt", "photo.jpg"}, {.folder = folder_.path()}).err,
              "'photo.jpg' has no option's name before it; is it --source photo.jpg?");
}

TEST_F(Predict, WritesTurnedBoxesAsDotasServerReadsThem) {
  picture("a.png");
  picture("b.png");
  EXPECT_SAYS(predict("in", {"--save-dota"}).err, "--save-dota is for turned boxes");
  testing::write_text(folder_ / "in.mp4", "a video");
  EXPECT_SAYS(predict("in.mp4", {"--save-dota"}).err, "--save-dota is for images");
  detector_ = testing::write_detector(folder_ / "turned.safetensors", "yolov8n-obb");
  const ProgramResult result = predict("in", {"--save-dota", "--no-save", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  const fs::path out = folder_ / "runs/obb/predict";
  EXPECT_EQ(files_below(out),
            (std::set<std::string>{"predictions_txt/Task1_bar.txt", "predictions_txt/Task1_green_disc.txt",
                                   "predictions_txt/Task1_red-box.txt"}));
  std::map<std::string, size_t> found, written;  // by image
  for (const std::string& line : lines_of(result.out)) {
    const json object = json::parse(line);
    const std::string image = fs::path(object.at("image").get<std::string>()).stem();
    if (!object.at("detections").empty()) found[image] = object.at("detections").size();
  }
  for (const std::string& file : files_below(out)) {
    const std::string text = testing::read_text(out / file);
    if (text.empty()) continue;
    for (const std::string& line : lines_of(text)) {
      EXPECT_EQ(std::ranges::count(line, ' '), 9) << line;
      ++written[line.substr(0, line.find(' '))];
    }
  }
  EXPECT_EQ(written, found);
  EXPECT_FALSE(found.empty());
}

TEST_F(Predict, GivesAClassifiersTopFive) {
  picture("a.png");
  detector_ = testing::write_classifier(folder_ / "classifier.safetensors");
  const ProgramResult text = predict("in", {"--save-txt"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_SAYS(text.out, "image 1/1 in/a.png: 64x64 class_");
  EXPECT_EQ(lines_of(testing::read_text(folder_ / "runs/classify/predict/labels/a.txt")).size(), 5u);

  const ProgramResult result = predict("in", {"--json"});
  const json object = json::parse(result.out);
  std::set<std::string> keys;
  for (const auto& item : object.items()) keys.insert(item.key());
  EXPECT_EQ(keys, (std::set<std::string>{"image", "width", "height", "top5"}));
  ASSERT_EQ(object.at("top5").size(), 5u);
  double last = 1, sum = 0;
  for (const json& entry : object.at("top5")) {
    const double probability = entry.at("probability");
    EXPECT_LE(probability, last);
    last = probability;
    sum += probability;
    EXPECT_EQ(entry.at("name"), "class_" + std::to_string(entry.at("class").get<int>()));
  }
  EXPECT_LE(sum, 1.0001);
  EXPECT_FALSE(fs::exists(folder_ / "runs/classify/predict2"));  // nothing to save
  EXPECT_EQ(predict("in", {"--imgsz", "64,32"}).code, 2);
}

// ---- data/odd, as its README says ----

const std::set<std::string> kRefused = {"truncated_header.jpg", "corrupt_data.png", "zero_bytes.jpg",
                                        "text_named.jpg", "bmp_claims_60000x60000.bmp"};

TEST_F(Predict, TreatsOddFilesAsTheirReadmeSays) {
  const fs::path odd = testing::data_folder() / "odd";
  MARROW_NEEDS(odd);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(odd))
    if (const std::string name = entry.path().filename().string();
        name != "README.md" && name != "synthetic.gif")  // a video, for marrow-video
      names.insert(name);
  for (const std::string& name : kRefused) EXPECT_TRUE(names.contains(name)) << name;
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const ProgramResult result = predict((odd / name).string(), {"--json", "--exist-ok"});
    if (kRefused.contains(name)) {
      EXPECT_EQ(result.code, 1);
      EXPECT_EQ(result.out, "");
      EXPECT_SAYS(result.err, name);
      EXPECT_EQ(lines_of(result.err).size(), 2u) << result.err;
      continue;
    }
    EXPECT_EQ(result.code, 0) << result.err;
    const json object = json::parse(result.out);
    EXPECT_EQ(result.err.find("damaged") != std::string::npos, name == "truncated.jpg") << result.err;
    if (name.starts_with("exif_")) {
      EXPECT_EQ(object.at("width"), 256);
      EXPECT_EQ(object.at("height"), 192);
    }
  }
  // The whole folder at once: what can be read is, and the exit code tells of the rest.
  const ProgramResult all = predict(odd.string(), {"--json", "--no-save"});
  EXPECT_EQ(all.code, 1);
  EXPECT_EQ(lines_of(all.out).size(), names.size() - kRefused.size());
  EXPECT_SAYS(all.err, "5 of ");  // a GIF is not picked from a folder
}

}  // namespace
}  // namespace marrow::apps
