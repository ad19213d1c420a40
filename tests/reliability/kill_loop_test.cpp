// kill -9 at any moment, again and again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "reliability/sweep.h"

namespace marrow::testing {
namespace {

// Writes are atomic: what a killed command leaves is what was there or what was to be, and it can be done
// again.
TEST(KillLoop, OfCommandsLeavesNoHalfFile) {
  const std::vector<std::string> names = {"import",         "deploy",          "quantize",
                                          "export to ONNX", "export to torch", "val",
                                          "data convert",   "data shard",      "benchmark"};
  const int kills_each = wanted_faults() > 0 ? 112 : 1;  // a thousand together
  std::mt19937 random(1);
  Sweep sweep;
  for (const std::string& name : names) {
    ASSERT_NO_FATAL_FAILURE(sweep.take(tried_command(sweep.commands(), name)));
    Tally tally;
    while (tally.killed < kills_each && !HasFailure()) sweep.kill_at(random() / 4294967296.0, tally);
    RecordProperty(name, to_string(tally));
  }
}

// The run is gone on with after each kill, until it ends: its files are those of a run that nobody killed.
TEST(KillLoop, OfTrainingEndsWithTheSameBytes) {
  const int kills = wanted_faults() > 0 ? 100 : 3;
  std::mt19937 random(2);
  Sweep sweep;
  ASSERT_NO_FATAL_FAILURE(sweep.take(tried_command(sweep.commands(), "train")));
  constexpr double kNever = 0;
  Tally tally;
  while (tally.killed < kills && !HasFailure()) {
    sweep.reset();
    while (sweep.kill_on_the_way(tally.killed < kills ? random() / 4294967296.0 : kNever, tally)) {
    }
  }
  RecordProperty("train", to_string(tally));
}

}  // namespace
}  // namespace marrow::testing
