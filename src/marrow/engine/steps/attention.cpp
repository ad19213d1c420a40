#include "marrow/engine/steps/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/matrix_product.h"

namespace marrow::engine {
namespace {

// Floats of scores that a task holds, about.
int64_t task_scores() {
  return cpu::cache_bytes(2) / 4 / int64_t{sizeof(float)};
}
// Stands for the score of a key that does not exist; its share is 0.
constexpr float kNoScore = -1e30f;

// Whole blocks, in pairs: spare lanes are computed too.
std::vector<OutputGroup> group_blocks(int64_t blocks, int lanes) {
  std::vector<OutputGroup> groups;
  for (int64_t block = 0; block < blocks; block += 2)
    groups.push_back({block, block + 1 < blocks ? 4 : 2, lanes});
  return groups;
}

// The scores of a head's queries are a 1x1 convolution of the queries, whose weights are the keys; the result
// is one of the scores' shares, whose weights are the values. First keys and values are laid out as weights,
// for each head and area, then each task takes some queries.
class AttentionStep final : public Step {
 public:
  AttentionStep(const Attention& attention, const View& src, const View& dst, const Kernels& kernels)
      : attention_(attention),
        src_(src),
        dst_(dst),
        kernels_(kernels),
        run_(src.pixels() / attention.areas),
        key_groups_(group_blocks(blocks_of(run_), kernels.lanes)),
        value_groups_(group_blocks(blocks_of(attention.value_channels), kernels.lanes)),
        key_floats_(blocks_of(run_) * kernels.lanes * attention.key_channels),
        value_floats_(blocks_of(attention.value_channels) * kernels.lanes * run_),
        // Heads that begin and end at blocks are computed in place.
        in_place_(attention.heads == 1 || attention.value_channels % kernels.lanes == 0) {
    const int64_t tiles = std::clamp<int64_t>(task_scores() / (run_ * kernels.tile_pixels), 1, 4);
    queries_ = std::min<int64_t>(tiles * kernels.tile_pixels, run_);
    for (int64_t c = 0; c < src.channels; ++c) src_offsets_.push_back(offset_of(c, src_.pixels()));
    for (int64_t key = 0; key < run_; ++key) score_offsets_.push_back(offset_of(key, queries_));
    no_bias_ = Tensor({2 * kernels.lanes});
    spare_bias_ = Tensor({2 * kernels.lanes});
    const int64_t last = key_groups_.back().first_block * kernels.lanes;
    std::fill(spare_bias_.values().begin() + (run_ - last), spare_bias_.values().end(), kNoScore);
  }

  void run(const RunContext& context) const override {
    const int64_t parts = int64_t{attention_.heads} * attention_.areas;
    const int64_t chunks = (run_ + queries_ - 1) / queries_;
    for (int64_t image = 0; image < dst_.images; ++image) {
      const float* src = context.read(src_) + image * src_.image_stride;
      float* dst = context.write(dst_) + image * dst_.image_stride;
      context.pool->parallel_for(parts, [&](int64_t part, int) { pack(src, part, weights(context, part)); });
      context.pool->parallel_for(parts * chunks, [&](int64_t task, int thread) {
        const int64_t first = task % chunks * queries_;
        attend(src, dst, task / chunks, first, std::min(queries_, run_ - first),
               weights(context, task / chunks), context.thread_scratch(thread));
      });
    }
  }

  std::string kernel() const override {
    return fmt::format("attention {} heads {}+{}", attention_.heads, attention_.key_channels,
                       attention_.value_channels);
  }
  int64_t shared_floats() const override {
    return int64_t{attention_.heads} * attention_.areas * (key_floats_ + value_floats_);
  }
  int64_t scratch_floats() const override {
    const int64_t results = in_place_ ? 0 : blocks_of(attention_.value_channels);
    return (blocks_of(run_) + results) * kernels_.lanes * queries_;
  }

 private:
  int64_t blocks_of(int64_t channels) const { return (channels + kernels_.lanes - 1) / kernels_.lanes; }
  // Of a channel's first pixel, in blocks of so many pixels.
  int64_t offset_of(int64_t channel, int64_t pixels) const {
    return channel / kernels_.lanes * kernels_.lanes * pixels + channel % kernels_.lanes;
  }
  // A part is a head in an area.
  int64_t first_channel(int64_t part) const { return part / attention_.areas * attention_.head_channels(); }
  int64_t first_pixel(int64_t part) const { return part % attention_.areas * run_; }
  float* weights(const RunContext& context, int64_t part) const {
    return context.shared + part * (key_floats_ + value_floats_);
  }

  // Keys: [group][channel][width]; values: [group][key][width].
  void pack(const float* map, int64_t part, float* packed) const {
    const int lanes = kernels_.lanes;
    const float* src = map + first_pixel(part) * lanes;
    const int64_t first_key = first_channel(part) + attention_.key_channels;
    const int64_t first_value = first_key + attention_.key_channels;
    for (const OutputGroup& group : key_groups_) {
      const int64_t key = group.first_block * lanes, keys = std::min(group.width(), run_ - key);
      for (int64_t c = 0; c < attention_.key_channels; c += lanes) {
        const int64_t rows = std::min<int64_t>(lanes, attention_.key_channels - c);
        float* to = packed + c * group.width();
        if (first_key % lanes == 0)
          kernels_.block_to_rows(src + src_offsets_[static_cast<size_t>(first_key + c)] + key * lanes, keys,
                                 rows, to, group.width());
        else
          for (int64_t row = 0; row < rows; ++row)
            for (int64_t i = 0; i < keys; ++i)
              to[row * group.width() + i] =
                  src[src_offsets_[static_cast<size_t>(first_key + c + row)] + (key + i) * lanes];
        for (int64_t row = 0; row < rows; ++row)
          std::fill(to + row * group.width() + keys, to + (row + 1) * group.width(), 0.f);
      }
      packed += attention_.key_channels * group.width();
    }
    for (const OutputGroup& group : value_groups_) {
      for (int64_t slot = 0; slot < group.width(); slot += lanes) {
        const int64_t value = group.first_block * lanes + slot;
        const int64_t count = std::min<int64_t>(lanes, attention_.value_channels - value);
        for (int64_t key = 0; key < run_; ++key) {
          float* to = packed + key * group.width() + slot;
          for (int64_t i = 0; i < count; ++i)
            to[i] = src[src_offsets_[static_cast<size_t>(first_value + value + i)] + key * lanes];
          std::fill(to + count, to + lanes, 0.f);
        }
      }
      packed += run_ * group.width();
    }
  }

  void attend(const float* map, float* dst, int64_t part, int64_t first, int64_t count, const float* weights,
              float* scratch) const {
    const int lanes = kernels_.lanes;
    const int64_t pixel = first_pixel(part) + first;
    float* scores = scratch;
    for (const OutputGroup& group : key_groups_) {
      multiply(kernels_, group,
               {.src = map + pixel * lanes,
                .offsets = src_offsets_.data() + first_channel(part),
                .channels = attention_.key_channels,
                .weights = weights,
                .bias = (&group == &key_groups_.back() ? spare_bias_ : no_bias_).values().data(),
                .dst = scores + group.first_block * lanes * queries_,
                .dst_block = lanes * queries_,
                .pixels = count});
      weights += attention_.key_channels * group.width();
    }
    kernels_.softmax(
        {.scores = scores,
         .block = lanes * queries_,
         .blocks = blocks_of(run_),
         .pixels = count,
         .factor = static_cast<float>(1 / std::sqrt(static_cast<double>(attention_.key_channels)))});

    const int64_t channel = part / attention_.areas * attention_.value_channels;
    float* results = in_place_ ? dst + offset_of(channel, dst_.pixels()) + pixel * lanes
                               : scratch + blocks_of(run_) * lanes * queries_;
    const int64_t results_block = lanes * (in_place_ ? dst_.pixels() : queries_);
    for (const OutputGroup& group : value_groups_) {
      multiply(kernels_, group,
               {.src = scores,
                .offsets = score_offsets_.data(),
                .channels = run_,
                .weights = weights,
                .bias = no_bias_.values().data(),
                .dst = results + group.first_block * results_block,
                .dst_block = results_block,
                .pixels = count});
      weights += run_ * group.width();
    }
    if (in_place_) return;
    for (int64_t c = 0; c < attention_.value_channels; ++c) {
      const float* from = results + offset_of(c, queries_);
      float* to = dst + offset_of(channel + c, dst_.pixels()) + pixel * lanes;
      for (int64_t i = 0; i < count; ++i) to[i * lanes] = from[i * lanes];
    }
  }

  Attention attention_;
  View src_, dst_;
  const Kernels& kernels_;
  int64_t run_;      // positions of an area
  int64_t queries_;  // of a task, at most
  std::vector<OutputGroup> key_groups_, value_groups_;
  int64_t key_floats_, value_floats_;  // of a part's weights
  bool in_place_;
  std::vector<int64_t> src_offsets_, score_offsets_;
  Tensor no_bias_, spare_bias_;
};

}  // namespace

StepPtr make_attention(const Attention& attention, const View& src, const View& dst, const Kernels& kernels) {
  return std::make_unique<AttentionStep>(attention, src, dst, kernels);
}

}  // namespace marrow::engine
