// What a step needs to run by itself, without an engine.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/engine/step.h"

namespace marrow::testing {

// The memory of its maps, which are blocked and lie one after another.
class StepArena {
 public:
  explicit StepArena(const engine::Kernels& kernels) : kernels_(kernels) {}

  engine::View add(const Shape& shape, engine::Element element) {
    engine::View view;
    view.images = shape[0];
    view.channels = static_cast<int>(shape[1]);
    view.height = shape[2];
    view.width = shape[3];
    view.element = element;
    view.image_stride = view.image_floats(kernels_.lanes);
    view.buffer.offset = bytes_ / element_bytes(element);
    bytes_ += (view.images * view.image_stride * element_bytes(element) + 63) / 64 * 64;
    memory_.resize(static_cast<size_t>(bytes_ / 4), 1000.f);
    return view;
  }

  // Visits each number: visit(its address, its place in the plain tensor).
  template <class Visit>
  void for_each(const engine::View& view, const Visit& visit) {
    auto* base = reinterpret_cast<uint8_t*>(memory_.data());
    const int lanes = kernels_.lanes;
    size_t place = 0;
    for (int64_t image = 0; image < view.images; ++image)
      for (int64_t channel = 0; channel < view.channels; ++channel)
        for (int64_t pixel = 0; pixel < view.pixels(); ++pixel, ++place) {
          const int64_t number = view.buffer.offset + image * view.image_stride +
                                 channel / lanes * view.block_floats(lanes) + pixel * lanes + channel % lanes;
          visit(base + number * element_bytes(view.element), place);
        }
  }

  void run(const engine::Step& step, cpu::ThreadPool& pool) {
    std::vector<float> scratch(static_cast<size_t>(step.scratch_floats() * pool.threads()), std::nanf(""));
    engine::RunContext context;
    context.arena = memory_.data();
    context.scratch = scratch.data();
    context.scratch_floats = step.scratch_floats();
    context.pool = &pool;
    step.run(context);
  }

 private:
  const engine::Kernels& kernels_;
  std::vector<float> memory_;  // spare lanes hold numbers that must not count
  int64_t bytes_ = 0;
};

}  // namespace marrow::testing
