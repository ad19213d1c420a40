// Direct convolution by register tiles, for every convolution that nothing better takes: any kernel, stride,
// padding, dilation and grouping, on a blocked map or straight from the planar input.
//
// An output row is cut into tiles of nearly equal width, at most Kernels::tile_pixels. A tile whose taps
// would leave the row reads a copy of its patch with the zeros written out; rows of taps outside the map are
// skipped. A dst of low precision gets its tiles by way of a small float buffer.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "marrow/base/tensor.h"
#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/low_precision_epilogue.h"
#include "marrow/engine/steps/output_groups.h"

namespace marrow::engine {
namespace {

// Of the input a task reads, so that it stays in a second-level cache beside the weights.
int64_t chunk_floats() {
  return cpu::cache_bytes(2) / 4 / int64_t{sizeof(float)};
}

class Direct final : public Step {
 public:
  explicit Direct(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override;
  int64_t scratch_floats() const override { return patch_floats_ + 2 * sums_floats_; }

 private:
  // Some output channels, and the input blocks that their groups read.
  struct Group {
    OutputGroup out;
    int first_input = 0;
    int inputs = 0;         // blocks
    int last_channels = 0;  // of the last input block
    int64_t weights = 0;    // offset in weights_
    int64_t bias = 0;       // offset in bias_
  };

  void find_groups();
  void pack();
  void pack_group(const Group& group);
  void cut_into_tasks();
  void run_row(const RunContext& context, const Group& group, int64_t image, int64_t y, int64_t first_segment,
               int64_t end_segment, float* scratch) const;
  void fill_patch(const ConvTileArgs& args, int first_row, int pixels, int64_t y, int64_t x, const float* map,
                  float* patch) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  bool planar_ = false;
  int block_channels_ = 0;  // of the source: lanes, or 1 where it is planar
  int64_t in_height_, in_width_, out_height_, out_width_;
  int64_t segments_ = 0;          // tiles in a row
  std::vector<int64_t> columns_;  // where they begin, and the row's end
  int64_t chunk_ = 1;             // tiles in a task
  int64_t patch_floats_ = 0;
  int64_t sums_floats_ = 0;  // of a tile, where dst is of low precision
  TileStep step_ = TileStep::kAny;
  std::vector<Group> groups_;
  Tensor weights_, bias_;
};

Direct::Direct(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      planar_(conv.src.layout == Layout::kPlanar),
      block_channels_(planar_ ? 1 : kernels_.lanes),
      in_height_(conv.src.height),
      in_width_(conv.src.width),
      out_height_(conv.dst.height),
      out_width_(conv.dst.width) {
  const int64_t pixel = int64_t{block_channels_} * conv.stride;
  if (pixel == 2 * kernels_.lanes) step_ = TileStep::kTwoLanes;
  if (planar_ && conv.stride == 2) step_ = TileStep::kTwo;
  if (planar_ && conv.stride == 4) step_ = TileStep::kFour;

  find_groups();
  pack();
  cut_into_tasks();
  conv_.weight = {};  // packed; the caller's may go
  conv_.bias = {};
  conv_.pool = nullptr;
}

void Direct::find_groups() {
  const int64_t in_per_group = conv_.src.channels / conv_.groups;
  const int64_t out_per_group = conv_.dst.channels / conv_.groups;
  const std::vector<OutputGroup> outputs = group_outputs(conv_.dst.channels, kernels_);
  int64_t weights = 0;
  int64_t bias = 0;
  for (const OutputGroup& out : outputs) {
    Group group{out};
    const int64_t first_out = out.first_block * kernels_.lanes;
    const int64_t last_out = std::min<int64_t>(first_out + out.width(), conv_.dst.channels) - 1;
    const int64_t first_in = first_out / out_per_group * in_per_group;
    const int64_t end_in = (last_out / out_per_group + 1) * in_per_group;
    group.first_input = static_cast<int>(first_in / block_channels_);
    group.inputs = static_cast<int>((end_in + block_channels_ - 1) / block_channels_) - group.first_input;
    group.last_channels =
        static_cast<int>(end_in - (int64_t{group.first_input} + group.inputs - 1) * block_channels_);
    group.weights = weights;
    group.bias = bias;
    weights += int64_t{group.inputs} * conv_.kernel * conv_.kernel * block_channels_ * out.width();
    bias += out.width();
    groups_.push_back(group);
  }
  weights_ = Tensor({weights});
  bias_ = pack_bias(outputs, conv_.bias);
}

void Direct::pack() {
  conv_.pool->parallel_for(static_cast<int64_t>(groups_.size()),
                           [&](int64_t g, int) { pack_group(groups_[static_cast<size_t>(g)]); });
}

// [block][row][tap][channel][output]; zero where the output's group does not read the channel.
void Direct::pack_group(const Group& group) {
  const int64_t width = group.out.width();
  const int64_t in_per_group = conv_.src.channels / conv_.groups;
  const int64_t out_per_group = conv_.dst.channels / conv_.groups;
  const int64_t area = int64_t{conv_.kernel} * conv_.kernel;
  float* packed = weights_.values().data() + group.weights;
  for (int64_t o = 0; o < width; ++o) {
    const int64_t out = group.out.channel(o);
    if (out >= conv_.dst.channels) continue;
    const int64_t first_in = out / out_per_group * in_per_group;
    const float* row = conv_.weight.data() + out * in_per_group * area;
    for (int64_t i = 0; i < in_per_group; ++i) {
      const int64_t in = first_in + i - int64_t{group.first_input} * block_channels_;
      const int64_t block = in / block_channels_;
      // The last block is packed without its spare channels.
      const int64_t channels = block + 1 == group.inputs ? group.last_channels : block_channels_;
      float* at = packed + block * area * block_channels_ * width + in % block_channels_ * width + o;
      for (int64_t tap = 0; tap < area; ++tap) at[tap * channels * width] = row[i * area + tap];
    }
  }
}

void Direct::cut_into_tasks() {
  segments_ = (out_width_ + kernels_.tile_pixels - 1) / kernels_.tile_pixels;
  for (int64_t segment = 0; segment <= segments_; ++segment)
    columns_.push_back(segment * out_width_ / segments_);
  const int64_t all = segments_ * out_height_;
  const int64_t reach = int64_t{conv_.dilation} * (conv_.kernel - 1);
  const int64_t in_floats = in_height_ * in_width_ * conv_.src.channels;
  chunk_ = std::clamp<int64_t>(chunk_floats() * all / std::max<int64_t>(in_floats, 1), 1, all);
  const int64_t wanted = kTasksPerThread * conv_.pool->threads();
  const auto groups = static_cast<int64_t>(groups_.size());
  while (chunk_ > 4 && (all + chunk_ - 1) / chunk_ * groups * conv_.dst.images < wanted) chunk_ /= 2;

  int most_inputs = 0, most_vectors = 0;
  for (const Group& group : groups_) {
    most_inputs = std::max(most_inputs, group.inputs);
    most_vectors = std::max(most_vectors, group.out.vectors());
  }
  const int64_t span = (kernels_.tile_pixels - 1) * int64_t{conv_.stride} + reach + 1;
  const bool padded = reach > 0 || conv_.pad_x.before > 0 || conv_.pad_x.after > 0;
  patch_floats_ = padded ? most_inputs * conv_.kernel * span * block_channels_ : 0;
  if (conv_.dst.element != Element::kFloat32)
    sums_floats_ = int64_t{kernels_.tile_pixels} * most_vectors * kernels_.lanes;
}

void Direct::run(const RunContext& context) const {
  const int64_t all = segments_ * out_height_;
  const int64_t chunks = (all + chunk_ - 1) / chunk_;
  const auto groups = static_cast<int64_t>(groups_.size());
  // Output groups vary fastest, so that a thread's share is a region of the map: the next layer finds it in
  // the same core's cache.
  context.pool->parallel_for(conv_.dst.images * chunks * groups, [&](int64_t task, int thread) {
    const Group& group = groups_[static_cast<size_t>(task % groups)];
    const int64_t first = task / groups % chunks * chunk_;
    const int64_t last = std::min(first + chunk_, all);
    for (int64_t segment = first; segment < last;) {
      const int64_t y = segment / segments_;
      const int64_t end = std::min(last, (y + 1) * segments_);
      run_row(context, group, task / groups / chunks, y, segment - y * segments_, end - y * segments_,
              context.thread_scratch(thread));
      segment = end;
    }
  });
}

// Some tiles of a row. Their epilogue follows when all are there: they still lie in the first-level cache.
void Direct::run_row(const RunContext& context, const Group& group, int64_t image, int64_t y,
                     int64_t first_segment, int64_t end_segment, float* scratch) const {
  const float* map = context.read(conv_.src) + image * conv_.src.image_stride +
                     group.first_input * in_height_ * in_width_ * block_channels_;
  const int64_t in_y = y * conv_.stride - conv_.pad_y.before;
  const int first_row = in_y < 0 ? static_cast<int>((-in_y + conv_.dilation - 1) / conv_.dilation) : 0;
  const int64_t room = in_height_ - 1 - in_y;
  const int end_row =
      room < 0 ? 0 : static_cast<int>(std::min<int64_t>(conv_.kernel, room / conv_.dilation + 1));

  ConvTileArgs args;
  args.rows = std::max(end_row - first_row, 0);
  args.taps = conv_.kernel;
  args.blocks = group.inputs;
  args.block_channels = block_channels_;
  args.last_channels = group.last_channels;
  args.src_pixel = int64_t{block_channels_} * conv_.stride;
  args.src_tap = int64_t{block_channels_} * conv_.dilation;
  args.weights_block = int64_t{conv_.kernel} * conv_.kernel * block_channels_ * group.out.width();
  args.weights = weights_.values().data() + group.weights;
  args.first_row = first_row;
  args.bias = bias_.values().data() + group.bias;

  const auto& tiles =
      kernels_.conv_tile[static_cast<size_t>(step_)][static_cast<size_t>(group.out.halves - 1)];
  const float* row = map + (in_y + int64_t{first_row} * conv_.dilation) * in_width_ * block_channels_;
  const int64_t reach = int64_t{conv_.dilation} * (conv_.kernel - 1);
  const bool low_precision = conv_.dst.element != Element::kFloat32;
  float* sums = scratch + patch_floats_;
  TilePlace place{image, group.out.first_block, group.out.vectors(), 0, 0};
  for (int64_t segment = first_segment; segment < end_segment; ++segment) {
    const int64_t x = columns_[static_cast<size_t>(segment)];
    const auto pixels = static_cast<int>(columns_[static_cast<size_t>(segment) + 1] - x);
    const int64_t in_x = x * conv_.stride - conv_.pad_x.before;
    if (in_x < 0 || in_x + (pixels - 1) * int64_t{conv_.stride} + reach >= in_width_) {
      fill_patch(args, first_row, pixels, in_y, in_x, map, scratch);
      const int64_t span = (pixels - 1) * int64_t{conv_.stride} + reach + 1;
      args.src = scratch;
      args.src_row = span * block_channels_;
      args.src_block = args.rows * args.src_row;
    } else {
      args.src = row + in_x * block_channels_;
      args.src_row = conv_.dilation * in_width_ * block_channels_;
      args.src_block = in_height_ * in_width_ * block_channels_;
    }
    place.pixel = y * out_width_ + x;
    place.pixels = pixels;
    args.dst = low_precision ? sums : place.in(conv_.dst, context.write(conv_.dst), kernels_.lanes);
    args.dst_block = low_precision ? pixels * kernels_.lanes : conv_.dst.block_floats(kernels_.lanes);
    tiles[static_cast<size_t>(pixels - 1)](args);
    if (low_precision)
      finish_low_precision_tile(context, conv_, place, sums, args.dst_block, sums + sums_floats_);
  }
  if (low_precision) return;
  const int64_t x = columns_[static_cast<size_t>(first_segment)];
  place.pixel = y * out_width_ + x;
  place.pixels = columns_[static_cast<size_t>(end_segment)] - x;
  finish_tile(context, conv_, place);
}

// [block][row][pixel]: the tile's taps with the columns outside the map as zeros.
void Direct::fill_patch(const ConvTileArgs& args, int first_row, int pixels, int64_t y, int64_t x,
                        const float* map, float* patch) const {
  const int64_t span =
      (pixels - 1) * int64_t{conv_.stride} + int64_t{conv_.dilation} * (conv_.kernel - 1) + 1;
  const int64_t left = std::clamp<int64_t>(-x, 0, span);
  const int64_t end = std::clamp<int64_t>(in_width_ - x, left, span);
  const auto bytes = [&](int64_t count) {
    return static_cast<size_t>(count * block_channels_) * sizeof(float);
  };
  for (int block = 0; block < args.blocks; ++block)
    for (int row = 0; row < args.rows; ++row, patch += span * block_channels_) {
      const int64_t in_y = y + int64_t{first_row + row} * conv_.dilation;
      const float* from = map + ((block * in_height_ + in_y) * in_width_ + x + left) * block_channels_;
      std::memset(patch, 0, bytes(left));
      std::memcpy(patch + left * block_channels_, from, bytes(end - left));
      std::memset(patch + end * block_channels_, 0, bytes(span - end));
    }
}

std::string Direct::kernel() const {
  return fmt::format("direct {0}x{0}/{1}{2}{3} tile {4}x{5}{6}", conv_.kernel, conv_.stride,
                     conv_.groups > 1 ? fmt::format(" groups {}", conv_.groups) : "",
                     planar_ ? " planar" : "", (out_width_ + segments_ - 1) / segments_,
                     groups_.front().out.halves / 2.0, to_string(conv_.epilogue));
}

}  // namespace

StepPtr make_direct(const ConvDescription& conv) {
  return std::make_unique<Direct>(conv);
}

}  // namespace marrow::engine
