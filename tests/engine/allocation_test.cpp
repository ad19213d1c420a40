// Counts what this whole program allocates with operator new while an engine runs.
#include <atomic>
#include <cstdlib>
#include <new>

#include "support.h"

namespace {

std::atomic<int64_t> allocations{0};

void* counted(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes);
}
void* operator new[](std::size_t bytes) {
  return counted(bytes);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace marrow::engine {
namespace {

TEST(EngineAllocation, RunAllocatesNothing) {
  const Graph graph = testing::graph_of(3, [](GraphBuilder& g, Value x) {
    x = g.activation(g.conv(x, "stem", {.out = 24, .kernel = 3, .stride = 2}), ActivationKind::kSilu);
    const Value dw = g.conv(x, "dw", {.out = 24, .kernel = 5, .groups = 24});
    x = g.conv(x, "expand", {.out = 40});
    x = g.conv(x, "expanded", {.out = 40, .kernel = 3, .groups = 40});
    x = g.concat({x, dw, g.upsample(g.max_pool(dw, 2, 2), 2)});
    x = g.channel_shuffle(x, 2);
    x = g.multiply(x, g.global_average_pool(x));
    x = g.conv_transpose(x, "up", 9, 2, 2);
    return g.linear(g.flatten(g.global_average_pool(x)), "fc", 5);
  });
  const Shape shape = {2, 3, 24, 32};
  const Tensor input = testing::noise(shape, 1);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    Engine engine(graph, randomize(graph, 1), shape, {}, {2, std::string(cpu::simd_name(level))});
    const int64_t before = allocations;
    engine.run(input);
    engine.run(input.values());
    EXPECT_EQ(allocations, before) << cpu::simd_name(level);
  }
  EXPECT_GT(allocations, 100);  // the counter counts
}

}  // namespace
}  // namespace marrow::engine
