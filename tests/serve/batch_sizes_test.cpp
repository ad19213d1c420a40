// How many pictures run at once, and memory that is used again.
#include "marrow/serve/batch_sizes.h"

#include <gtest/gtest.h>

#include "marrow/serve/tensor_pool.h"

namespace marrow::serve {
namespace {

// The sizes that are chosen where a run of so many takes so long.
template <class Seconds>
std::vector<size_t> chosen_sizes(BatchSizes& sizes, size_t most, size_t runs, const Seconds& seconds) {
  std::vector<size_t> chosen;
  for (size_t i = 0; i < runs; ++i) {
    chosen.push_back(sizes.choose(most));
    sizes.ran(chosen.back(), seconds(chosen.back()) / static_cast<double>(chosen.back()));
  }
  return chosen;
}

TEST(BatchSizes, AreThoseThatAreQuickest) {
  const auto linear = [](size_t inputs) { return 0.01 * static_cast<double>(inputs * inputs); };
  const auto constant = [](size_t inputs) { return 1 + 0.01 * static_cast<double>(inputs); };
  BatchSizes slow, quick;
  // Each is tried four times first.
  EXPECT_EQ(chosen_sizes(slow, 5, 12, linear), (std::vector<size_t>{4, 4, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1}));
  EXPECT_EQ(chosen_sizes(slow, 5, 10, linear), std::vector<size_t>(10, 1));
  chosen_sizes(quick, 8, 16, constant);
  EXPECT_EQ(chosen_sizes(quick, 8, 10, constant), std::vector<size_t>(10, 8));
  EXPECT_EQ(quick.choose(3), 2u) << "no more than wait";
}

TEST(BatchSizes, AreTriedAgain) {
  BatchSizes sizes;
  // What something else held up is not the last word.
  const auto first = [](size_t inputs) { return inputs == 4 ? 10.0 : 1.0 * static_cast<double>(inputs); };
  const auto later = [](size_t inputs) { return inputs == 4 ? 1.0 : 1.0 * static_cast<double>(inputs); };
  EXPECT_NE(chosen_sizes(sizes, 4, 20, first).back(), 4u);
  EXPECT_EQ(chosen_sizes(sizes, 4, 1000, later).back(), 4u);
}

TEST(TensorPool, GivesWhatItGotBackAndKeepsNoMore) {
  TensorPool pool(100 * sizeof(float));
  Tensor first = pool.take({1, 60});
  const std::byte* place = first.bytes();
  pool.give_back(std::move(first));
  Tensor other = pool.take({1, 61});
  EXPECT_NE(other.bytes(), place);
  first = pool.take({1, 60});
  EXPECT_EQ(first.bytes(), place);
  // The older of two that are too much goes.
  Tensor another = pool.take({1, 60});
  const std::byte* kept = another.bytes();
  pool.give_back(std::move(first));
  pool.give_back(std::move(another));
  EXPECT_EQ(pool.take({1, 60}).bytes(), kept);
}

}  // namespace
}  // namespace marrow::serve
