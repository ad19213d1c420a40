// `marrow export` as a process, and its files given back to the program.
#include <gtest/gtest.h>

#include "apps/program.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "marrow/weights/checkpoint_file.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

class ExportCommand : public ::testing::Test {
 protected:
  ExportCommand() {
    model::Model model = model::make_model("yolov8n", {}, {.names = {"dog's bowl", "été"}});
    const Weights weights = randomize(model.graph, 1);
    model::save_checkpoint(folder_ / "best.safetensors", model, weights);
    image::write_image(folder_ / "image.png", image::draw_scene(96, 64, 1).pixels());
  }
  ProgramResult run(const std::vector<std::string>& arguments) const {
    return run_program(arguments, {.folder = folder_.path()});
  }
  // Exports beside the checkpoint, small.
  ProgramResult export_with(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"export", "best.safetensors"});
    return run(arguments);
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }
  const testing::TemporaryFolder folder_;
};

TEST_F(ExportCommand, TheFilePredictsWhatTheCheckpointDoes) {
  const ProgramResult exported = export_with({"--imgsz", "64,96", "--dynamic"});
  ASSERT_EQ(exported.code, 0) << exported.err;
  EXPECT_SAYS(exported.out, "Marrow, 2 images of 96x160: differs by 0.00e+00");
  EXPECT_SAYS(exported.out, "not run: OpenCV: it reads fixed sizes only");
  EXPECT_SAYS(exported.out, "written: best.onnx");
  const auto predict = [&](const std::string& model) {
    const ProgramResult result = run({"predict", "--model", model, "--source", "image.png", "--imgsz", "96",
                                      "--conf", "0.1", "--no-save", "--json"});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  };
  EXPECT_EQ(predict("best.onnx"), predict("best.safetensors"));
  EXPECT_SAYS(predict("best.onnx"), "dog's bowl");
}

TEST_F(ExportCommand, AFileOfFixedSizeRunsAtThatSizeOnly) {
  ASSERT_EQ(export_with({"--imgsz", "64"}).code, 0);
  const auto predict = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"predict", "--model", "best.onnx", "--source", "image.png", "--no-save"});
    return run(more);
  };
  EXPECT_SAYS(predict({}).out, "(1, 3, 64, 64)");  // of an image of 96x64
  const ProgramResult other = predict({"--imgsz", "96"});
  EXPECT_EQ(other.code, 2);
  EXPECT_SAYS(other.err, "--imgsz 96x96: the network in best.onnx is fixed at 64x64");
  const ProgramResult benchmark = run({"benchmark", "best.onnx", "--seconds", "0", "--json"});
  EXPECT_SAYS(benchmark.out, "\"imgsz\":[64,64]");
}

TEST_F(ExportCommand, EveryReaderSaysWhatTheFileLoses) {
  ASSERT_EQ(export_with({"--imgsz", "64", "--nms"}).code, 0);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"predict", "--source", "image.png", "--no-save", "--model", "best.onnx"},
        {"benchmark", "--seconds", "0", "best.onnx"},
        {"info", "best.onnx"}})
    EXPECT_SAYS(run(command).err, "the file's own suppression") << command.front();
}

TEST_F(ExportCommand, NamesWhatWasNotRun) {
  const ProgramResult half = export_with({"--imgsz", "64", "--half", "--tolerance", "1"});
  EXPECT_EQ(half.code, 0) << half.err;
  EXPECT_SAYS(half.out, "not run: float16 arithmetic");
  const ProgramResult batch = export_with({"--imgsz", "64", "--batch", "2"});
  EXPECT_EQ(batch.code, 0) << batch.err;
  EXPECT_SAYS(batch.out, "not run: OpenCV: it does not spread");
  const ProgramResult nms = export_with({"--imgsz", "64", "--nms"});
  EXPECT_EQ(nms.code, 0) << nms.err;
  EXPECT_SAYS(nms.out, "not run: the file's own suppression");
}

// Of each task, with what OpenCV does to its file.
TEST_F(ExportCommand, MasksKeypointsAndTurnedBoxes) {
  const std::pair<const char*, const char*> tasks[] = {
      {"seg", "not run: OpenCV: it gives the last of several outputs"},
      {"pose", "not run: OpenCV: it does not spread the places of cells over keypoints"},
      {"obb", "OpenCV: differs by"}};
  for (const auto& [task, says] : tasks) {
    const std::string file = std::string(task) + ".safetensors";
    const model::Model model = model::make_model(std::string("yolov8n-") + task);
    model::save_checkpoint(folder_ / file, model, randomize(model.graph, 1));
    const ProgramResult exported = run({"export", file, "--imgsz", "64"});
    EXPECT_EQ(exported.code, 0) << exported.err;
    EXPECT_SAYS(exported.out, says);
  }
}

TEST_F(ExportCommand, AFileThatDiffersIsNotLeftBehind) {
  const size_t before = files();
  const ProgramResult result = export_with({"--imgsz", "64", "--half", "--tolerance", "1e-9"});
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "nothing was written");
  EXPECT_EQ(files(), before);
}

TEST_F(ExportCommand, WeightsAloneComeBackUnderTheirNames) {
  for (const std::string format : {"torch", "safetensors"}) {
    const std::string file = format == "torch" ? "best.pt" : "weights.safetensors";
    const ProgramResult result = export_with({"--format", format, "-o", file});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_TRUE(weights::read_checkpoint(folder_ / file).state.contains("model.0.bn.running_mean"));
  }
}

TEST_F(ExportCommand, RefusesOptionsThatDoNotGoTogether) {
  EXPECT_EQ(export_with({"--format", "torch", "--half"}).code, 2);
  EXPECT_EQ(export_with({"-o", "best.txt"}).code, 2);
  EXPECT_EQ(export_with({"--format", "safetensors", "-o", "best.safetensors"}).code, 2);
  EXPECT_EQ(export_with({"--opset", "10"}).code, 2);
  EXPECT_EQ(export_with({"--nms", "--batch", "2"}).code, 2);
}

}  // namespace
}  // namespace marrow::apps
