// What the program says about itself, and to those who mistype.
#include <gtest/gtest.h>

#include "apps/program.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

// Usage errors: nothing on stdout, which is for results.
void expect_refused(const std::vector<std::string>& arguments, int code, const std::string& says) {
  SCOPED_TRACE(::testing::PrintToString(arguments));
  const ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.code, code);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(result.err.starts_with("marrow: ")) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_SAYS(result.err, says);
}

TEST(Program, SaysItsVersion) {
  const ProgramResult result = run_program({"--version"});
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(result.out.starts_with("marrow ")) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST(Program, ListsItsCommands) {
  const ProgramResult result = run_program({"--help"});
  EXPECT_EQ(result.code, 0);
  for (const char* command : {"train", "val", "predict", "data", "info", "models", "import", "demo"})
    EXPECT_SAYS(result.out, std::string("\n  ") + command + " ");
}

TEST(Program, RefusesAMissingOrUnknownCommand) {
  expect_refused({}, 2, "no command is given");
  expect_refused({"predct"}, 2, "unknown command 'predct'. Did you mean 'predict'?");
  expect_refused({"--versoin"}, 2, "unknown option '--versoin'. Did you mean '--version'?");
}

TEST(Program, RefusesUnknownOptionsAndValues) {
  expect_refused({"predict", "--modl", "x"}, 2, "Did you mean '--model'?");
  expect_refused({"info", "--imgsize=320", "yolov8n"}, 2, "Did you mean '--imgsz'?");
  expect_refused({"predict", "--source", "x"}, 2, "--model is required. 'marrow predict --help'");
  expect_refused({"data", "--jsn"}, 2, "unknown option of 'marrow data'");
  expect_refused({"data"}, 2, "no command is given. 'marrow data --help'");
  expect_refused({"import"}, 2, "FILE is required");
  expect_refused({"models", "extra"}, 2, "extra");
  for (const char* value : {"1.5", "-0.1", "nan", "abc", "", "0x"})
    expect_refused({"predict", "--model", "m", "--source", "x", "--conf", value}, 2,
                   "is not a number from 0 to 1");
  expect_refused({"predict", "--model", "m", "--source", "x", "--imgsz", "0"}, 2,
                 "'0' is not a number from 1 to");
  expect_refused({"predict", "--model", "m", "--source", "x", "--imgsz", "1,2,3"}, 2, "--imgsz");
  expect_refused({"predict", "--model", "m", "--source", "x", "--max-det", "99999999999999999999"}, 2,
                 "--max-det");
  expect_refused({"predict", "--model", "m", "--source", "x", "--threads", "-1"}, 2, "--threads");
  expect_refused({"import", "x.pt", "--min-loaded", "3"}, 2, "is not a number from 0 to 1");
}

TEST(Program, NamesTheNearestModel) {
  expect_refused({"info", "yolov8q"}, 1, "unknown model 'yolov8q'. Did you mean 'yolov8n'?");
  expect_refused({"info", "starnet_s11"}, 1, "Did you mean 'starnet_s1'?");
  expect_refused({"info", "yolov8n", "--backbone", "starnet_s9"}, 1,
                 "unknown backbone 'starnet_s9'. Did you mean");
  expect_refused({"info", "missing.pt"}, 1, "missing.pt: there is no such file");
  expect_refused({"info", "missing/yolov8n.yaml"}, 1, "missing/yolov8n.yaml: cannot open: No such file");
  expect_refused({"val", "--model", "yolov8n", "--data", "d.yaml"}, 2,
                 "yolov8n: a description without weights");
}

// yolov8n-mine.yaml is scale n of yolov8-mine.yaml, in this folder as in any other.
TEST(Program, FindsAYamlWithoutItsScaleLetter) {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "yolov8-mine.yaml",
                      "nc: 2\nscales: {n: [0.33, 0.25, 1024]}\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n"
                      "head:\n  - [[0], 1, Detect, [nc]]\n");
  const ProgramResult result = run_program({"info", "yolov8n-mine.yaml"}, {.folder = folder.path()});
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST(Program, NamesTheNearestModuleOfAYaml) {
  const testing::TemporaryFolder folder;
  const std::string yaml = folder / "my.yaml";
  testing::write_text(
      yaml, "nc: 2\nbackbone:\n  - [-1, 1, Convv, [64, 3, 2]]\nhead:\n  - [[-1], 1, Detect, [nc]]\n");
  expect_refused({"info", yaml}, 1,
                 "my.yaml:3: layer 0 (Convv): unknown module 'Convv'. Did you mean 'Conv'?");
}

TEST(Program, ReportsAFullDiskBehindStdout) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"models"}, {"models", "--json"}, {"info", "yolov8n"}, {"--version"}}) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    const ProgramResult result = run_program(arguments, {.stdout_to = "/dev/full"});
    EXPECT_EQ(result.code, 1);
    EXPECT_SAYS(result.err, "No space left on device");
  }
}

TEST(Info, PrintsOneJsonObject) {
  const ProgramResult result = run_program({"info", "yolov8n", "--json", "--imgsz", "320,640"});
  EXPECT_EQ(result.code, 0);
  const auto object = nlohmann::json::parse(result.out);
  for (const char* key : {"parameters", "macs", "gflops", "layers"}) EXPECT_TRUE(object.contains(key)) << key;
  EXPECT_EQ(object.at("parameters"), 3157200);
  EXPECT_EQ(object.at("imgsz"), (std::vector<int>{320, 640}));
}

// A size between multiples of the stride would not meet at the concatenations.
TEST(Info, RoundsTheSizeUpAndSaysSo) {
  const ProgramResult result = run_program({"info", "yolov8n", "--json", "--imgsz", "33"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(nlohmann::json::parse(result.out).at("imgsz"), (std::vector<int>{64, 64}));
  EXPECT_SAYS(result.err, "--imgsz 33 is no multiple of the largest stride, 32; using 64");
}

TEST(Info, ReadsCheckpoints) {
  const testing::TemporaryFolder folder;
  const auto file = testing::write_detector(folder / "m.safetensors");
  const auto object = nlohmann::json::parse(run_program({"info", file, "--json"}).out);
  EXPECT_EQ(object.at("classes"), 3);
  EXPECT_EQ(run_program({"info", file, "--nc", "4"}).code, 2);
}

TEST(Models, ListsEveryNameOnceForMachinesAndPeople) {
  const auto object = nlohmann::json::parse(run_program({"models", "--json"}).out);
  EXPECT_EQ(object.at("backbones").size(), 5u);
  const std::string text = run_program({"models"}).out;
  for (const auto& family : object.at("backbones"))
    for (const std::string variant : family.at("variants")) EXPECT_SAYS(text, " " + variant);
  // People get one name for the five scales.
  for (const std::string name : object.at("models")) EXPECT_SAYS(text, model::split_scale(name).stem);
}

}  // namespace
}  // namespace marrow::apps
