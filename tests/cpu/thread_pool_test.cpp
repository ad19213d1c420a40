#include "marrow/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

namespace marrow::cpu {
namespace {

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t chunks : {0, 1, 2, 7, 64, 1000, 70000, 200001}) {
      std::vector<std::atomic<int>> counts(static_cast<size_t>(chunks));
      pool.parallel_for(chunks, [&](int64_t chunk, int thread) {
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, threads);
        ++counts[static_cast<size_t>(chunk)];
      });
      for (const auto& count : counts) ASSERT_EQ(count, 1) << threads << " threads, " << chunks << " chunks";
    }
  }
}

// Plain (not atomic) writes on both sides: a missing edge between regions shows as a wrong sum here, and as a
// race under ThreadSanitizer.
TEST(ThreadPool, ManyShortRegionsSeeEachOthersWrites) {
  for (const int threads : {2, 3, 8}) {
    ThreadPool pool(threads);
    std::vector<int64_t> even(24, 0);
    std::vector<int64_t> odd(24, 0);
    const int regions = threads > 2 ? 3000 : 20000;
    for (int region = 1; region <= regions; ++region) {
      const std::vector<int64_t>& from = region % 2 == 0 ? odd : even;
      std::vector<int64_t>& to = region % 2 == 0 ? even : odd;
      pool.parallel_for(24, [&](int64_t chunk, int) {
        to[static_cast<size_t>(chunk)] = from[static_cast<size_t>(23 - chunk)] + 1;
      });
    }
    for (const int64_t cell : even) ASSERT_EQ(cell, regions);
  }
}

TEST(ThreadPool, WakesAfterSleeping) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> sum{0};
    pool.parallel_for(8, [&](int64_t chunk, int) { sum += static_cast<int>(chunk); });
    EXPECT_EQ(sum, 28);
    std::this_thread::sleep_for(std::chrono::microseconds(50 * round));  // around the end of the spin
  }
}

TEST(ThreadPool, OverlappingChunksNeverShareAThreadIndex) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> busy(4);
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&] {
      for (int region = 0; region < 300; ++region)
        pool.parallel_for(region % 5 + 1, [&](int64_t, int thread) {
          EXPECT_EQ(busy[static_cast<size_t>(thread)].fetch_add(1), 0);
          std::this_thread::yield();
          busy[static_cast<size_t>(thread)].fetch_sub(1);
        });
    });
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPool, NestedCallsRunInline) {
  ThreadPool pool(3);
  std::atomic<int> inner{0};
  pool.parallel_for(5, [&](int64_t, int outer_thread) {
    pool.parallel_for(4, [&](int64_t, int thread) {
      EXPECT_EQ(thread, outer_thread);
      ++inner;
    });
  });
  EXPECT_EQ(inner, 20);
}

// Out of memory in a chunk, say: what the chunks refer to lives until the last of them has ended.
TEST(ThreadPool, WhatAChunkThrowsComesOutWhenAllHaveEnded) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int turn = 0; turn < 200; ++turn) {
      std::atomic<int> running = 0;
      try {
        pool.parallel_for(64, [&](int64_t chunk, int) {
          ++running;
          if (chunk % 7 == turn % 7) {
            --running;
            throw std::bad_alloc();
          }
          --running;
        });
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::bad_alloc&) {
      }
      EXPECT_EQ(running, 0);
    }
    std::atomic<int> chunks = 0;
    pool.parallel_for(100, [&](int64_t, int thread) { chunks += thread < threads; });
    EXPECT_EQ(chunks, 100);
  }
}

TEST(ThreadPool, ADifferentPoolMayBeUsedInsideAChunk) {
  ThreadPool outer(2);
  ThreadPool inner(2);
  std::atomic<int> count{0};
  outer.parallel_for(4, [&](int64_t, int) { inner.parallel_for(4, [&](int64_t, int) { ++count; }); });
  EXPECT_EQ(count, 16);
}

TEST(AvailableThreads, FollowsTheAffinityMask) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_GE(available_threads(), 1);
  EXPECT_LE(available_threads(), CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(available_threads(), 1);
  sched_setaffinity(0, sizeof(before), &before);
}

}  // namespace
}  // namespace marrow::cpu
