#include "marrow/engine/steps/elementwise.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace marrow::engine {
namespace {

// Floats a task works on: large against the cost of a task, small against a second-level cache. A multiple of
// any number of lanes.

class Elementwise final : public Step {
 public:
  Elementwise(const View& src, const View& dst, const Epilogue& epilogue, const Kernels& kernels)
      : src_(src),
        dst_(dst),
        epilogue_(epilogue),
        kernels_(kernels),
        floats_(dst.image_floats(kernels.lanes)) {
    assert(src.layout == dst.layout && src.image_floats(kernels.lanes) == floats_);
  }

  void run(const RunContext& context) const override {
    const int64_t chunks = (floats_ + kTaskElements - 1) / kTaskElements;
    context.pool->parallel_for(dst_.images * chunks, [&](int64_t task, int) {
      const int64_t image = task / chunks;
      const int64_t first = task % chunks * kTaskElements;
      const int64_t count = std::min(kTaskElements, floats_ - first);
      float* dst = context.write(dst_) + image * dst_.image_stride + first;
      std::memcpy(dst, context.read(src_) + image * src_.image_stride + first,
                  static_cast<size_t>(count) * sizeof(float));
      const View& other = epilogue_.other;
      const bool joins = epilogue_.join != Epilogue::Join::kNone;
      apply(epilogue_, kernels_, dst,
            joins ? context.read(other) + image * other.image_stride + first : nullptr, count);
    });
  }

  std::string kernel() const override { return "elementwise" + to_string(epilogue_); }

 private:
  View src_, dst_;
  Epilogue epilogue_;
  const Kernels& kernels_;
  int64_t floats_;
};

// src * scale + shift for each channel block, scale and shift from constants or from a gate of each image.
class ScaleBlocks final : public Step {
 public:
  ScaleBlocks(const View& src, const View& gate, const View& dst, const Stage& after, const Kernels& kernels)
      : src_(src), gate_(gate), dst_(dst), kernels_(kernels) {
    epilogue_.after = after;
  }
  ScaleBlocks(const View& src, const View& dst, const Tensor& scale, const Tensor& shift, const Stage& after,
              const Kernels& kernels)
      : ScaleBlocks(src, View(), dst, after, kernels) {
    const int64_t padded = dst.blocks(kernels.lanes) * kernels.lanes;
    scale_ = Tensor({padded});
    shift_ = Tensor({padded});
    std::ranges::copy(scale.values(), scale_.values().begin());
    std::ranges::copy(shift.values(), shift_.values().begin());
  }

  void run(const RunContext& context) const override {
    const int lanes = kernels_.lanes;
    const int64_t blocks = dst_.blocks(lanes);
    const int64_t floats = dst_.block_floats(lanes);
    const int64_t chunks = (floats + kTaskElements - 1) / kTaskElements;
    context.pool->parallel_for(dst_.images * blocks * chunks, [&](int64_t task, int) {
      const int64_t image = task / chunks / blocks;
      const int64_t block = task / chunks % blocks;
      const int64_t first = task % chunks * kTaskElements;
      const int64_t count = std::min(kTaskElements, floats - first);
      const float* scale = scale_.defined()
                               ? scale_.values().data() + block * lanes
                               : context.read(gate_) + image * gate_.image_stride + block * lanes;
      const float* shift = shift_.defined() ? shift_.values().data() + block * lanes : nullptr;
      const float* src =
          context.read(src_) + image * src_.image_stride + block * src_.block_floats(lanes) + first;
      float* dst = context.write(dst_) + image * dst_.image_stride + block * floats + first;
      kernels_.scale_lanes(src, scale, shift, dst, count);
      apply(epilogue_, kernels_, dst, nullptr, count);
    });
  }

  std::string kernel() const override {
    return (scale_.defined() ? "affine" : "gate") + to_string(epilogue_);
  }

 private:
  View src_, gate_, dst_;
  Epilogue epilogue_;
  const Kernels& kernels_;
  Tensor scale_, shift_;
};

class AffineRows final : public Step {
 public:
  AffineRows(const View& src, const View& dst, const Tensor& scale, const Tensor& shift, const Stage& after,
             const Kernels& kernels)
      : src_(src), dst_(dst), kernels_(kernels), scale_(scale), shift_(shift) {
    epilogue_.after = after;
  }

  void run(const RunContext& context) const override {
    for (int64_t image = 0; image < dst_.images; ++image) {
      float* dst = context.write(dst_) + image * dst_.image_stride;
      kernels_.multiply(context.read(src_) + image * src_.image_stride, scale_.values().data(), dst,
                        dst_.channels);
      kernels_.add(dst, shift_.values().data(), dst, dst_.channels);
      apply(epilogue_, kernels_, dst, nullptr, dst_.channels);
    }
  }

  std::string kernel() const override { return "affine rows" + to_string(epilogue_); }

 private:
  View src_, dst_;
  Epilogue epilogue_;
  const Kernels& kernels_;
  Tensor scale_, shift_;
};

}  // namespace

StepPtr make_elementwise(const View& src, const View& dst, const Epilogue& epilogue, const Kernels& kernels) {
  return std::make_unique<Elementwise>(src, dst, epilogue, kernels);
}

StepPtr make_gate(const View& src, const View& gate, const View& dst, const Stage& after,
                  const Kernels& kernels) {
  return std::make_unique<ScaleBlocks>(src, gate, dst, after, kernels);
}

StepPtr make_affine(const View& src, const View& dst, const Tensor& scale, const Tensor& shift,
                    const Stage& after, const Kernels& kernels) {
  if (dst.layout == Layout::kPlanar) {
    assert(dst.pixels() == 1);
    return std::make_unique<AffineRows>(src, dst, scale, shift, after, kernels);
  }
  return std::make_unique<ScaleBlocks>(src, dst, scale, shift, after, kernels);
}

}  // namespace marrow::engine
