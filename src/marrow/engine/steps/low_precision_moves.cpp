// Steps that move numbers of low precision as they are, or between elements.
#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <type_traits>

#include "marrow/engine/steps/low_precision.h"

namespace marrow::engine {
namespace {

class Convert final : public Step {
 public:
  Convert(const View& src, const View& dst, const Kernels& kernels)
      : src_(src), dst_(dst), kernels_(kernels), count_(dst.image_floats(kernels.lanes)) {}

  void run(const RunContext& context) const override {
    const int64_t chunks = (count_ + kTaskElements - 1) / kTaskElements;
    context.pool->parallel_for(dst_.images * chunks, [&](int64_t task, int thread) {
      const int64_t image = task / chunks;
      const int64_t first = task % chunks * kTaskElements;
      const int64_t count = std::min(kTaskElements, count_ - first);
      const float* numbers = nullptr;
      if (src_.element == Element::kFloat32) {
        numbers = context.read(src_) + image * src_.image_stride + first;
      } else {
        float* wide = dst_.element == Element::kFloat32
                          ? context.write(dst_) + image * dst_.image_stride + first
                          : context.thread_scratch(thread);
        kernels_.low_precision(src_.element)
            .to_float32(context.low_precision(src_) +
                            (image * src_.image_stride + first) * element_bytes(src_.element),
                        src_.scale, wide, count);
        numbers = wide;
      }
      if (dst_.element != Element::kFloat32)
        kernels_.low_precision(dst_.element)
            .from_float32(numbers, dst_.scale,
                          context.low_precision(dst_) +
                              (image * dst_.image_stride + first) * element_bytes(dst_.element),
                          count);
    });
  }

  std::string kernel() const override {
    return std::string("convert to ") + (dst_.element == Element::kByte       ? "bytes"
                                         : dst_.element == Element::kBfloat16 ? "bfloat16"
                                                                              : "float32");
  }
  int64_t scratch_floats() const override { return kTaskElements; }

 private:
  View src_, dst_;
  const Kernels& kernels_;
  int64_t count_;
};

// What the steps below share: a task is a block of an image's dst.
class BlockStep : public Step {
 public:
  BlockStep(const View& src, const View& dst, const Kernels& kernels)
      : src_(src),
        dst_(dst),
        lanes_(kernels.lanes),
        pixel_bytes_(int64_t{kernels.lanes} * element_bytes(dst.element)) {
    assert(src.element == dst.element);
  }

  void run(const RunContext& context) const override {
    const int64_t blocks = dst_.blocks(lanes_);
    context.pool->parallel_for(dst_.images * blocks, [&](int64_t task, int thread) {
      run_block(block_of(context, src_, task / blocks, task % blocks),
                block_of(context, dst_, task / blocks, task % blocks), context.thread_scratch(thread));
    });
  }

 protected:
  virtual void run_block(const uint8_t* src, uint8_t* dst, float* scratch) const = 0;

  uint8_t* block_of(const RunContext& context, const View& view, int64_t image, int64_t block) const {
    return context.low_precision(view) +
           (image * view.image_stride + block * view.block_floats(lanes_)) * element_bytes(view.element);
  }

  View src_, dst_;
  const int lanes_;
  const int64_t pixel_bytes_;  // of a block
};

class LowPrecisionUpsample final : public BlockStep {
 public:
  LowPrecisionUpsample(const View& src, const View& dst, int factor, const Kernels& kernels)
      : BlockStep(src, dst, kernels), factor_(factor) {}

  std::string kernel() const override { return "low precision upsample"; }

 private:
  void run_block(const uint8_t* src, uint8_t* dst, float*) const override {
    const auto row_bytes = static_cast<size_t>(dst_.width * pixel_bytes_);
    for (int64_t y = 0; y < dst_.height; ++y, dst += row_bytes) {
      if (y % factor_ != 0) {
        std::memcpy(dst, dst - row_bytes, row_bytes);
        continue;
      }
      const uint8_t* from = src + y / factor_ * src_.width * pixel_bytes_;
      uint8_t* to = dst;
      for (int64_t x = 0; x < src_.width; ++x, from += pixel_bytes_)
        for (int i = 0; i < factor_; ++i, to += pixel_bytes_)
          std::memcpy(to, from, static_cast<size_t>(pixel_bytes_));
    }
  }

  int factor_;
};

// bfloat16 as whole numbers of the same order, and back.
int16_t ordered(int16_t bits) {
  return static_cast<int16_t>(bits ^ (bits >> 15 & 0x7fff));
}
uint8_t ordered(uint8_t byte) {
  return byte;
}

// best[i] = the larger of best[i] and numbers[i]. They do not overlap, which the compiler must be told to
// make vectors of bytes.
template <class Number>
void take_larger(Number* __restrict best, const Number* __restrict numbers, int64_t count) {
  for (int64_t i = 0; i < count; ++i) best[i] = best[i] > numbers[i] ? best[i] : numbers[i];
}

// The number of lanes is a constant so that the compiler sees vectors.
template <class Number, int kLanes>
class LowPrecisionMaxPool final : public BlockStep {
 public:
  LowPrecisionMaxPool(const View& src, const View& dst, int kernel, int stride, int padding,
                      const Kernels& kernels)
      : BlockStep(src, dst, kernels), kernel_(kernel), stride_(stride), padding_(padding) {
    assert(kernels.lanes == kLanes && 2 * padding <= kernel);
  }

  std::string kernel() const override { return "low precision max pool"; }
  int64_t scratch_floats() const override {
    return ((src_.width + 2 * padding_) * pixel_bytes_ + int64_t{sizeof(float)} - 1) / int64_t{sizeof(float)};
  }

 private:
  // A row of dst at a time: the largest numbers of each column of src, with the least there are around them,
  // then of neighbouring columns.
  void run_block(const uint8_t* src_bytes, uint8_t* dst_bytes, float* scratch) const override {
    auto* dst = reinterpret_cast<Number*>(dst_bytes);
    auto* padded = reinterpret_cast<Number*>(scratch);  // as `ordered`
    Number* columns = padded + padding_ * kLanes;
    const int64_t row = src_.width * kLanes;
    std::fill(padded, columns, std::numeric_limits<Number>::lowest());
    std::fill_n(columns + row, padding_ * kLanes, std::numeric_limits<Number>::lowest());
    for (int64_t y = 0; y < dst_.height; ++y, dst += dst_.width * kLanes) {
      const int64_t top = std::max<int64_t>(y * stride_ - padding_, 0);
      const int64_t bottom = std::min(y * stride_ - padding_ + kernel_, src_.height);
      const Number* from = reinterpret_cast<const Number*>(src_bytes) + top * row;
      for (int64_t i = 0; i < row; ++i) columns[i] = ordered(from[i]);
      for (int64_t from_y = top + 1; from_y < bottom; ++from_y) {
        from += row;
        if constexpr (std::is_same_v<Number, uint8_t>)
          take_larger(columns, from, row);
        else
          for (int64_t i = 0; i < row; ++i) columns[i] = std::max(columns[i], ordered(from[i]));
      }
      if (stride_ == 1)
        widest(padded, dst_.width * kLanes, dst);
      else
        for (int64_t x = 0; x < dst_.width; ++x)
          widest(padded + x * stride_ * kLanes, kLanes, dst + x * kLanes);
    }
  }

  // dst[i] = the largest of `kernel_` columns from i on.
  void widest(const Number* columns, int64_t count, Number* dst) const {
    std::copy_n(columns, count, dst);
    for (int column = 1; column < kernel_; ++column) {
      columns += kLanes;
      take_larger(dst, columns, count);
    }
    for (int64_t i = 0; i < count; ++i) dst[i] = ordered(dst[i]);
  }

  int kernel_, stride_, padding_;
};

class Gather final : public Step {
 public:
  Gather(std::vector<View> sources, std::vector<ChannelSource> channels, const View& dst, int first_channel,
         const Kernels& kernels)
      : sources_(std::move(sources)),
        channels_(std::move(channels)),
        dst_(dst),
        first_channel_(first_channel),
        lanes_(kernels.lanes) {}

  void run(const RunContext& context) const override {
    if (dst_.element == Element::kByte)
      copy<uint8_t>(context);
    else
      copy<uint16_t>(context);
  }
  std::string kernel() const override { return "low precision gather channels"; }

 private:
  template <class Number>
  void copy(const RunContext& context) const {
    // A task is a row: threads then write different pixels, never lanes of one.
    context.pool->parallel_for(dst_.images * dst_.height, [&](int64_t task, int) {
      const auto row = [&](const View& view, int64_t channel) {
        return reinterpret_cast<Number*>(context.low_precision(view)) +
               task / dst_.height * view.image_stride + channel / lanes_ * view.block_floats(lanes_) +
               task % dst_.height * view.width * lanes_ + channel % lanes_;
      };
      for (size_t i = 0; i < channels_.size(); ++i) {
        const Number* src = row(sources_[static_cast<size_t>(channels_[i].map)], channels_[i].channel);
        Number* dst = row(dst_, first_channel_ + static_cast<int64_t>(i));
        for (int64_t x = 0; x < dst_.width; ++x) dst[x * lanes_] = src[x * lanes_];
      }
      // What multiplies bfloat16 takes channels in pairs: the last's neighbour must be a number.
      const int64_t end = first_channel_ + static_cast<int64_t>(channels_.size());
      if (end < dst_.channels) return;
      for (int64_t spare = end; spare % lanes_ != 0; ++spare) {
        Number* dst = row(dst_, spare);
        for (int64_t x = 0; x < dst_.width; ++x) dst[x * lanes_] = 0;
      }
    });
  }

  std::vector<View> sources_;
  std::vector<ChannelSource> channels_;
  View dst_;
  int first_channel_;
  int lanes_;
};

}  // namespace

StepPtr make_convert(const View& src, const View& dst, const Kernels& kernels) {
  return std::make_unique<Convert>(src, dst, kernels);
}

StepPtr make_low_precision_gather(std::vector<View> sources, std::vector<ChannelSource> channels,
                                  const View& dst, int first_channel, const Kernels& kernels) {
  return std::make_unique<Gather>(std::move(sources), std::move(channels), dst, first_channel, kernels);
}

StepPtr make_low_precision_max_pool(const View& src, const View& dst, int kernel, int stride, int padding,
                                    const Kernels& kernels) {
  const auto make = [&]<class Number>(Number) -> StepPtr {
    if (kernels.lanes == 4)
      return std::make_unique<LowPrecisionMaxPool<Number, 4>>(src, dst, kernel, stride, padding, kernels);
    if (kernels.lanes == 8)
      return std::make_unique<LowPrecisionMaxPool<Number, 8>>(src, dst, kernel, stride, padding, kernels);
    return std::make_unique<LowPrecisionMaxPool<Number, 16>>(src, dst, kernel, stride, padding, kernels);
  };
  return dst.element == Element::kByte ? make(uint8_t()) : make(int16_t());
}

StepPtr make_low_precision_upsample(const View& src, const View& dst, int factor, const Kernels& kernels) {
  return std::make_unique<LowPrecisionUpsample>(src, dst, factor, kernels);
}

}  // namespace marrow::engine
