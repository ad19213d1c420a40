// Two processes at one thing: a run folder, a label cache, a tuner's cache, a file.
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "marrow/base/file_lock.h"
#include "reliability/sweep.h"
#include "support/environment.h"

namespace marrow::testing {
namespace {

using Words = std::vector<std::string>;

int turns() {
  return wanted_faults() > 0 ? 50 : 1;
}

std::array<ProgramResult, 2> at_once(const Sweep& sweep, const Words& one, const Words& other) {
  const Environment cache("XDG_CACHE_HOME", (sweep.folder() / "cache").c_str());
  std::array<ProgramResult, 2> results;
  std::thread first([&] { results[0] = run_program(one, {.folder = sweep.folder(), .seconds = kPatience}); });
  results[1] = run_program(other, {.folder = sweep.folder(), .seconds = kPatience});
  first.join();
  return results;
}

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(TwoProcesses, MakeOneFile) {
  Sweep sweep;
  for (const char* name : {"import", "deploy", "export to ONNX", "export to torch", "benchmark", "predict"}) {
    const TriedCommand& command = tried_command(sweep.commands(), name);
    ASSERT_NO_FATAL_FAILURE(sweep.take(command));
    for (int turn = 0; turn < turns(); ++turn) {
      sweep.reset();
      for (const ProgramResult& result : at_once(sweep, command.words, command.words))
        sweep.judge_again(name, result);
    }
  }
}

TEST(TwoProcesses, MakeOneLabelCache) {
  Sweep sweep;
  const TriedCommand& command = tried_command(sweep.commands(), "val");
  ASSERT_NO_FATAL_FAILURE(sweep.take(command));
  for (int turn = 0; turn < turns(); ++turn) {
    sweep.reset();
    for (const ProgramResult& result : at_once(sweep, command.words, command.words))
      sweep.judge_again("val", result);
  }
}

TEST(TwoProcesses, TrainUnderOneNameInTwoFolders) {
  Sweep sweep;
  const TriedCommand& command = tried_command(sweep.commands(), "train");
  ASSERT_NO_FATAL_FAILURE(sweep.take(command));
  for (int turn = 0; turn < turns(); ++turn) {
    sweep.reset();
    const Words words = with(command.words, {"--no-exist-ok"});
    for (const ProgramResult& result : at_once(sweep, words, words)) EXPECT_EQ(result.code, 0) << result.err;
    for (const char* run : {"run", "run2"})
      EXPECT_EQ(fault_of(sweep.folder() / "runs" / run / "weights/best.safetensors"), "") << run;
  }
}

TEST(TwoProcesses, NeverTrainInAFolderThatAnotherHas) {
  Sweep sweep;
  const TriedCommand& command = tried_command(sweep.commands(), "train");
  ASSERT_NO_FATAL_FAILURE(sweep.take(command));
  const fs::path run = sweep.folder() / "runs/run";
  const auto expect_refused = [&](const Words& words) {
    const FileLock held(run, "trains here");
    const ProgramResult result = run_program(words, {.folder = sweep.folder()});
    EXPECT_NE(result.code, 0);
    EXPECT_SAYS(result.err, "runs/run: another process trains here");
  };
  sweep.reset();
  fs::create_directories(run);
  expect_refused(command.words);
  EXPECT_EQ(run_program(command.words, {.folder = sweep.folder()}).code, 0);
  expect_refused({"train", "--resume", run.string(), "--epochs", "3"});
}

TEST(TwoProcesses, NeverTrainInOneFolder) {
  Sweep sweep;
  const TriedCommand& command = tried_command(sweep.commands(), "train");
  ASSERT_NO_FATAL_FAILURE(sweep.take(command));
  const Words go_on = {"train", "--resume", (sweep.folder() / "runs/run").string(), "--epochs", "3"};
  for (int turn = 0; turn < turns(); ++turn) {
    sweep.reset();
    int trained = 0;
    for (const ProgramResult& result : at_once(sweep, command.words, command.words)) {
      trained += result.code == 0;
      EXPECT_SAYS(result.err, result.code == 0 ? "" : "runs/run: another process trains here");
    }
    EXPECT_GE(trained, 1);
    sweep.judge_again("train", {.code = 0});
    trained = 0;
    for (const ProgramResult& result : at_once(sweep, go_on, go_on)) trained += result.code == 0;
    EXPECT_GE(trained, 1);
    EXPECT_EQ(fault_of(sweep.folder() / "runs/run/weights/best.safetensors"), "");
  }
}

}  // namespace
}  // namespace marrow::testing
