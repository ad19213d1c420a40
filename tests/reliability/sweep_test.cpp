// Every call that touches a file fails once, or from then on, and allocations do: what is written is whole or
// as it was, the program says what failed, and the same command then does its work.
#include "reliability/sweep.h"

#include <gtest/gtest.h>

#include <cctype>

namespace marrow::testing {
namespace {

constexpr Fault kFaults[] = {
    {.call = "any", .what = "EIO", .shown = "a call fails (EIO)"},
    {.call = "write", .what = "ENOSPC", .stays = true, .shown = "the disk is full from there on (ENOSPC)"},
    {.call = "open", .what = "EMFILE", .shown = "no descriptor is left (EMFILE)"},
    {.call = "read", .what = "short", .shown = "a short read"},
    {.call = "write", .what = "short", .shown = "a short write"},
    {.call = "read", .what = "EINTR", .shown = "a read is interrupted (EINTR)"},
    {.call = "write", .what = "EINTR", .shown = "a write is interrupted (EINTR)"},
    {.call = "memory",
     .what = "ENOMEM",
     .shown = "an allocation of 16 kB or more fails",
     .place = "16384",
     .of_a_file = false},
    {.call = "any", .what = "KILL", .shown = "killed at a call", .signal = SIGKILL},
    {.call = "any", .what = "TERM", .shown = "SIGTERM at a call", .signal = SIGTERM},
    {.call = "any", .what = "INT", .shown = "SIGINT at a call", .signal = SIGINT},
    {.call = "any", .what = "HUP", .shown = "SIGHUP at a call", .signal = SIGHUP},
};

class FaultSweep : public ::testing::TestWithParam<std::string> {};

TEST_P(FaultSweep, LosesNothing) {
  Sweep sweep;
  const TriedCommand& command = tried_command(sweep.commands(), GetParam());
  ASSERT_NO_FATAL_FAILURE(sweep.take(command));
  // Without a number wanted each command meets every fourth fault, others than the next command, at one call.
  const int most = std::max(wanted_faults(), 1);
  const size_t step = wanted_faults() > 0 ? 1 : 4;
  const size_t first = static_cast<size_t>(&command - sweep.commands().data()) % step;
  for (size_t i = first; i < std::size(kFaults); i += step) {
    Tally tally;
    for (const int nth : places(sweep.count_calls(kFaults[i]), most)) sweep.strike(kFaults[i], nth, tally);
    RecordProperty(kFaults[i].shown, to_string(tally));
  }
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const TriedCommand& command : tried_commands("")) names.push_back(command.name);
  return names;
}

// A command's name as one word.
std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name;
  for (const char c : info.param)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Commands, FaultSweep, ::testing::ValuesIn(command_names()), test_name);

}  // namespace
}  // namespace marrow::testing
