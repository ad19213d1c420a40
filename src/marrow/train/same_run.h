// Whether the workers that were started together are of one run.
#pragma once

#include <string>
#include <vector>

#include "marrow/distributed/communicator.h"

namespace marrow::train {

struct RunFact {
  std::string name;  // "program"
  std::string text;  // of one line or more
};

// Compares the facts, which have the same names everywhere, with the first worker's. Throws Error{kUsage} on
// all of them, naming the first worker with another one, what it has and what the first has.
void require_same_run(distributed::Communicator& communicator, const std::vector<RunFact>& facts);

// The first worker's, on all.
std::string text_of_first(distributed::Communicator& communicator, std::string text);

}  // namespace marrow::train
