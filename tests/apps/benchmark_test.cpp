// `marrow benchmark` and `marrow compare` as processes.
#include <gtest/gtest.h>

#include <filesystem>

#include "apps/program.h"
#include "marrow/base/files.h"
#include "marrow/data/tools/synth.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

TEST(BenchmarkCommand, JsonHasEveryFigure) {
  const ProgramResult result = run_program({"benchmark", "starnet_s050", "--imgsz", "64", "--seconds", "0",
                                            "--threads", "1", "--json", "--end-to-end"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto object = nlohmann::json::parse(result.out);
  for (const char* key : {"cpu", "simd", "load_ms", "deploy_ms", "compile_ms", "cache_bytes", "peak_gflops",
                          "peak_memory_bytes"})
    EXPECT_TRUE(object.contains(key)) << key;
  EXPECT_EQ(object.at("threads"), 1);
  EXPECT_EQ(object.at("trained"), false);
  EXPECT_GT(object.at("network").at("median_ms"), 0);
  EXPECT_GT(object.at("end_to_end").at("decode_ms"), 0);
  double macs = 0;
  for (const auto& layer : object.at("layers")) macs += layer.at("macs").get<double>();
  EXPECT_EQ(macs, object.at("macs").get<double>());
}

TEST(BenchmarkCommand, SaysWhatWasMeasured) {
  const ProgramResult result = run_program({"benchmark", "yolov8n", "--backbone", "shufflenet_v2_x0_5",
                                            "--imgsz", "70", "--seconds", "0", "--layers", "3"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.err, "using 96");
  EXPECT_SAYS(result.out, "random weights");
  EXPECT_SAYS(result.out, "96x96");
  EXPECT_SAYS(result.out, "network alone");
  EXPECT_SAYS(result.out, "--layers 0 shows all");
}

TEST(BenchmarkCommand, TimesOpenCvInTurnsWhereItIsBuiltIn) {
  const ProgramResult result = run_program({"benchmark", "yolov8n", "--imgsz", "64", "--seconds", "0",
                                            "--runtime", "opencv", "--threads", "1", "--json"});
  if (result.code != 0) {
    EXPECT_EQ(result.code, 1);
    EXPECT_SAYS(result.err, "libopencv-dnn-dev");
    return;
  }
  const auto opencv = nlohmann::json::parse(result.out).at("opencv");
  EXPECT_LT(opencv.at("difference"), 1e-3);
  EXPECT_EQ(opencv.at("network").at("runs"), opencv.at("marrow").at("runs"));
  EXPECT_EQ(run_program({"benchmark", "yolov8n", "--runtime", "onnxruntime"}).code, 2);
}

TEST(BenchmarkCommand, RefusesAnUnknownName) {
  const ProgramResult result = run_program({"benchmark", "starnet_s5"});
  EXPECT_NE(result.code, 0);
  EXPECT_SAYS(result.err, "starnet_s");
}

TEST(CompareCommand, LeavesTablesAndPlots) {
  const testing::TemporaryFolder folder;
  testing::ProgramOptions here;
  here.folder = folder.path();
  const ProgramResult result =
      run_program({"compare", "--backbones", "shufflenet_v2_x0_5,starnet_s050", "--imgsz", "32,64",
                   "--threads", "1", "--seconds", "0", "--budget-ms", "100000"},
                  here);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "The fastest is yolov8n");
  EXPECT_SAYS(result.out, "under 100000 ms");
  const auto tables =
      nlohmann::json::parse(read_file(folder / "runs/compare/compare.json", 1 << 20)).at("tables");
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[1].at("imgsz"), 64);
  EXPECT_EQ(tables[1].at("networks").size(), 3u);
  for (const char* name : {"pareto_32px_1t.png", "pareto_64px_1t.png", "pareto_64px_1t.svg"})
    EXPECT_GT(std::filesystem::file_size(folder / ("runs/compare/" + std::string(name))), 5000u) << name;
}

TEST(CompareCommand, TakesTheSizeThatACheckpointWasTrainedAt) {
  const testing::TemporaryFolder folder;
  testing::ProgramOptions here;
  here.folder = folder.path();
  model::Model model = model::make_model("yolov8n");
  std::get<Input>(model.graph.nodes.at(0).operation).format.crop = 96;
  model::save_checkpoint(folder / "best.safetensors", model, randomize(model.graph, 3));
  const ProgramResult result =
      run_program({"compare", "best.safetensors", "--threads", "1", "--seconds", "0", "--json"}, here);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("tables").at(0).at("imgsz"), 96);
}

TEST(CompareCommand, RefusesADatasetOfOtherClassesBeforeItMeasures) {
  const testing::TemporaryFolder folder;
  testing::ProgramOptions here;
  here.folder = folder.path();
  testing::write_detector(folder / "best.safetensors");
  data::SynthOptions synth;
  synth.images = 2;
  synth.image_size = 32;
  synth.classes = {"disc", "square"};
  data::write_synth_dataset(folder / "data", synth);
  for (const std::string command : {"compare", "deploy", "quantize"}) {
    const ProgramResult result = run_program({command, "best.safetensors", "--data", "data"}, here);
    EXPECT_EQ(result.code, 2);
    EXPECT_SAYS(result.err, ": 3 classes, but data has 2");
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
}  // namespace marrow::apps
