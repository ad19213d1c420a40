#include "marrow/engine/steps/layout.h"

#include <algorithm>
#include <cstring>

#include "marrow/engine/steps/elementwise.h"
#include "marrow/engine/steps/low_precision.h"

namespace marrow::engine {
namespace {

constexpr int64_t kTaskPixels = 256;  // a task's: 16 KB of a block

// Visits every (image, block, run of pixels) of a blocked view in parallel: visit(image, block, first pixel,
// count).
template <class Visit>
void for_pixels(const RunContext& context, const View& blocked, int lanes, const Visit& visit) {
  const int64_t blocks = blocked.blocks(lanes);
  const int64_t chunks = (blocked.pixels() + kTaskPixels - 1) / kTaskPixels;
  context.pool->parallel_for(blocked.images * blocks * chunks, [&](int64_t task, int) {
    const int64_t first = task % chunks * kTaskPixels;
    visit(task / chunks / blocks, task / chunks % blocks, first,
          std::min(kTaskPixels, blocked.pixels() - first));
  });
}

class Pack final : public Step {
 public:
  Pack(const View& src, const View& dst, const Kernels& kernels)
      : src_(src), dst_(dst), lanes_(kernels.lanes) {}

  void run(const RunContext& context) const override {
    for_pixels(context, dst_, lanes_, [&](int64_t image, int64_t block, int64_t first, int64_t count) {
      float* dst = context.write(dst_) + image * dst_.image_stride + block * dst_.block_floats(lanes_) +
                   first * lanes_;
      for (int lane = 0; lane < lanes_; ++lane) {
        const int64_t channel = block * lanes_ + lane;
        const bool spare = channel >= dst_.channels;
        const float* src = context.read(src_) + image * src_.image_stride + channel * src_.pixels() + first;
        for (int64_t p = 0; p < count; ++p) dst[p * lanes_ + lane] = spare ? 0.f : src[p];
      }
    });
  }

  std::string kernel() const override { return "pack"; }

 private:
  View src_, dst_;
  int lanes_;
};

class Unpack final : public Step {
 public:
  Unpack(const View& src, const View& dst, const Kernels& kernels)
      : src_(src), dst_(dst), kernels_(kernels) {}

  void run(const RunContext& context) const override {
    const int lanes = kernels_.lanes;
    for_pixels(context, src_, lanes, [&](int64_t image, int64_t block, int64_t first, int64_t count) {
      const float* src =
          context.read(src_) + image * src_.image_stride + block * src_.block_floats(lanes) + first * lanes;
      const int64_t channels = std::min<int64_t>(lanes, src_.channels - block * lanes);
      float* dst = context.write(dst_) + image * dst_.image_stride + block * lanes * src_.pixels() + first;
      kernels_.block_to_rows(src, count, channels, dst, src_.pixels());
    });
  }

  std::string kernel() const override { return "unpack"; }

 private:
  View src_, dst_;
  const Kernels& kernels_;
};

class GatherChannels final : public Step {
 public:
  GatherChannels(std::vector<View> sources, const std::vector<ChannelSource>& channels, const View& dst,
                 int first_channel, const Kernels& kernels)
      : sources_(std::move(sources)), dst_(dst), lanes_(kernels.lanes) {
    const int end = first_channel + static_cast<int>(channels.size());
    first_block_ = first_channel / lanes_;
    const int end_block = (end + lanes_ - 1) / lanes_;
    block_runs_.push_back(0);
    for (int block = first_block_; block < end_block; ++block) {
      for (int lane = 0; lane < lanes_; ++lane) {
        const int channel = block * lanes_ + lane;
        if (channel >= first_channel && channel < end)
          add(channels[static_cast<size_t>(channel - first_channel)], lane);
        else if (channel >= dst.channels)
          runs_.push_back({.map = -1, .to = lane, .count = 1});
      }
      block_runs_.push_back(runs_.size());
    }
  }

  void run(const RunContext& context) const override {
    View touched = dst_;  // the blocks that are written
    touched.channels = static_cast<int>(block_runs_.size() - 1) * lanes_;
    for_pixels(context, touched, lanes_, [&](int64_t image, int64_t block, int64_t first, int64_t count) {
      float* dst = context.write(dst_) + image * dst_.image_stride +
                   (first_block_ + block) * dst_.block_floats(lanes_) + first * lanes_;
      for (size_t r = block_runs_[static_cast<size_t>(block)];
           r < block_runs_[static_cast<size_t>(block) + 1]; ++r)
        copy(context, runs_[r], image, first, count, dst);
    });
  }

  std::string kernel() const override { return "gather channels"; }

 private:
  // Neighbouring lanes that come from neighbouring lanes. map -1: zeros.
  struct Run {
    int map = -1;
    int64_t block = 0;
    int from = 0;
    int to = 0;
    int count = 1;
  };

  void add(const ChannelSource& source, int lane) {
    const int64_t block = source.channel / lanes_;
    const int from = source.channel % lanes_;
    if (lane > 0 && runs_.size() > block_runs_.back()) {
      Run& last = runs_.back();
      if (last.map == source.map && last.block == block && last.from + last.count == from &&
          last.to + last.count == lane) {
        ++last.count;
        return;
      }
    }
    runs_.push_back({source.map, block, from, lane, 1});
  }

  void copy(const RunContext& context, const Run& run, int64_t image, int64_t first, int64_t count,
            float* dst) const {
    dst += run.to;
    if (run.map < 0) {
      for (int64_t p = 0; p < count; ++p) dst[p * lanes_] = 0;
      return;
    }
    const View& map = sources_[static_cast<size_t>(run.map)];
    const float* src = context.read(map) + image * map.image_stride + run.block * map.block_floats(lanes_) +
                       first * lanes_ + run.from;
    if (run.count == lanes_) {
      std::memcpy(dst, src, static_cast<size_t>(count * lanes_) * sizeof(float));
      return;
    }
    for (int64_t p = 0; p < count; ++p, src += lanes_, dst += lanes_)
      for (int i = 0; i < run.count; ++i) dst[i] = src[i];
  }

  std::vector<View> sources_;
  View dst_;
  int lanes_;
  int first_block_ = 0;
  std::vector<Run> runs_;
  std::vector<size_t> block_runs_;  // where each block's runs begin
};

}  // namespace

StepPtr make_pack(const View& src, const View& dst, const Kernels& kernels) {
  return std::make_unique<Pack>(src, dst, kernels);
}

StepPtr make_unpack(const View& src, const View& dst, const Kernels& kernels) {
  if (src.layout == Layout::kPlanar) return make_elementwise(src, dst, {}, kernels);
  return std::make_unique<Unpack>(src, dst, kernels);
}

StepPtr make_gather_channels(std::vector<View> sources, std::vector<ChannelSource> channels, const View& dst,
                             int first_channel, const Kernels& kernels) {
  if (dst.element != Element::kFloat32)
    return make_low_precision_gather(std::move(sources), std::move(channels), dst, first_channel, kernels);
  return std::make_unique<GatherChannels>(std::move(sources), channels, dst, first_channel, kernels);
}

}  // namespace marrow::engine
