// The memory that an executor takes for batches of many shapes, and what it says when there is none.
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "small_training.h"

namespace marrow::testing {
namespace {

// Of address space: memory that large tensors are mapped in, and the heap.
int64_t address_space() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

int64_t heap_in_use() {
  return static_cast<int64_t>(mallinfo2().uordblks);
}

TEST(NativeMemory, IsThatOfTheLargestShapeAndOfEightPrograms) {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  int64_t sides = 0;
  const auto take = [&](int shapes) {
    for (int i = 0; i < shapes; ++i, ++sides)
      executor->accumulate(boxes(1024 - 16 * (sides % 32), 640 + 16 * (sides / 32), 1), {});
  };
  take(8);
  const int64_t mapped = address_space(), heap = heap_in_use();
  take(40);
  EXPECT_LT(address_space() - mapped, 40 << 20);
  EXPECT_LT(heap_in_use() - heap, 1 << 20);
}

// Runs in a process of its own.
void train_with_little_memory() {
  const Graph graph = detector();
  const auto executor = executor_of_boxes(graph);
  const train::TrainingBatch small = boxes(64, 64, 1);
  executor->accumulate(small, {});
  train::TrainingBatch large = small;
  large.images = Tensor({64, 3, 512, 512}, DType::kUInt8);
  const auto limit = static_cast<rlim_t>(address_space() + (200 << 20));
  const rlimit little = {limit, limit};
  setrlimit(RLIMIT_AS, &little);
  const train::ExecutorState before = executor->state();
  try {
    executor->accumulate(large, {});
    _exit(1);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  expect_same_bytes(executor->state().weights, before.weights);
  executor->accumulate(small, {});
  _exit(::testing::Test::HasFailure() ? 2 : 0);
}

TEST(NativeMemory, ThatIsNotThereIsSaidAndTrainingGoesOn) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(train_with_little_memory(), ::testing::ExitedWithCode(0),
              "training on a batch of \\(64, 3, 512, 512\\) takes .* GB of memory");
}

}  // namespace
}  // namespace marrow::testing
