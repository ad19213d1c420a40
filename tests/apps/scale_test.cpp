// `marrow scale` as a process.
#include <gtest/gtest.h>

#include "apps/program.h"
#include "marrow/model/summary.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

ProgramResult scale(const testing::TemporaryFolder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "scale");
  return run_program(arguments, {.folder = folder.path()});
}

TEST(ScaleCommand, WritesAModelThatOtherCommandsRead) {
  const testing::TemporaryFolder folder;
  const ProgramResult result = scale(folder, {"--backbone", "shufflenet_v2_x0_5", "--phi", "2"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "without training");
  EXPECT_SAYS(result.out, "*  1.");
  EXPECT_SAYS(result.out, "parameters");
  const std::string yaml = folder / "shufflenet_v2_x0_5-phi2.yaml";
  const size_t size = result.out.find("--imgsz ");
  ASSERT_NE(size, std::string::npos);
  const int image_size = std::stoi(result.out.substr(size + 8));
  EXPECT_EQ(image_size % 32, 0);
  EXPECT_SAYS(testing::read_text(yaml), "# Train and run it with --imgsz " + std::to_string(image_size));
  const ProgramResult info = run_program({"info", yaml, "--json"});
  ASSERT_EQ(info.code, 0) << info.err;
  EXPECT_EQ(info.err, "");
  EXPECT_GT(nlohmann::json::parse(info.out).at("parameters"),
            model::count_parameters(model::make_model("yolov8n", "shufflenet_v2_x0_5").graph));
}

TEST(ScaleCommand, TakesPublishedFactors) {
  const testing::TemporaryFolder folder;
  const ProgramResult result =
      scale(folder, {"--backbone", "efficientnet", "--classifier", "--depth", "1.2", "--width", "1.1",
                     "--imgsz", "260", "--set", "dropout=0.3", "--set", "source=timm", "-o", "b2.yaml"});
  ASSERT_EQ(result.code, 0) << result.err;
  const ProgramResult info = run_program({"info", folder / "b2.yaml", "--json"});
  ASSERT_EQ(info.code, 0) << info.err;
  EXPECT_EQ(nlohmann::json::parse(info.out).at("parameters"), 9109994);
  // timm's: 256 and a margin of 32 around the crop are its own; the size is the resolution.
  EXPECT_EQ(nlohmann::json::parse(info.out).at("imgsz"), (std::vector<int>{260, 260}));
}

TEST(ScaleCommand, NamesThePublishedNetworkThatItMade) {
  const testing::TemporaryFolder folder;
  const ProgramResult result =
      scale(folder, {"--backbone", "efficientnet_b0", "--classifier", "--depth", "1.1", "--imgsz", "240"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "those of the published efficientnet_b1");
  EXPECT_TRUE(std::filesystem::exists(folder / "efficientnet_b0-scaled.yaml"));
}

TEST(ScaleCommand, TakesCoefficientsInsteadOfASearch) {
  const testing::TemporaryFolder folder;
  const ProgramResult result =
      scale(folder, {"--backbone", "starnet_s050", "--phi", "0.5", "--alpha", "1.44", "--beta", "1.21",
                     "--gamma", "1.21", "--base-imgsz", "320", "--model", "yolov8s"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.find("triples"), std::string::npos) << result.out;
  EXPECT_SAYS(result.out, "depth 1 -> 1.2, width 1 -> 1.1, input 320 -> 352 pixels");
  EXPECT_SAYS(testing::read_text(folder / "starnet_s050-phi0.5.yaml"), "{\"depth\":1.2,\"width\":1.1}");
}

TEST(ScaleCommand, MeasuresLatency) {
  const testing::TemporaryFolder folder;
  const ProgramResult result =
      scale(folder, {"--backbone", "pp_lcnet_x0_25", "--by", "latency", "--depth", "1.2", "--base-imgsz",
                     "64", "--seconds", "0", "--threads", "1"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "latency, median ms");
  EXPECT_SAYS(result.out, "1 thread;");
}

TEST(ScaleCommand, RefusesWhatMakesNoSense) {
  const testing::TemporaryFolder folder;
  const auto expect_refused = [&](const std::vector<std::string>& arguments, int code, const char* says) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    const ProgramResult result = scale(folder, arguments);
    EXPECT_EQ(result.code, code);
    EXPECT_SAYS(result.err, says);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  };
  const std::vector<std::string> fast = {"--alpha", "1.2", "--beta", "1.1", "--gamma", "1.15"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), fast.begin(), fast.end());
    return arguments;
  };
  expect_refused({}, 2, "--backbone is required");
  expect_refused({"--backbone", "starnet_s11"}, 1,
                 "unknown backbone 'starnet_s11'. Did you mean 'starnet_s1'?");
  expect_refused({"--backbone", "starnet_s1", "--phi", "11"}, 2, "'11' is not a number from 0 to 10");
  expect_refused({"--backbone", "starnet_s1", "--phi", "nan"}, 2, "'nan' is not a number from 0 to 10");
  expect_refused({"--backbone", "starnet_s1", "--alpha", "1.2"}, 2,
                 "--alpha, --beta and --gamma belong together");
  expect_refused({"--backbone", "starnet_s1", "--alpha", "0.9"}, 2, "'0.9' is not a number from 1 to");
  expect_refused({"--backbone", "starnet_s1", "--depth", "2", "--phi", "1"}, 2, "say the result");
  expect_refused({"--backbone", "starnet_s1", "--imgsz", "320"}, 2, "--imgsz alone scales no network");
  expect_refused({"--backbone", "starnet_s1", "--by", "parameters"}, 2, "--by");
  expect_refused({"--backbone", "starnet_s1", "--set", "mlp_ratio"}, 2, "--set 'mlp_ratio'");
  expect_refused({"--backbone", "starnet_s1", "--set", "mlp_ration=3"}, 1, "Did you mean 'mlp_ratio'?");
  expect_refused({"--backbone", "starnet_s1", "--width", "9"}, 1,
                 "width is 9.0, wanted a number from 0.01 to 8");
  expect_refused(with({"--backbone", "starnet_s050", "-o", "missing/x.yaml"}), 1, "missing/x.yaml: cannot");
  expect_refused(with({"--backbone", "starnet_s050", "--model", "yolov8q"}), 1, "unknown model 'yolov8q'");
  expect_refused({"--backbone", "starnet_s050", "-o", "yolov8s-mine.yaml"}, 2, "it would be scale 's'");
  expect_refused(with({"--backbone", "vanillanet_13_x1_5_ada_pool"}), 1, "cannot feed a detector");
}

}  // namespace
}  // namespace marrow::apps
