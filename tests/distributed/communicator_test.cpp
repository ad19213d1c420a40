#include "marrow/distributed/communicator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "support/thread_transport.h"

namespace marrow::distributed {
namespace {

using testing::run_workers;

std::vector<float> numbers(int rank, size_t count) {
  Random random(static_cast<uint64_t>(rank), "numbers");
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
  return values;
}

void expect_none(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(Communicator, AddsInTheOrderOfRanks) {
  for (const int workers : {1, 2, 3, 4, 7})
    for (const size_t count : {size_t{1}, size_t{5}, size_t{33}, size_t{5000}}) {
      std::vector<float> wanted = numbers(0, count);
      for (int rank = 1; rank < workers; ++rank) {
        const std::vector<float> more = numbers(rank, count);
        for (size_t i = 0; i < count; ++i) wanted[i] += more[i];
      }
      expect_none(run_workers(workers, [&](Communicator& communicator) {
        std::vector<float> values = numbers(communicator.rank(), count);
        communicator.begin_sum(values).wait();
        EXPECT_EQ(values, wanted) << workers << " workers, " << count << " numbers";
      }));
    }
}

TEST(Communicator, SeveralSumsAreUnderWayAtOnce) {
  expect_none(run_workers(3, [](Communicator& communicator) {
    std::vector<std::vector<float>> values(20, std::vector<float>(100, 1));
    std::vector<Communicator::Pending> pending;
    for (auto& some : values) pending.push_back(communicator.begin_sum(some));
    EXPECT_EQ(communicator.sum(2.0), 6.0);
    for (auto& one : pending) one.wait();
    for (const auto& some : values) EXPECT_EQ(some, std::vector<float>(100, 3));
  }));
}

TEST(Communicator, SumsOfManyDoublesAreExactToo) {
  expect_none(run_workers(2, [](Communicator& communicator) {
    std::vector<double> values(10000);
    std::iota(values.begin(), values.end(), 0.5 * communicator.rank());
    communicator.sum(values);
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], 2 * static_cast<double>(i) + 0.5);
  }));
}

// Eight significant bits: each term is off by 2^-8 of itself at most, and so is the sum.
TEST(Communicator, RoundsWhatTravelsAsBfloat16TheSameForAll) {
  constexpr size_t kCount = 1000;
  constexpr int kWorkers = 3;
  std::vector<std::vector<float>> results(kWorkers);
  expect_none(run_workers(kWorkers, [&](Communicator& communicator) {
    std::vector<float> values = numbers(communicator.rank(), kCount);
    communicator.begin_sum(values, Travel::kBfloat16).wait();
    results[static_cast<size_t>(communicator.rank())] = values;
  }));
  std::vector<std::vector<float>> terms;
  for (int rank = 0; rank < kWorkers; ++rank) terms.push_back(numbers(rank, kCount));
  for (size_t i = 0; i < kCount; ++i) {
    double sum = 0, size = 0;
    for (const std::vector<float>& term : terms) {
      sum += term[i];
      size += std::abs(term[i]);
    }
    ASSERT_NEAR(results[0][i], sum, (size + std::abs(sum)) / 256 * 1.01);
    for (const auto& others : results) ASSERT_EQ(others[i], results[0][i]);
  }
  expect_none(run_workers(2, [](Communicator& communicator) {
    std::vector<float> values = {communicator.is_first() ? NAN : 1.0F, INFINITY, 3.3895314e38F};
    communicator.begin_sum(values, Travel::kBfloat16).wait();
    EXPECT_TRUE(std::isnan(values[0]));
    EXPECT_TRUE(std::isinf(values[1]));
    EXPECT_TRUE(std::isinf(values[2]));
  }));
}

TEST(Communicator, TheFirstWorkersBytesReachAll) {
  for (const int workers : {1, 2, 5, 8}) {
    expect_none(run_workers(workers, [](Communicator& communicator) {
      std::vector<float> values = numbers(communicator.rank(), 3'000'000);  // more than one message
      communicator.broadcast(std::as_writable_bytes(std::span(values)));
      EXPECT_EQ(values, numbers(0, 3'000'000));
      EXPECT_EQ(communicator.from_first(communicator.rank() + 4.0), 4.0);
    }));
  }
}

TEST(Communicator, GathersTextsOfAnyLength) {
  expect_none(run_workers(4, [](Communicator& communicator) {
    const auto text_of = [](int rank) { return std::string(static_cast<size_t>(rank) * 3'000'000, 'a'); };
    const std::vector<std::string> all = communicator.gather(text_of(communicator.rank()));
    ASSERT_EQ(all.size(), communicator.is_first() ? 4U : 0U);
    for (int rank = 0; rank < static_cast<int>(all.size()); ++rank)
      EXPECT_EQ(all[static_cast<size_t>(rank)], text_of(rank));
  }));
}

TEST(Communicator, SendsWhatTheoryAsksFor) {
  constexpr int64_t kCount = 12000;
  expect_none(run_workers(4, [](Communicator& communicator) {
    std::vector<float> values(kCount, 1);
    communicator.begin_sum(values).wait();
    EXPECT_EQ(communicator.traffic().bytes, 2 * 3 * kCount / 4 * 4);
    communicator.begin_sum(values, Travel::kBfloat16).wait();
    EXPECT_EQ(communicator.traffic().bytes, 2 * 3 * kCount / 4 * 6);
  }));
}

TEST(Communicator, AFailureIsToldToAllWithItsReason) {
  const std::vector<std::string> errors = run_workers(3, [](Communicator& communicator) {
    if (communicator.is_first()) throw Error(ErrorKind::kFile, "/runs/last: no space left on device");
    communicator.barrier();
  });
  EXPECT_EQ(errors[0], "/runs/last: no space left on device");
  for (const size_t rank : {1, 2})
    EXPECT_EQ(errors[rank], "rank 0 of 3 (thread 0) ended: /runs/last: no space left on device");
}

TEST(Communicator, AWorkerThatIsGoneIsNamed) {
  const auto network = std::make_shared<testing::ThreadNetwork>(2);
  const auto communicator = testing::thread_communicator(network, 0);
  network->gone[1] = true;
  try {
    communicator->barrier();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "rank 1 of 2 (thread 1) is gone: its process was killed or crashed");
  }
  EXPECT_THROW(communicator->from_first(1), Error);  // and so it stays
}

TEST(Communicator, ASilentWorkerIsNamedAfterTheTimeOut) {
  const auto network = std::make_shared<testing::ThreadNetwork>(3);
  const auto first = testing::thread_communicator(network, 0, {.timeout_seconds = 0.3});
  const auto third = testing::thread_communicator(network, 2, {.timeout_seconds = 0.3});
  std::string said;
  std::thread other([&] {
    try {
      third->barrier();
    } catch (const Error& error) {
      said = error.what();
    }
  });
  try {
    first->barrier();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("rank 1 of 3 (thread 1) did not answer for 0 s"),
              std::string::npos)
        << error.what();
  }
  other.join();
  EXPECT_NE(said.find("rank 1 of 3"), std::string::npos) << said;
  network->gone[1] = true;  // or both would wait for its last words
}

TEST(Communicator, FailsWhereNoConnectionComesAbout) {
  EXPECT_THROW(Communicator([]() -> std::unique_ptr<Transport> {
                 throw Error(ErrorKind::kFile, "MPI: cannot begin");
               }),
               Error);
}

}  // namespace
}  // namespace marrow::distributed
