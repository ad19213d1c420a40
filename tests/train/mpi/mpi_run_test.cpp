// marrow train --nproc, with the real mpirun: what it leaves behind, and how it ends when a worker is killed,
// stands still, or has a full disk.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "marrow/base/stopwatch.h"
#include "marrow/model/import.h"
#include "marrow/train/recipe/progress.h"
#include "marrow/train/recipe/results_csv.h"
#include "support/expect_near.h"
#include "train/runs/program_run.h"

namespace marrow::train {
namespace {

using testing::TrainProgram;
namespace fs = std::filesystem;

class MpiRun : public testing::ProgramRun {
 protected:
  void SetUp() override {
#ifndef MARROW_HAS_MPI
    GTEST_SKIP() << "marrow-train-mpi is not built: MPI is not installed (libopenmpi-dev, openmpi-bin)";
#endif
  }

  Arguments arguments(const std::string& name, int workers, const Arguments& more = {}) const {
    TrainOptions options = tiny_.options(name);
    options.sync_bn = true;
    options.nproc = workers;
    return begin(options, name, more);
  }

  static std::vector<pid_t> children(pid_t parent) {
    std::ifstream file(fmt::format("/proc/{0}/task/{0}/children", parent));
    return {std::istream_iterator<pid_t>(file), {}};
  }

  // The process of a worker of this run, whose mpirun started it; 0: not yet.
  static pid_t worker(const TrainProgram& program, int rank) {
    const std::string wanted = fmt::format("OMPI_COMM_WORLD_RANK={}", rank);
    for (const pid_t mpirun : children(program.process()))
      for (const pid_t child : children(mpirun)) {
        std::ifstream environment(fmt::format("/proc/{}/environ", child));
        for (std::string entry; std::getline(environment, entry, '\0');)
          if (entry == wanted) return child;
      }
    return 0;
  }

  // Waits for the checkpoint after an epoch, which `--save-period 1` leaves.
  void await_epoch(TrainProgram& program, const std::string& name, int epoch) {
    const Stopwatch clock;
    while (!fs::exists(tiny_.weights(name, fmt::format("epoch{}", epoch)))) {
      ASSERT_FALSE(program.ended()) << program.said();
      ASSERT_LT(clock.seconds(), 60) << program.said();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  void expect_near(const std::string& a, const std::string& b) const {
    const auto weights = [&](const std::string& name) {
      return model::load_trained(tiny_.weights(name, "last")).weights;
    };
    testing::expect_near(weights(b), weights(a), 1e-4);
  }

  // What a run that lasts long enough to be disturbed is given.
  static Arguments long_run() {
    return {"--epochs", "200", "--save-period", "1", "--val-every", "200"};
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// "Instances" of the row of the first epoch.
std::string instances(const std::string& said) {
  std::istringstream row(said.substr(std::min(said.find(" 1/"), said.size())));
  std::string word;
  for (int i = 0; i < 6; ++i) row >> word;  // epoch, memory, three losses
  return word;
}

int headings(const std::string& said) {
  int count = 0;
  const std::string wanted = "Instances       Size";
  for (size_t at = said.find(wanted); at != std::string::npos; at = said.find(wanted, at + 1)) ++count;
  return count;
}

TEST_F(MpiRun, TwoAndThreeProcessesTrainAsOne) {
  TrainProgram one(arguments("one", 1), log("one"));
  ASSERT_EQ(one.wait(), 0) << one.said();
  for (const int workers : {2, 3}) {
    const std::string name = "of" + std::to_string(workers);
    TrainProgram several(arguments(name, workers), log(name));
    ASSERT_EQ(several.wait(), 0) << several.said();
    expect_near("one", name);
    // One talks.
    const std::string said = several.said();
    EXPECT_EQ(said.find("results are in"), said.rfind("results are in")) << said;
    EXPECT_TRUE(contains(said, fmt::format("{} workers", workers))) << said;
    EXPECT_EQ(instances(said), instances(one.said())) << said;
  }
}

// At a terminal; one worker of them draws.
TEST_F(MpiRun, ProgressIsOfTheWhole) {
  setenv(kProgressVariable, "1", 1);
  TrainProgram program(arguments("shown", 2), log("shown"));
  unsetenv(kProgressVariable);
  ASSERT_EQ(program.wait(), 0) << program.said();
  const std::string said = program.said();
  EXPECT_TRUE(contains(said, "\r")) << said;
  EXPECT_EQ(headings(said), 4) << said;  // one an epoch
}

TEST_F(MpiRun, AKilledWorkerIsNamedAndTheRunGoesOn) {
  TrainProgram one(arguments("one", 1), log("one"));
  ASSERT_EQ(one.wait(), 0) << one.said();
  TrainProgram program(arguments("killed", 2, {"--save-period", "1", "--dist-timeout", "20"}), log("killed"));
  await_epoch(program, "killed", 0);
  const pid_t victim = worker(program, 1);
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  EXPECT_NE(program.wait(), 0);
  EXPECT_TRUE(contains(program.said(), "rank 1 of 2 (host ")) << program.said();
  EXPECT_TRUE(
      contains(program.said(),
               fmt::format("is gone: its process was killed or crashed; 'marrow train --resume {}' goes on",
                           tiny_.run("killed").string())))
      << program.said();
  TrainProgram again(resume("killed", {"--nproc", "3"}), log("again"));
  EXPECT_EQ(again.wait(), 0) << again.said();
  expect_near("one", "killed");
}

TEST_F(MpiRun, TheFirstWorkerMayBeKilledToo) {
  TrainProgram program(arguments("killed", 2, long_run()), log("killed"));
  await_epoch(program, "killed", 0);
  kill(worker(program, 0), SIGKILL);
  EXPECT_NE(program.wait(), 0);
  EXPECT_TRUE(contains(program.said(), "rank 0 of 2 (host ")) << program.said();
  EXPECT_NO_THROW(model::load_trained(tiny_.weights("killed", "last")));
}

TEST_F(MpiRun, AWorkerThatStandsStillIsNamed) {
  Arguments more = long_run();
  more.insert(more.end(), {"--dist-timeout", "2"});
  TrainProgram program(arguments("silent", 2, more), log("silent"));
  await_epoch(program, "silent", 0);
  kill(worker(program, 1), SIGSTOP);
  const Stopwatch clock;
  EXPECT_NE(program.wait(), 0);
  EXPECT_LT(clock.seconds(), 30);
  EXPECT_TRUE(contains(program.said(), "rank 1 of 2 (host ")) << program.said();
  EXPECT_TRUE(contains(program.said(), "did not answer for 2 s (--dist-timeout)")) << program.said();
  EXPECT_NO_THROW(model::load_trained(tiny_.weights("silent", "last")));
}

// A limit on the size of files, as kill_test.cpp has it, would end mpirun and MPI itself.
TEST_F(MpiRun, AFileThatTheFirstCannotWriteEndsAllWithItsReason) {
  fs::create_directories(tiny_.weights("full", "last") / "in the way");
  TrainProgram program(arguments("full", 2), log("full"));
  EXPECT_NE(program.wait(), 0);
  const std::string said = program.said();
  EXPECT_TRUE(contains(said, "last.safetensors")) << said;
  const size_t other = said.find("rank 1 of 2");
  ASSERT_NE(other, std::string::npos) << said;
  EXPECT_TRUE(contains(said.substr(other), "rank 0 of 2")) << said;
}

// As srun asks all of them to end.
TEST_F(MpiRun, ASignalToAnyEndsAllWithACheckpoint) {
  TrainProgram program(arguments("stopped", 2, long_run()), log("stopped"));
  await_epoch(program, "stopped", 0);
  kill(worker(program, 1), SIGTERM);
  EXPECT_NE(program.wait(), 0);
  EXPECT_TRUE(contains(program.said(), "goes on")) << program.said();
  TrainProgram again(resume("stopped"), log("again"));
  EXPECT_EQ(again.wait(), 0) << again.said();
}

// Ctrl-C reaches the program alone, which passes it on at once; mpirun then takes ten seconds to end.
TEST_F(MpiRun, ASignalToTheProgramStopsAllAtOnceWithACheckpoint) {
  TrainProgram program(arguments("signal", 2, long_run()), log("signal"));
  await_epoch(program, "signal", 0);
  program.send(SIGINT);
  const Stopwatch clock;
  while (!contains(program.said(), "goes on")) {
    ASSERT_LT(clock.seconds(), 4) << program.said();  // mpirun by itself waits five seconds
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(program.wait(), 0);
  EXPECT_FALSE(contains(program.said(), "mpirun")) << program.said();
  EXPECT_NO_THROW(model::load_trained(tiny_.weights("signal", "last")));
}

TEST_F(MpiRun, AKilledProgramLeavesNoWorkers) {
  TrainProgram program(arguments("orphans", 2, long_run()), log("orphans"));
  await_epoch(program, "orphans", 0);
  const pid_t worker_of_it = worker(program, 1);
  ASSERT_GT(worker_of_it, 0);
  program.kill(SIGKILL);
  const Stopwatch clock;
  while (::kill(worker_of_it, 0) == 0) {
    ASSERT_LT(clock.seconds(), 20);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST_F(MpiRun, WhatIsWrongFromTheStartIsSaidOnce) {
  const auto expect = [&](const Arguments& words, int code, const std::string& said) {
    TrainProgram program(words, log("wrong"));
    EXPECT_EQ(program.wait(), code);
    EXPECT_EQ(program.said(), "marrow: " + said + "\n");
  };
  expect({"--nproc", "2", "--data", "nowhere.yaml"}, 1,
         "nowhere.yaml: no such dataset (a data.yaml, a COCO json or a folder)");
  expect(
      {"--nproc", "2"}, 2,
      "--data is missing: the dataset's YAML. 'marrow data synth shapes' draws one to try things out with");
  const std::string folder = tiny_.folder.path().string();
  expect({"--nproc", "2", "--resume", folder}, 2,
         folder + ": no run has begun here (there is no args.yaml); start it again");
}

TEST_F(MpiRun, SayWhichProgramOrPackageIsMissing) {
  // The program alone, and nothing in the PATH.
  fs::create_directory(tiny_.folder / "bin");
  const fs::path program = tiny_.folder / "bin" / "marrow";
  fs::copy_file(MARROW_PROGRAM, program);
  const auto said = [&](const Arguments& more) {
    Arguments words = arguments("missing", 2);
    TrainProgram alone(words, log("missing"), {}, more);
    EXPECT_EQ(alone.wait(), 1);
    return alone.said();
  };
  const std::string without = said({"/usr/bin/env", "PATH=/nowhere", program.string(), "train"});
  EXPECT_TRUE(contains(without, "marrow-train-mpi")) << without;
  const std::string no_starter = said({"/usr/bin/env", "PATH=/nowhere", MARROW_PROGRAM, "train"});
  EXPECT_TRUE(contains(no_starter, "openmpi-bin")) << no_starter;
}

TEST(MpiPrograms, MarrowItselfLoadsNoMpi) {
  const std::string program = read_file(MARROW_PROGRAM, 1U << 30);
  EXPECT_FALSE(contains(program, "libmpi.so"));
}

}  // namespace
}  // namespace marrow::train
