#include "marrow/engine/steps/pooling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "marrow/engine/steps/low_precision.h"

namespace marrow::engine {
namespace {

constexpr int kMostLanes = 16;

class MaxPoolStep final : public Step {
 public:
  MaxPoolStep(const View& src, const View& dst, int kernel, int stride, int padding, const Kernels& kernels)
      : src_(src), dst_(dst), kernel_(kernel), stride_(stride), padding_(padding), kernels_(kernels) {}

  void run(const RunContext& context) const override {
    const int lanes = kernels_.lanes;
    const int64_t blocks = dst_.blocks(lanes);
    context.pool->parallel_for(dst_.images * blocks, [&](int64_t task, int) {
      const float* src =
          context.read(src_) + task / blocks * src_.image_stride + task % blocks * src_.block_floats(lanes);
      float* dst =
          context.write(dst_) + task / blocks * dst_.image_stride + task % blocks * dst_.block_floats(lanes);
      for (int64_t y = 0; y < dst_.height; ++y) {
        const int64_t first = std::max<int64_t>(y * stride_ - padding_, 0);
        const int64_t end = std::min<int64_t>(y * stride_ - padding_ + kernel_, src_.height);
        kernels_.max_pool_row({.src = src + first * src_.width * lanes,
                               .src_row = src_.width * lanes,
                               .width = static_cast<int>(src_.width),
                               .rows = static_cast<int>(end - first),
                               .taps = kernel_,
                               .stride = stride_,
                               .pad_before = padding_,
                               .dst = dst + y * dst_.width * lanes,
                               .out_width = static_cast<int>(dst_.width)});
      }
    });
  }

  std::string kernel() const override { return fmt::format("max pool {0}x{0}/{1}", kernel_, stride_); }

 private:
  View src_, dst_;
  int kernel_, stride_, padding_;
  const Kernels& kernels_;
};

// Each cell is a row of one output whose window is the cell's rectangle.
class AdaptiveMaxPoolStep final : public Step {
 public:
  AdaptiveMaxPoolStep(const View& src, const View& dst, const Kernels& kernels)
      : src_(src), dst_(dst), kernels_(kernels) {}

  void run(const RunContext& context) const override {
    const int lanes = kernels_.lanes;
    const int64_t blocks = dst_.blocks(lanes);
    context.pool->parallel_for(dst_.images * blocks, [&](int64_t task, int) {
      const float* src =
          context.read(src_) + task / blocks * src_.image_stride + task % blocks * src_.block_floats(lanes);
      float* dst =
          context.write(dst_) + task / blocks * dst_.image_stride + task % blocks * dst_.block_floats(lanes);
      for (int64_t y = 0; y < dst_.height; ++y)
        for (int64_t x = 0; x < dst_.width; ++x) {
          const auto rows = cell(y, src_.height, dst_.height);
          const auto columns = cell(x, src_.width, dst_.width);
          const int width = static_cast<int>(columns[1] - columns[0]);
          kernels_.max_pool_row({.src = src + (rows[0] * src_.width + columns[0]) * lanes,
                                 .src_row = src_.width * lanes,
                                 .width = width,
                                 .rows = static_cast<int>(rows[1] - rows[0]),
                                 .taps = width,
                                 .stride = 1,
                                 .pad_before = 0,
                                 .dst = dst + (y * dst_.width + x) * lanes,
                                 .out_width = 1});
        }
    });
  }

  std::string kernel() const override { return "adaptive max pool"; }

 private:
  static std::array<int64_t, 2> cell(int64_t r, int64_t n, int64_t cells) {
    return {r * n / cells, ((r + 1) * n + cells - 1) / cells};
  }

  View src_, dst_;
  const Kernels& kernels_;
};

class GlobalAveragePoolStep final : public Step {
 public:
  GlobalAveragePoolStep(const View& src, const View& dst, const Kernels& kernels)
      : src_(src), dst_(dst), kernels_(kernels) {}

  // Short sums in float, their sum in double: the rounding of a long float sum would show.
  void run(const RunContext& context) const override {
    const int lanes = kernels_.lanes;
    const int64_t blocks = dst_.blocks(lanes);
    context.pool->parallel_for(dst_.images * blocks, [&](int64_t task, int) {
      const float* src =
          context.read(src_) + task / blocks * src_.image_stride + task % blocks * src_.block_floats(lanes);
      std::array<double, kMostLanes> total = {};
      std::array<float, kMostLanes> part = {};
      const int64_t floats = src_.block_floats(lanes);
      for (int64_t first = 0; first < floats; first += kRun * lanes) {
        kernels_.sum_lanes(src + first, std::min(kRun * lanes, floats - first), part.data());
        for (int lane = 0; lane < lanes; ++lane)
          total[static_cast<size_t>(lane)] += part[static_cast<size_t>(lane)];
      }
      float* dst = context.write(dst_) + task / blocks * dst_.image_stride + task % blocks * lanes;
      for (int lane = 0; lane < lanes; ++lane)
        dst[lane] = static_cast<float>(total[static_cast<size_t>(lane)] / static_cast<double>(src_.pixels()));
    });
  }

  std::string kernel() const override { return "global average pool"; }

 private:
  static constexpr int64_t kRun = 64;  // pixels
  View src_, dst_;
  const Kernels& kernels_;
};

class UpsampleStep final : public Step {
 public:
  UpsampleStep(const View& src, const View& dst, int factor, const Kernels& kernels)
      : src_(src), dst_(dst), factor_(factor), kernels_(kernels) {}

  void run(const RunContext& context) const override {
    switch (kernels_.lanes) {
      case 4:
        return repeat<4>(context);
      case 8:
        return repeat<8>(context);
      default:
        return repeat<16>(context);
    }
  }

  std::string kernel() const override { return fmt::format("upsample x{}", factor_); }

 private:
  template <int kLanes>
  void repeat(const RunContext& context) const {
    const int64_t blocks = dst_.blocks(kLanes);
    context.pool->parallel_for(dst_.images * blocks, [&](int64_t task, int) {
      const float* src =
          context.read(src_) + task / blocks * src_.image_stride + task % blocks * src_.block_floats(kLanes);
      float* dst =
          context.write(dst_) + task / blocks * dst_.image_stride + task % blocks * dst_.block_floats(kLanes);
      const auto row_bytes = static_cast<size_t>(dst_.width) * kLanes * sizeof(float);
      for (int64_t y = 0; y < src_.height; ++y) {
        float* row = dst;
        for (int64_t x = 0; x < src_.width; ++x, src += kLanes)
          for (int copy = 0; copy < factor_; ++copy, dst += kLanes)
            std::memcpy(dst, src, kLanes * sizeof(float));
        for (int copy = 1; copy < factor_; ++copy, dst += dst_.width * kLanes)
          std::memcpy(dst, row, row_bytes);
      }
    });
  }

  View src_, dst_;
  int factor_;
  const Kernels& kernels_;
};

class LinearStep final : public Step {
 public:
  LinearStep(const View& src, const View& dst, const Tensor& weight, const Tensor& bias,
             const Epilogue& epilogue, const Kernels& kernels)
      : src_(src), dst_(dst), weight_(weight), bias_(bias), epilogue_(epilogue), kernels_(kernels) {}

  void run(const RunContext& context) const override {
    const int64_t features = dst_.channels;
    const int64_t chunks = (features + kChunk - 1) / kChunk;
    context.pool->parallel_for(chunks * dst_.images, [&](int64_t task, int) {
      const int64_t image = task % dst_.images;  // fastest: the rows of weights stay in the cache
      const int64_t first = task / dst_.images * kChunk;
      const int64_t count = std::min(kChunk, features - first);
      const float* src = context.read(src_) + image * src_.image_stride;
      float* dst = context.write(dst_) + image * dst_.image_stride + first;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t feature = first + i;
        const float sum = kernels_.dot(src, weight_.values().data() + feature * src_.channels, src_.channels);
        dst[i] = bias_.defined() ? sum + bias_.values()[static_cast<size_t>(feature)] : sum;
      }
      const View& other = epilogue_.other;
      const bool joins = epilogue_.join != Epilogue::Join::kNone;
      apply(epilogue_, kernels_, dst,
            joins ? context.read(other) + image * other.image_stride + first : nullptr, count);
    });
  }

  std::string kernel() const override { return "linear" + to_string(epilogue_); }

 private:
  static constexpr int64_t kChunk = 16;
  View src_, dst_;
  Tensor weight_, bias_;
  Epilogue epilogue_;
  const Kernels& kernels_;
};

}  // namespace

StepPtr make_max_pool(const View& src, const View& dst, int kernel, int stride, int padding,
                      const Kernels& kernels) {
  if (dst.element != Element::kFloat32)
    return make_low_precision_max_pool(src, dst, kernel, stride, padding, kernels);
  return std::make_unique<MaxPoolStep>(src, dst, kernel, stride, padding, kernels);
}

StepPtr make_adaptive_max_pool(const View& src, const View& dst, const Kernels& kernels) {
  return std::make_unique<AdaptiveMaxPoolStep>(src, dst, kernels);
}

StepPtr make_global_average_pool(const View& src, const View& dst, const Kernels& kernels) {
  return std::make_unique<GlobalAveragePoolStep>(src, dst, kernels);
}

StepPtr make_upsample(const View& src, const View& dst, int factor, const Kernels& kernels) {
  if (dst.element != Element::kFloat32) return make_low_precision_upsample(src, dst, factor, kernels);
  return std::make_unique<UpsampleStep>(src, dst, factor, kernels);
}

StepPtr make_linear(const View& src, const View& dst, const Tensor& weight, const Tensor& bias,
                    const Epilogue& epilogue, const Kernels& kernels) {
  return std::make_unique<LinearStep>(src, dst, weight, bias, epilogue, kernels);
}

}  // namespace marrow::engine
