// `marrow import` as a process.
#include <gtest/gtest.h>

#include "apps/program.h"
#include "marrow/weights/safetensors.h"

namespace marrow::apps {
namespace {

namespace fs = std::filesystem;
using testing::ProgramResult;
using testing::run_program;

class ImportCommand : public ::testing::Test {
 protected:
  ProgramResult import(std::vector<std::string> arguments,
                       const testing::ProgramOptions& options = {}) const {
    arguments.insert(arguments.begin(), "import");
    testing::ProgramOptions here = options;
    here.folder = folder_.path();
    return run_program(arguments, here);
  }
  // A bare state dict of yolov8n with two classes; `spoil` removes tensors.
  void write_state(const std::vector<std::string>& without = {}) const {
    const model::Model model = model::make_model("yolov8n", {}, {.classes = 2});
    Weights weights = initialize(model.graph, 0);
    for (const std::string& name : without) weights.erase(name);
    weights::write_safetensors(folder_ / "state.safetensors", weights, {});
  }
  const testing::TemporaryFolder folder_;
};

TEST_F(ImportCommand, ReportsAndWritesAWorkingCheckpoint) {
  write_state();
  const ProgramResult result = import({"state.safetensors", "-o", "out.safetensors"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "state.safetensors: safetensors, holding yolov8n");
  EXPECT_SAYS(result.out, "module                    loaded   shape differs  missing  unused");
  EXPECT_SAYS(result.out, "written: out.safetensors");
  const auto metadata = weights::read_safetensors(folder_ / "out.safetensors").metadata;
  for (const char* key : {"marrow", "model", "names", "stride"}) EXPECT_TRUE(metadata.contains(key)) << key;
  EXPECT_EQ(run_program({"info", folder_ / "out.safetensors"}).code, 0);
  // Its own output is a file to import like any other.
  const ProgramResult again = import({"out.safetensors", "-o", "again.safetensors"});
  EXPECT_SAYS(again.out, "holding a Marrow checkpoint");
  EXPECT_EQ(testing::read_text(folder_ / "out.safetensors"),
            testing::read_text(folder_ / "again.safetensors"));
}

TEST_F(ImportCommand, NeverWritesOverTheFileItReads) {
  write_state();
  const std::string before = testing::read_text(folder_ / "state.safetensors");
  const ProgramResult result = import({"state.safetensors", "-o", "./state.safetensors"});
  EXPECT_EQ(result.code, 2);
  EXPECT_SAYS(result.err, "this is the file that is read");
  EXPECT_EQ(testing::read_text(folder_ / "state.safetensors"), before);
  EXPECT_EQ(import({"state.safetensors", "-o", "out.txt"}).code, 2);
}

TEST_F(ImportCommand, AMarrowCheckpointIsWhatItSays) {
  testing::write_detector(folder_ / "own.safetensors");
  for (const char* option : {"--model", "--source"}) {
    const ProgramResult result = import({"own.safetensors", option, "starnet_s1"});
    EXPECT_EQ(result.code, 2);
    EXPECT_SAYS(result.err, "own.safetensors: a Marrow checkpoint, which says itself what it holds");
  }
}

TEST_F(ImportCommand, SaysThatAFreshHeadMeansNothing) {
  write_state({"model.22.cv2.0.2.bias"});
  const ProgramResult result = import({"state.safetensors", "--model", "yolov8n"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.err, "fresh and random, not from the file: 1 tensor. ");
}

TEST_F(ImportCommand, OnlyReportsWithoutAnOutput) {
  write_state();
  EXPECT_EQ(import({"state.safetensors"}).code, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

// A tensor of the backbone lacks: by default too little; a share decides otherwise.
TEST_F(ImportCommand, WantsTheWholeBackboneUnlessTold) {
  write_state({"model.2.cv1.conv.weight"});
  testing::write_text(folder_ / "out.safetensors", "precious");
  const ProgramResult strict = import({"state.safetensors", "--model", "yolov8n", "-o", "out.safetensors"});
  EXPECT_EQ(strict.code, 1);
  EXPECT_SAYS(strict.out, "model.2.cv1.conv.weight");
  EXPECT_SAYS(strict.err,
              "the whole backbone is wanted. --min-loaded SHARE accepts less; nothing was written");
  EXPECT_EQ(testing::read_text(folder_ / "out.safetensors"), "precious");

  const ProgramResult lax =
      import({"state.safetensors", "--model", "yolov8n", "-o", "out.safetensors", "--min-loaded", "0.9"});
  EXPECT_EQ(lax.code, 0) << lax.err;
  EXPECT_NE(testing::read_text(folder_ / "out.safetensors"), "precious");
  const ProgramResult all = import({"state.safetensors", "--model", "yolov8n", "--min-loaded", "1"});
  EXPECT_EQ(all.code, 1);
  EXPECT_SAYS(all.err, "--min-loaded is 1");
}

// Of the head nothing is wanted by default.
TEST_F(ImportCommand, TakesABackboneWithoutItsHead) {
  write_state({"model.22.cv3.0.2.weight"});
  EXPECT_EQ(import({"state.safetensors", "--model", "yolov8n", "-o", "out.safetensors"}).code, 0);
}

TEST_F(ImportCommand, KeepsTheOldFileWhenWritingFails) {
  write_state();
  testing::write_text(folder_ / "out.safetensors", "precious");
  const ProgramResult full =
      import({"state.safetensors", "-o", "out.safetensors"}, {.file_bytes_limit = 100'000});
  EXPECT_EQ(full.code, 1);
  EXPECT_SAYS(full.err, "out.safetensors: cannot write: File too large");
  EXPECT_EQ(testing::read_text(folder_ / "out.safetensors"), "precious");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2);
  const ProgramResult nowhere = import({"state.safetensors", "-o", "no/such/folder/out.safetensors"});
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_SAYS(nowhere.err, "no/such/folder/out.safetensors: cannot write: No such file or directory");
}

TEST_F(ImportCommand, SaysWhatIsWrong) {
  EXPECT_EQ(import({"missing.pt"}).code, 1);
  testing::write_text(folder_ / "junk.pt", "junk");
  EXPECT_SAYS(import({"junk.pt"}).err, "junk.pt: not a checkpoint that Marrow knows");
  write_state();
  EXPECT_SAYS(import({"state.safetensors", "--model", "yolov8nn"}).err, "Did you mean 'yolov8n'?");
  const ProgramResult other = import({"state.safetensors", "--model", "starnet_s1"});
  EXPECT_EQ(other.code, 1);
  EXPECT_SAYS(other.err, "not named like a published 'starnet_s1'");
}

}  // namespace
}  // namespace marrow::apps
