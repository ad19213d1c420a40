// Part of every program of tests but those that connect to this machine's own address; these forbid the
// network to the programs that they start (apps/program.h).
#include "support/no_network.h"

#include <cstdio>

namespace {

const bool forbidden = [] {
  const bool is = marrow::testing::forbid_network();
  if (!is) std::perror("this system lets nobody forbid the network to the tests");
  return is;
}();

}  // namespace
