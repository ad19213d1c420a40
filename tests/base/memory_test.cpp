#include "marrow/base/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdint>
#include <vector>

namespace marrow {
namespace {

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

int64_t pages_touched_first_by(void (*work)()) {
  rusage before, after;
  getrusage(RUSAGE_THREAD, &before);
  work();
  getrusage(RUSAGE_THREAD, &after);
  return after.ru_minflt - before.ru_minflt;
}

void twenty_masks() {
  std::vector<std::vector<uint8_t>> masks;
  for (int i = 0; i < 20; ++i) masks.emplace_back(640 * 640, 1);
}

TEST(Memory, WhatWasFreedIsNotClearedAgain) {
  keep_freed_memory();
  twenty_masks();
  EXPECT_LT(pages_touched_first_by(twenty_masks), 200);  // of 2000
}

#endif

}  // namespace
}  // namespace marrow
