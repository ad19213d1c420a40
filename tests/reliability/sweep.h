// Runs a command again and again, each time with a fault at another call, and judges what is left.
#pragma once

#include <map>
#include <optional>

#include "reliability/commands.h"
#include "reliability/faulty_run.h"

namespace marrow::testing {

// A fault as inject/plan.h has it, without the number of the call.
struct Fault {
  const char* call;
  const char* what;
  bool stays = false;           // from that call on
  const char* shown = "";       // in tables
  const char* place = nullptr;  // the plan's last part; the folder of the command
  bool of_a_file = true;        // the message names it
  int signal = 0;               // that comes then
};

// What became of the runs with one kind of fault.
struct Tally {
  int tried = 0;
  int whole = 0;    // ended well, with all results
  int without = 0;  // ended well without what could not be read or kept, and said so
  int said = 0;     // ended with a message
  int killed = 0;   // ended by the fault
  int wrong = 0;    // anything else: a failure of the test
};
std::string to_string(const Tally& tally);

class Sweep {
 public:
  Sweep();

  const fs::path& folder() const { return work_; }
  const std::vector<TriedCommand>& commands() const { return commands_; }
  // Takes a command up: what is there before it, what a run without a fault leaves.
  void take(const TriedCommand& command);
  // How many calls it makes that the fault may meet.
  int count_calls(const Fault& fault);
  // Runs it with the fault at that call, and judges.
  void strike(const Fault& fault, int nth, Tally& tally);
  // Runs it, kills it after that share of the time that it takes, 0 for never, and judges.
  void kill_at(double share, Tally& tally);
  // The same, without an end to what was begun before: false where it came to its own end, whose results are
  // those of a run that nobody killed.
  bool kill_on_the_way(double share, Tally& tally);
  // As it was before the command.
  void reset();
  // The command was done, the last of several times: judges what is there.
  void judge_again(const std::string& what, const ProgramResult& result) const;

 private:
  using Contents = std::map<std::string, std::optional<std::string>>;  // of results, by path
  Contents contents() const;
  bool has_all_results() const;
  bool has_each_result() const;  // whatever is in it
  // The command was ended somewhere: judges what is left, and that it can be done again.
  void judge_rest(const std::string& what, int code);
  // One that ended well may have left out what it could not read: judge_end() sees that it said so.
  void judge_results(const std::string& what, bool ended_well) const;
  void judge_end(const Fault& fault, const FaultyResult& result, const std::string& what, Tally& tally) const;
  std::string plan(const Fault& fault, int nth) const;
  std::vector<std::string> again() const;
  bool run_killed(const std::vector<std::string>& words, double share) const;

  TemporaryFolder folder_;
  fs::path before_, work_;
  std::vector<TriedCommand> commands_;
  const TriedCommand* command_ = nullptr;
  Contents old_, new_;
  std::map<std::string, int> counts_;  // of calls, by plan
  double seconds_ = 0;                 // that the command takes
};

// Those of 1..count that are tried: all, or `most` of them from the first to the last, or the one in the
// middle.
std::vector<int> places(int count, int most);

}  // namespace marrow::testing
