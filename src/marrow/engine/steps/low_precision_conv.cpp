// Dense convolution of bytes or bfloat16 by register tiles.
//
// A task takes some rows of outputs. Where the convolution is padded it first copies the input rows that they
// need, with the padding written out, so that tiles know no borders; the copy stays in the second-level cache
// while all output channels are computed from it. Where the kernels multiply bytes as 16 bits the copy is of
// 16 bits, and always made. A 1x1 convolution of stride 1 sees the map as one long row.
// The sums of a tile, or of a few where the kernels take more pixels at once, go to a small float buffer
// (where dst is float32: to dst), through the epilogue, and from there to dst.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/low_precision_epilogue.h"
#include "marrow/engine/steps/low_precision_weights.h"

namespace marrow::engine {
namespace {

constexpr int64_t kSumsFloats = 432;  // of an output block, where tiles take any pixels
// That a task reads, unless one row is more.
int64_t input_bytes() {
  return cpu::cache_bytes(2) / 8;
}

class LowPrecisionConv final : public Step {
 public:
  explicit LowPrecisionConv(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override;
  int64_t scratch_floats() const override { return copy_floats_ + 2 * sums_floats_; }

 private:
  struct Range {
    int64_t first, end;
  };
  struct Task {
    int64_t image;
    Range rows, segments, groups;  // of outputs, of parts of a row, of output blocks
  };

  void cut_into_tasks(int threads);
  int64_t in_rows(int64_t out_rows) const { return (out_rows - 1) * conv_.stride + reach() + 1; }
  int64_t reach() const { return int64_t{conv_.dilation} * (conv_.kernel - 1); }
  // The outputs of a row whose inputs a task copies, and the columns that so many read.
  Range columns(const Task& task) const {
    if (!widens_) return {0, out_width_};
    return {task.segments.first * out_width_ / segments_, task.segments.end * out_width_ / segments_};
  }
  int64_t copy_width(int64_t outputs) const { return (outputs - 1) * conv_.stride + reach() + 1; }
  void copy_rows(const RunContext& context, const Task& task, uint8_t* copy) const;
  void widen_rows(const RunContext& context, const Task& task, int16_t* copy) const;
  void run_task(const RunContext& context, const Task& task, float* scratch) const;
  void run_tile(const RunContext& context, LowPrecisionTileArgs& args, const TilePlace& place,
                float* sums) const;

  ConvDescription conv_;
  const LowPrecisionKernels& low_precision_;
  const int lanes_;
  const int64_t pixel_bytes_;  // of a block of src
  int64_t in_height_, in_width_, out_height_, out_width_;
  int64_t in_blocks_, out_blocks_;
  bool padded_ = false, widens_ = false;
  int64_t segment_pixels_ = 0;  // at most
  int64_t segments_ = 0;        // of a row
  int64_t groups_ = 0;
  int64_t rows_ = 1, task_segments_ = 1, task_groups_ = 1;  // in a task
  int64_t copy_floats_ = 0, sums_floats_ = 0;
  LowPrecisionWeights weights_;
};

LowPrecisionConv::LowPrecisionConv(const ConvDescription& conv)
    : conv_(conv),
      low_precision_(conv.kernels->low_precision(conv.src.element)),
      lanes_(conv.kernels->lanes),
      pixel_bytes_(int64_t{lanes_} * element_bytes(conv.src.element)),
      in_height_(conv.src.height),
      in_width_(conv.src.width),
      out_height_(conv.dst.height),
      out_width_(conv.dst.width),
      in_blocks_(conv.src.blocks(lanes_)),
      out_blocks_(conv.dst.blocks(lanes_)),
      padded_(conv.pad_x != Padding() || conv.pad_y != Padding()),
      widens_(low_precision_.widen != nullptr),
      groups_((out_blocks_ + low_precision_.tile_vectors - 1) / low_precision_.tile_vectors),
      weights_(pack_low_precision_weights(conv, low_precision_.tile_vectors)) {
  if (conv.kernel == 1 && conv.stride == 1 && !padded_) {
    in_width_ = out_width_ = conv.dst.pixels();
    in_height_ = out_height_ = 1;
  }
  cut_into_tasks(conv.pool->threads());
  conv_.weight = {};  // packed; the caller's may go
  conv_.bias = {};
  conv_.pool = nullptr;
}

void LowPrecisionConv::cut_into_tasks(int threads) {
  segment_pixels_ = low_precision_.tile_pixels;
  if (low_precision_.any_pixels)
    segment_pixels_ *= std::max<int64_t>(kSumsFloats / (lanes_ * segment_pixels_), 1);
  segments_ = (out_width_ + segment_pixels_ - 1) / segment_pixels_;
  task_segments_ = segments_;
  task_groups_ = groups_;
  const int64_t row_bytes = in_blocks_ * in_width_ * pixel_bytes_ * (widens_ ? 2 : 1);
  const auto count = [](int64_t all, int64_t part) { return (all + part - 1) / part; };
  const auto tasks = [&] {
    return conv_.dst.images * count(out_height_, rows_) * count(segments_, task_segments_) *
           count(groups_, task_groups_);
  };
  while (rows_ < out_height_ && in_rows(rows_ + 1) * row_bytes <= input_bytes()) ++rows_;
  if (out_height_ == 1 && !padded_)
    task_segments_ = std::clamp<int64_t>(input_bytes() * segments_ / row_bytes, 1, segments_);
  const int64_t wanted = kTasksPerThread * threads;
  while (rows_ > 4 && tasks() < wanted) rows_ = (rows_ + 1) / 2;
  const int64_t least_segments = low_precision_.any_pixels ? 1 : 4;
  while (out_height_ == 1 && task_segments_ > least_segments && tasks() < wanted)
    task_segments_ = (task_segments_ + 1) / 2;
  while (threads > 1 && task_groups_ > 1 && tasks() < wanted) task_groups_ = (task_groups_ + 1) / 2;

  const int64_t outputs =
      widens_ ? std::min((task_segments_ * out_width_ + segments_ - 1) / segments_ + 1, out_width_)
              : out_width_;
  const int64_t copy_bytes = in_blocks_ * in_rows(rows_) * copy_width(outputs) * pixel_bytes_;
  if (widens_ || padded_) copy_floats_ = (copy_bytes * (widens_ ? 2 : 1) + 63) / 64 * 16;
  sums_floats_ = low_precision_.tile_vectors * segment_pixels_ * lanes_;
}

void LowPrecisionConv::run(const RunContext& context) const {
  const int64_t row_tasks = (out_height_ + rows_ - 1) / rows_;
  const int64_t segment_tasks = (segments_ + task_segments_ - 1) / task_segments_;
  const int64_t group_tasks = (groups_ + task_groups_ - 1) / task_groups_;
  const auto range = [](int64_t part, int64_t size, int64_t all) {
    return Range{part * size, std::min((part + 1) * size, all)};
  };
  // Output groups vary fastest, so that a thread's share is a region of the map: the next layer finds it in
  // the same core's cache.
  context.pool->parallel_for(conv_.dst.images * row_tasks * segment_tasks * group_tasks,
                             [&](int64_t index, int thread) {
                               Task task;
                               task.groups = range(index % group_tasks, task_groups_, groups_);
                               index /= group_tasks;
                               task.segments = range(index % segment_tasks, task_segments_, segments_);
                               index /= segment_tasks;
                               task.rows = range(index % row_tasks, rows_, out_height_);
                               task.image = index / row_tasks;
                               run_task(context, task, context.thread_scratch(thread));
                             });
}

void LowPrecisionConv::run_task(const RunContext& context, const Task& task, float* scratch) const {
  auto* copy = reinterpret_cast<uint8_t*>(scratch);
  LowPrecisionTileArgs args = {};
  args.rows = args.taps = conv_.kernel;
  args.last_dwords = weights_.last_dwords;
  const int64_t width = copy_width(columns(task).end - columns(task).first);
  const int64_t rows = in_rows(task.rows.end - task.rows.first);
  const uint8_t* origin = nullptr;  // what output 0 of the task's first row reads first
  int64_t pixel = pixel_bytes_, row_bytes = 0;
  if (widens_) {
    widen_rows(context, task, reinterpret_cast<int16_t*>(copy));
    args.blocks = 1;
    pixel = in_blocks_ * lanes_ * int64_t{sizeof(int16_t)};
    row_bytes = width * pixel;
    origin = copy - columns(task).first * conv_.stride * pixel;
    // The channels of neighbouring taps follow each other.
    if (conv_.dilation == 1 && conv_.src.channels == in_blocks_ * lanes_) {
      args.taps = 1;
      args.last_dwords *= conv_.kernel;
    }
  } else {
    args.blocks = static_cast<int>(in_blocks_);
    args.dwords = lanes_ / dword_channels(conv_.src.element);
    if (padded_) {
      copy_rows(context, task, copy);
      row_bytes = width * pixel;
      args.src_block = rows * row_bytes;
      origin = copy - columns(task).first * conv_.stride * pixel;
    } else {
      row_bytes = in_width_ * pixel;
      args.src_block = in_height_ * row_bytes;
      origin = context.low_precision(conv_.src) +
               task.image * conv_.src.image_stride * element_bytes(conv_.src.element) +
               task.rows.first * conv_.stride * row_bytes;
    }
  }
  args.src_pixel = conv_.stride * pixel;
  args.src_tap = conv_.dilation * pixel;
  args.src_row = conv_.dilation * row_bytes;

  for (int64_t group = task.groups.first; group < task.groups.end; ++group) {
    const int64_t block = group * low_precision_.tile_vectors;
    args.vectors = static_cast<int>(std::min<int64_t>(low_precision_.tile_vectors, out_blocks_ - block));
    args.weights = weights_.weights.bytes() + group * weights_.group_bytes;
    args.start = weights_.start.values<int32_t>().data() + block * lanes_;
    args.scale = weights_.scale.values().data() + block * lanes_;
    args.bias = weights_.bias.values().data() + block * lanes_;
    for (int64_t y = task.rows.first; y < task.rows.end; ++y)
      for (int64_t segment = task.segments.first; segment < task.segments.end; ++segment) {
        const int64_t x = segment * out_width_ / segments_;
        args.pixels = static_cast<int>((segment + 1) * out_width_ / segments_ - x);
        args.src = origin + (y - task.rows.first) * conv_.stride * row_bytes + x * args.src_pixel;
        run_tile(context, args, {task.image, block, args.vectors, y * out_width_ + x, args.pixels},
                 scratch + copy_floats_);
      }
  }
}

// [block][row][pixel], all columns that the outputs of a row read.
void LowPrecisionConv::copy_rows(const RunContext& context, const Task& task, uint8_t* copy) const {
  const int64_t width = copy_width(out_width_);
  const int64_t left = std::min<int64_t>(conv_.pad_x.before, width);
  const int64_t inside = std::min(in_width_, width - left);
  const auto bytes = [&](int64_t pixels) { return static_cast<size_t>(pixels * pixel_bytes_); };
  const int padding = conv_.src.element == Element::kByte ? conv_.src.scale.zero_point : 0;
  const uint8_t* map = context.low_precision(conv_.src) +
                       task.image * conv_.src.image_stride * element_bytes(conv_.src.element);
  const int64_t first = task.rows.first * conv_.stride - conv_.pad_y.before;
  const int64_t count = in_rows(task.rows.end - task.rows.first);
  for (int64_t block = 0; block < in_blocks_; ++block)
    for (int64_t y = first; y < first + count; ++y, copy += bytes(width)) {
      if (y < 0 || y >= in_height_) {
        std::memset(copy, padding, bytes(width));
        continue;
      }
      std::memset(copy, padding, bytes(left));
      std::memcpy(copy + bytes(left), map + (block * in_height_ + y) * in_width_ * pixel_bytes_,
                  bytes(inside));
      std::memset(copy + bytes(left + inside), padding, bytes(width - left - inside));
    }
}

// [row][pixel][channel] as 16 bits, the columns that the task's outputs read.
void LowPrecisionConv::widen_rows(const RunContext& context, const Task& task, int16_t* copy) const {
  const Range outputs = columns(task);
  const int64_t width = copy_width(outputs.end - outputs.first);
  const int64_t x = outputs.first * conv_.stride - conv_.pad_x.before;
  const int64_t left = std::clamp<int64_t>(-x, 0, width);
  const int64_t inside = std::clamp<int64_t>(in_width_ - (x + left), 0, width - left);
  const int64_t words = in_blocks_ * lanes_;  // of a pixel
  const uint8_t* map = context.low_precision(conv_.src) + task.image * conv_.src.image_stride;
  const auto pad = [&](int64_t pixels) {
    copy = std::fill_n(copy, pixels * words, static_cast<int16_t>(conv_.src.scale.zero_point));
  };
  const int64_t first = task.rows.first * conv_.stride - conv_.pad_y.before;
  const int64_t count = in_rows(task.rows.end - task.rows.first);
  for (int64_t y = first; y < first + count; ++y) {
    if (y < 0 || y >= in_height_) {
      pad(width);
      continue;
    }
    pad(left);
    low_precision_.widen(map + (y * in_width_ + x + left) * lanes_, in_height_ * in_width_ * lanes_,
                         in_blocks_, inside, copy);
    copy += inside * words;
    pad(width - left - inside);
  }
}

void LowPrecisionConv::run_tile(const RunContext& context, LowPrecisionTileArgs& args, const TilePlace& place,
                                float* sums) const {
  const View& dst = conv_.dst;
  args.dst = sums;
  args.dst_block = place.pixels * lanes_;
  if (dst.element == Element::kFloat32) {
    args.dst = place.in(dst, context.write(dst), lanes_);
    args.dst_block = dst.block_floats(lanes_);
  }
  low_precision_.tile(args);
  finish_low_precision_tile(context, conv_, place, args.dst, args.dst_block, sums + sums_floats_);
}

std::string LowPrecisionConv::kernel() const {
  return fmt::format("{0} {1} {2}x{2}/{3} tile {4}x{5}{6}",
                     conv_.src.element == Element::kByte ? "int8" : "bf16", low_precision_.name, conv_.kernel,
                     conv_.stride,
                     std::min<int64_t>((out_width_ + segments_ - 1) / segments_, low_precision_.tile_pixels),
                     low_precision_.tile_vectors, to_string(conv_.epilogue));
}

}  // namespace

StepPtr make_low_precision_direct(const ConvDescription& conv) {
  return std::make_unique<LowPrecisionConv>(conv);
}

bool accepts_low_precision(const ConvDescription& conv) {
  return conv.src.element != Element::kFloat32;
}

}  // namespace marrow::engine
