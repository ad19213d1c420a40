#include "reliability/sweep.h"

#include <fmt/format.h>

#include <algorithm>

namespace marrow::testing {
namespace {

std::optional<std::string> content_of(const fs::path& file) {
  return fs::exists(file) ? std::optional(read_text(file)) : std::nullopt;
}

std::string reason_of(const std::string& error) {
  if (error == "ENOSPC") return "No space left on device";
  if (error == "EMFILE") return "Too many open files";
  return error == "EIO" ? "Input/output error" : "interrupted";
}

int failed_parts() {
  const ::testing::TestResult& result = *::testing::UnitTest::GetInstance()->current_test_info()->result();
  int failed = 0;
  for (int i = 0; i < result.total_part_count(); ++i) failed += result.GetTestPartResult(i).failed();
  return failed;
}

}  // namespace

Sweep::Sweep() : before_(folder_ / "before"), work_(folder_ / "work"), commands_(tried_commands(work_)) {
  prepare_commands(work_);
  fs::copy(work_, before_, fs::copy_options::recursive);
}

void Sweep::reset() {
  fs::remove_all(work_);
  fs::copy(before_, work_, fs::copy_options::recursive);
}

Sweep::Contents Sweep::contents() const {
  Contents contents;
  for (const ResultFile& result : command_->results) contents[result.path] = content_of(work_ / result.path);
  return contents;
}

void Sweep::take(const TriedCommand& command) {
  command_ = &command;
  reset();
  old_ = contents();
  const ProgramResult result = run_with_fault("", command.words, work_).program;
  ASSERT_EQ(result.code, 0) << result.err;
  new_ = contents();
  seconds_ = result.seconds;
  counts_.clear();
  for (const ResultFile& file : command.results) EXPECT_EQ(fault_of(work_ / file.path), "") << file.path;
}

std::string Sweep::plan(const Fault& fault, int nth) const {
  return fmt::format("{}:{}{}:{}:{}", fault.call, nth, fault.stays && nth > 0 ? "+" : "", fault.what,
                     fault.place != nullptr ? fault.place : work_.string());
}

int Sweep::count_calls(const Fault& fault) {
  const auto [known, is_new] =
      counts_.try_emplace(plan({.call = fault.call, .what = "", .place = fault.place}, 0));
  if (!is_new) return known->second;
  reset();
  const FaultyResult result = run_with_fault(known->first, command_->words, work_);
  EXPECT_EQ(result.program.code, 0) << result.program.err;
  return known->second = static_cast<int>(result.calls.size());
}

void Sweep::judge_results(const std::string& what, bool ended_well) const {
  const Contents now = contents();
  for (const ResultFile& file : command_->results) {
    const auto& content = now.at(file.path);
    if (content == old_.at(file.path) || content == new_.at(file.path)) continue;
    const bool may_differ = content && (file.has_stages || file.has_times || ended_well);
    EXPECT_TRUE(may_differ) << what << ": " << file.path << " is neither the old file nor the new one";
    EXPECT_EQ(may_differ ? fault_of(work_ / file.path) : "", "") << what << ": " << file.path;
  }
}

bool Sweep::has_all_results() const {
  const Contents now = contents();
  return std::ranges::all_of(command_->results, [&](const ResultFile& file) {
    return file.has_times || now.at(file.path) == new_.at(file.path);
  });
}

bool Sweep::has_each_result() const {
  return std::ranges::all_of(command_->results,
                             [&](const ResultFile& file) { return fs::exists(work_ / file.path); });
}

void Sweep::judge_end(const Fault& fault, const FaultyResult& result, const std::string& what,
                      Tally& tally) const {
  const int code = result.program.code;
  const std::string said = result.program.out + result.program.err;
  // A file that is being made has no name yet, and its message is known by the reason.
  std::string wanted = "memory";
  if (fault.of_a_file) wanted = result.calls.empty() ? "" : result.calls.back().file();
  if (wanted.empty()) wanted = reason_of(fault.what);
  const bool names_it = said.find(wanted) != std::string::npos;
  if (code == 0) {
    const bool whole = has_all_results();
    ++(whole ? tally.whole : tally.without);
    EXPECT_TRUE(whole || names_it) << what << ": something is missing, and not a word of it: " << said;
    return;
  }
  ++tally.said;
  EXPECT_TRUE(code == 1 || code == 2) << what << ": it ended with " << code << ". " << said;
  EXPECT_TRUE(names_it) << what << ": '" << wanted << "' is not said: " << said;
}

std::vector<std::string> Sweep::again() const {
  return command_->again ? command_->again() : command_->words;
}

void Sweep::judge_again(const std::string& what, const ProgramResult& result) const {
  EXPECT_EQ(result.code, 0) << what << ": it cannot be done again: " << result.err;
  const Contents now = contents();
  for (const ResultFile& file : command_->results) {
    EXPECT_EQ(file.has_times ? fault_of(work_ / file.path) : "", "") << what << ", done again: " << file.path;
    EXPECT_TRUE(file.has_times || now.at(file.path) == new_.at(file.path))
        << what << ", done again: " << file.path << " is another file";
  }
}

void Sweep::judge_rest(const std::string& what, int code) {
  judge_results(what, code == 0);
  for (const auto& entry : fs::recursive_directory_iterator(work_))
    EXPECT_FALSE(code >= 0 && entry.path().filename().string().starts_with('.'))
        << what << " leaves " << entry.path();
  judge_again(what, run_with_fault("", again(), work_).program);
}

void Sweep::kill_at(double share, Tally& tally) {
  reset();
  const bool killed = run_killed(command_->words, share);
  const int failures = failed_parts();
  ++tally.tried;
  ++(killed ? tally.killed : tally.whole);
  judge_rest(fmt::format("{}, killed after {:.3f} of its time", command_->name, share),
             killed ? -SIGKILL : 0);
  tally.wrong += failed_parts() > failures;
}

bool Sweep::kill_on_the_way(double share, Tally& tally) {
  const bool killed = run_killed(again(), share);
  const std::string what = fmt::format("{}, killed {} times", command_->name, tally.killed);
  const int failures = failed_parts();
  ++tally.tried;
  ++(killed ? tally.killed : tally.whole);
  if (killed)
    judge_results(what, false);
  else
    judge_again(what, {.code = 0});
  tally.wrong += failed_parts() > failures;
  return killed;
}

bool Sweep::run_killed(const std::vector<std::string>& words, double share) const {
  const ProgramResult result = run_with_fault("", words, work_, share * seconds_).program;
  EXPECT_TRUE(result.code == 0 || result.code == -SIGKILL) << result.code << ": " << result.err;
  return result.code == -SIGKILL;
}

void Sweep::strike(const Fault& fault, int nth, Tally& tally) {
  reset();
  const FaultyResult result = run_with_fault(plan(fault, nth), command_->words, work_);
  ++tally.tried;
  std::string shown = fmt::format("{}, {} at {} {}", command_->name, fault.what, fault.call, nth);
  if (!result.calls.empty())
    shown += fmt::format(": {} {}", result.calls.back().name, result.calls.back().path);
  const int code = result.program.code;
  // A training says itself that a signal ended it.
  const bool killed = fault.signal != 0 && (code == -fault.signal || code == 128 + fault.signal);
  const int failures = failed_parts();
  if (killed)
    ++tally.killed;
  else
    judge_end(fault, result, shown, tally);
  // What came to its end on other data, and said so, has nothing to go on with.
  const bool has_ended = code == 0 || (command_->leaves_out && code == 1 && has_each_result());
  if (command_->again && has_ended && !has_all_results())
    judge_results(shown, true);
  else
    judge_rest(shown, code);
  tally.wrong += failed_parts() > failures;
}

std::string to_string(const Tally& tally) {
  return fmt::format("{} {} {} {} {} {}", tally.tried, tally.whole, tally.without, tally.said, tally.killed,
                     tally.wrong);
}

std::vector<int> places(int count, int most) {
  std::vector<int> chosen;
  const int number = std::min(count, most);
  for (int i = 0; i < number; ++i)
    chosen.push_back(number == 1 ? (count + 1) / 2
                                 : 1 + static_cast<int>(int64_t{count - 1} * i / (number - 1)));
  return chosen;
}

}  // namespace marrow::testing
