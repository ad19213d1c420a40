// `marrow deploy`, and what the other commands make of its files.
#include <gtest/gtest.h>

#include "apps/program.h"
#include "marrow/data/tools/synth.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/spec.h"

namespace marrow::apps {
namespace {

using testing::lines_of;
using testing::ProgramResult;
using testing::run_program;

class DeployCommand : public ::testing::Test {
 protected:
  ProgramResult run(const std::vector<std::string>& arguments) const {
    testing::ProgramOptions here;
    here.folder = folder_.path();
    return run_program(arguments, here);
  }
  bool exists(const std::string& name) const { return testing::fs::exists(folder_ / name); }

  const testing::TemporaryFolder folder_;
};

TEST_F(DeployCommand, WritesACollapsedModelThatPredictsTheSame) {
  testing::write_detector(folder_ / "best.safetensors");
  const ProgramResult result = run({"deploy", "best.safetensors", "--imgsz", "64"});
  ASSERT_EQ(result.code, 0) << result.err;
  for (const char* said : {"built-in image at 64x64", "output0", "feat2", "parameters", "multiply-adds",
                           "operations", "written: best-deployed.safetensors"})
    EXPECT_SAYS(result.out, said);
  const model::TrainedModel deployed = model::load_trained(folder_ / "best-deployed.safetensors");
  EXPECT_TRUE(model::is_deployed(deployed.model));
  EXPECT_EQ(deployed.model.names, model::load_trained(folder_ / "best.safetensors").model.names);

  data::SynthOptions synth;
  synth.images = 2;
  synth.image_size = 64;
  data::write_synth_dataset(folder_ / "data", synth);
  std::vector<std::string> found;
  for (const std::vector<std::string>& form : {std::vector<std::string>{"best-deployed.safetensors"},
                                               {"best.safetensors"},
                                               {"best.safetensors", "--no-deploy"}}) {
    std::vector<std::string> arguments = {"predict", "--source", "data/images/train", "--imgsz", "64",
                                          "--conf",  "0.001",    "--no-save",         "--json",  "--model"};
    arguments.insert(arguments.end(), form.begin(), form.end());
    const ProgramResult predicted = run(arguments);
    ASSERT_EQ(predicted.code, 0) << predicted.err;
    std::string seen;
    for (const std::string& line : lines_of(predicted.out)) {
      const auto picture = nlohmann::json::parse(line);
      for (const auto& detection : picture.at("detections"))
        seen += detection.at("name").get<std::string>() + " ";
    }
    found.push_back(seen);
  }
  EXPECT_FALSE(found[0].empty());
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], found[0]);

  const ProgramResult info = run({"info", "best-deployed.safetensors", "--json"});
  ASSERT_EQ(info.code, 0) << info.err;
  EXPECT_EQ(nlohmann::json::parse(info.out).at("deployed"), true);
  const ProgramResult wanted = run({"info", "best.safetensors", "--deploy", "--json"});
  ASSERT_EQ(wanted.code, 0) << wanted.err;
  for (const char* key : {"parameters", "macs", "operation_count"})
    EXPECT_EQ(nlohmann::json::parse(info.out).at(key), nlohmann::json::parse(wanted.out).at(key)) << key;
}

TEST_F(DeployCommand, MeasuresBothFormsWhereThereIsData) {
  data::SynthOptions synth;
  synth.images = 6;
  synth.val_share = 0.5;
  synth.image_size = 64;
  synth.classes = {"disc", "square", "star"};
  data::write_synth_dataset(folder_ / "data", synth);
  testing::write_detector(folder_ / "best.safetensors");
  for (const char* format : {"coco", "voc"})
    ASSERT_EQ(run({"data", "convert", "data", format, "--to", format}).code, 0) << format;
  for (const std::string data : {"data", "coco", "voc"}) {
    const ProgramResult result = run({"deploy", "best.safetensors", "--data", data, "--imgsz", "64",
                                      "--images", "2", "-o", data + ".safetensors"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_SAYS(result.out, "2 images of " + data);
    EXPECT_SAYS(result.out, "mAP50-95");
    EXPECT_SAYS(result.out, "mAP by Ultralytics' definition (rules of 8.4)");
    EXPECT_TRUE(exists(data + ".safetensors"));
  }
}

TEST_F(DeployCommand, WritesNothingAboveTheTolerance) {
  testing::write_classifier(folder_ / "best.safetensors");
  const ProgramResult result = run({"deploy", "best.safetensors", "--tolerance", "0"});
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "--tolerance is 0");
  EXPECT_SAYS(result.err, "nothing was written");
  EXPECT_FALSE(exists("best-deployed.safetensors"));
}

TEST_F(DeployCommand, SaysThatADeployedModelIsDeployed) {
  testing::write_detector(folder_ / "best.safetensors");
  ASSERT_EQ(run({"deploy", "best.safetensors", "--imgsz", "64", "-o", "a.safetensors"}).code, 0);
  const ProgramResult again = run({"deploy", "a.safetensors", "-o", "b.safetensors"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_SAYS(again.err, "deployed already");
  EXPECT_FALSE(exists("b.safetensors"));
}

TEST_F(DeployCommand, RefusesASlopeBelowOne) {
  const model::Model model = model::build_model(model::parse_model_spec(
      "classifier: vanillanet\nsettings: {dims: [16, 32, 64, 128], strides: [2, 2, 2]}\nnc: 5\n",
      "tiny.yaml"));
  for (const float slope : {0.5f, 1.f}) {
    Weights weights = randomize(model.graph, 3);
    weights["act_learn"] = Tensor::scalar(slope);
    model::save_checkpoint(folder_ / "best.safetensors", model, weights);
    const ProgramResult result = run({"deploy", "best.safetensors"});
    EXPECT_EQ(result.code, slope == 1 ? 0 : 1) << result.err;
    EXPECT_EQ(exists("best-deployed.safetensors"), slope == 1);
    if (slope != 1) {
      EXPECT_SAYS(result.err, "'act_learn' is 0.5");
      EXPECT_SAYS(result.err, "the identity at slope 1 only");
    }
  }
}

TEST_F(DeployCommand, RefusesToOverwriteWhatItReads) {
  testing::write_classifier(folder_ / "best.safetensors");
  const ProgramResult same = run({"deploy", "best.safetensors", "-o", "./best.safetensors"});
  EXPECT_EQ(same.code, 2);
  EXPECT_SAYS(same.err, "the file that is read");
  EXPECT_EQ(run({"deploy", "best.safetensors", "-o", "small.pt"}).code, 2);
  const ProgramResult skip = run({"deploy", "best.safetensors", "--skip", "fold_batchnorm"});
  EXPECT_EQ(skip.code, 2);
  EXPECT_SAYS(skip.err, "Did you mean 'fold_batch_norm'");
}

}  // namespace
}  // namespace marrow::apps
