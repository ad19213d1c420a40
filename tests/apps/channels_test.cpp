// A model of bands of 16 bits: every command reads its images as it was trained, without being told.
#include <gtest/gtest.h>

#include "apps/program.h"
#include "marrow/data/dataset.h"
#include "marrow/image/decode.h"
#include "marrow/model/import.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

constexpr ImageReading kBands = {{4, 16}, {0, 60'000}};
constexpr const char* kSaid = "4 channels of 16 bits from 0 to 60000";

class Bands : public ::testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult synth = run({"data", "synth", "bands", "--images", "6", "--imgsz", "64", "--classes",
                                     "disc,star", "--channels", "4", "--bits", "16"});
    ASSERT_EQ(synth.code, 0) << synth.err;
    const std::string yaml = testing::read_text(folder_ / "bands/data.yaml");
    testing::write_text(folder_ / "bands/data.yaml", yaml + "range: [0, 60000]\n");
    model::Model model = model::make_model("yolov8n", {}, {.names = {"disc", "star"}, .channels = 4});
    set_range(std::get<Input>(model.graph.nodes.at(0).operation).format, kBands.range);
    model::save_checkpoint(folder_ / "m.safetensors", model, randomize(model.graph, 3));
  }
  ProgramResult run(const std::vector<std::string>& arguments) const {
    testing::ProgramOptions here;
    here.folder = folder_.path();
    return run_program(arguments, here);
  }
  std::string good(const std::vector<std::string>& arguments) const {
    const ProgramResult result = run(arguments);
    EXPECT_EQ(result.code, 0) << arguments[0] << ": " << result.err;
    return result.out;
  }
  void expect_bands(const std::string& file) const {
    EXPECT_EQ(image_reading(model::load_trained(folder_ / file).model.graph), kBands) << file;
  }
  const testing::TemporaryFolder folder_;
};

TEST_F(Bands, ArePredictedAndDrawn) {
  const std::string out = good({"predict", "--model", "m.safetensors", "--source", "bands/images/val",
                                "--imgsz", "64", "--conf", "0.001", "--save-crop"});
  EXPECT_SAYS(out, "at shape (1, 4, 64, 64)");
  const image::Image drawn = image::decode_image_file(folder_ / "runs/detect/predict/000000.jpg").image;
  EXPECT_EQ(drawn.format(), SampleFormat());
  EXPECT_SAYS(good({"info", "m.safetensors"}), std::string("images are read with ") + kSaid);
  ASSERT_EQ(run({"data", "synth", "plain", "--images", "2", "--imgsz", "64"}).code, 0);
  const ProgramResult refused =
      run({"predict", "--model", "m.safetensors", "--source", "plain/images/train", "--imgsz", "64"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_SAYS(refused.err,
              "plain/images/train/000000.jpg: JPEG of 1 or 3 channels; wanted 4, which a TIFF may have");
}

TEST_F(Bands, AreMeasuredDeployedQuantisedAndExported) {
  EXPECT_SAYS(good({"val", "m.safetensors", "--data", "bands", "--imgsz", "64"}), "mAP");
  EXPECT_SAYS(good({"deploy", "m.safetensors", "--imgsz", "64", "--data", "bands", "-o", "d.safetensors"}),
              "written: d.safetensors");
  expect_bands("d.safetensors");
  good({"deploy", "m.safetensors", "--imgsz", "64", "-o", "e.safetensors"});
  good({"quantize", "m.safetensors", "--imgsz", "64", "--data", "bands", "-o", "q.safetensors"});
  expect_bands("q.safetensors");
  good({"export", "m.safetensors", "--format", "onnx", "--imgsz", "64", "-o", "m.onnx"});
  expect_bands("m.onnx");
  EXPECT_SAYS(good({"predict", "--model", "m.onnx", "--source", "bands/images/val"}),
              "at shape (1, 4, 64, 64)");
  good({"benchmark", "m.safetensors", "--imgsz", "64", "--seconds", "0.05", "--end-to-end"});
}

TEST_F(Bands, GoThroughTheToolsOfDatasets) {
  EXPECT_SAYS(good({"data", "check", "bands"}), "0 errors");
  good({"data", "show", "bands", "--imgsz", "64", "--batch", "4"});
  good({"data", "convert", "bands", "coco", "--to", "coco"});
  good({"data", "split", "bands", "divided"});
  good({"data", "merge", "all", "bands", "coco"});
  for (const char* written : {"coco", "divided", "all"})
    EXPECT_EQ(data::read_dataset(folder_ / written).reading, kBands) << written;
  ASSERT_EQ(run({"data", "synth", "plain", "--images", "2", "--imgsz", "64"}).code, 0);
  const ProgramResult refused = run({"data", "merge", "mixed", "bands", "plain"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_SAYS(refused.err, std::string("images of 3 channels of 8 bits, but bands/data.yaml has ") + kSaid);
}

}  // namespace
}  // namespace marrow::apps
