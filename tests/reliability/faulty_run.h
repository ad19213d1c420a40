// The program with a fault in it: inject/plan.h says which there are.
#pragma once

#include <string>
#include <vector>

#include "apps/program.h"

namespace marrow::testing {

// A call that the plan was about.
struct NotedCall {
  std::string name;
  std::string path;

  // As a user knows the file: without what a temporary name adds; empty where it has no name yet.
  std::string file() const;
};

// Seconds by the clock, after which a command hangs. Long, for other programs may go first.
constexpr unsigned kPatience = 900;

struct FaultyResult {
  ProgramResult program;
  std::vector<NotedCall> calls;  // the last is the one that failed, if as many were made
};

// `killed_after`: as of ProgramOptions.
FaultyResult run_with_fault(const std::string& fault, const std::vector<std::string>& arguments,
                            const fs::path& folder, double killed_after = 0);

// How many calls of a command each fault is to meet, from the variable MARROW_FAULTS: bench/reliability.py
// asks for many, and for whole loops, which take minutes. 0: a sample of all.
int wanted_faults();

}  // namespace marrow::testing
