// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3) in all three directions: the output, the gradient of
// the input (the same with transposed, turned weights), and that of the weights,
//   dW = G^T [ sum over tiles of (A dY A^T) * (B^T X B) ] G
// Tiles of several images make a task, so that products are wide where maps are small.
// Source: Lavin and Gray 2015; the matrices are in engine/kernels/winograd_points.h.
#include <algorithm>
#include <array>
#include <numeric>

#include "marrow/engine/kernels/winograd_points.h"
#include "marrow/train/native/steps/convolution.h"

namespace marrow::train::native {
namespace {

using Form = engine::winograd::Unit;
constexpr int64_t kTile = engine::winograd::kTile;
constexpr int64_t kProducts = int64_t{Form::kProducts} * Form::kProducts;

// Rows of tiles of one image, and the place of the first tile in its task.
struct Segment {
  int64_t image, first, rows, at;
};
struct Task {
  std::vector<Segment> segments;
  int64_t tiles = 0;
};

std::vector<Task> cut(int64_t images, int64_t rows, int64_t columns, int64_t wanted) {
  std::vector<Task> tasks(1);
  for (int64_t image = 0; image < images; ++image)
    for (int64_t row = 0; row < rows;) {
      if (tasks.back().tiles >= wanted) tasks.emplace_back();
      Task& task = tasks.back();
      const int64_t missing = (wanted - task.tiles + columns - 1) / columns;
      const int64_t taken = std::min(rows - row, missing);
      task.segments.push_back({image, row, taken, task.tiles});
      task.tiles += taken * columns;
      row += taken;
    }
  return tasks;
}

class Winograd final : public DenseConvolution {
 public:
  Winograd(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes)
      : DenseConvolution(setting, maps, lanes),
        height_(reader().height()),
        width_(reader().width()),
        columns_((width_ + kTile - 1) / kTile) {
    constexpr int64_t kWanted = 48;
    tasks_ = cut(reader().images(), (height_ + kTile - 1) / kTile, columns_, kWanted);
    for (const Task& task : tasks_) {
      most_tiles_ = std::max(most_tiles_, task.tiles);
      for (const Segment& segment : task.segments)
        most_rows_ = std::max(most_rows_, kTile * segment.rows + Form::kPatch - kTile);
    }
    zeros_.assign(static_cast<size_t>((columns_ * kTile + Form::kPatch) * lanes), 0);
  }

  int64_t scratch_floats() const override {
    const int64_t products = kProducts * step() * (reader().blocks() + 2 * out_blocks_ + kMostGroup);
    return most_rows_ * width_ * lanes_ + std::max(products, taps() * lanes_ * input_lanes());
  }

  int64_t shared_floats() const override { return shared_of(kProducts * matrix_floats()); }
  std::string kind() const override { return "winograd 3x3"; }

  void forward(const Run& run) override {
    pack_weights(run);
    product_.begin_forward(run);
    const auto tasks = static_cast<int64_t>(tasks_.size());
    run.for_chunks(tasks, std::min(tasks, kMostShares), [&](int64_t chunk, int64_t share, int thread) {
      const Task& task = tasks_[static_cast<size_t>(chunk)];
      const Scratch scratch = scratch_of(run, thread);
      transform_inputs(run, task, scratch);
      multiply(run, task, scratch.inputs, reader().blocks(), packed_.forward, out_blocks_, scratch,
               [&](const Segment& segment, int64_t block, float* rows) {
                 product_.store(run, share, segment.image, block, kTile * segment.first * width_,
                                rows_of(segment) * width_, rows);
               });
    });
    product_.end_forward(run);
  }

  void backward(const Run& run) override {
    product_.begin_backward(run);
    Reader& input = reader();
    const bool data = input.wants_gradient(run.maps), weights = weight_.gradient != nullptr;
    if (data) input.begin_backward(lanes_);
    const auto tasks = static_cast<int64_t>(tasks_.size());
    const int64_t all = kProducts * matrix_floats();
    const int64_t shares = std::min(tasks, weights ? weight_shares(all) : kMostShares);
    float* acc = weights ? run.zeros(shares * all) : nullptr;
    run.for_chunks(tasks, shares, [&](int64_t chunk, int64_t share, int thread) {
      const Task& task = tasks_[static_cast<size_t>(chunk)];
      const Scratch scratch = scratch_of(run, thread);
      if (weights) transform_inputs(run, task, scratch);
      transform_gradients(run, share, task, weights, data, scratch);
      if (weights)
        for (int64_t product = 0; product < kProducts; ++product)
          run.kernels->outer({.dy = scratch.gradients + product * step(),
                              .dy_block = kProducts * step(),
                              .dy_row = 0,
                              .outputs = static_cast<int>(out_blocks_),
                              .x = scratch.inputs + product * step(),
                              .x_block = kProducts * step(),
                              .x_row = 0,
                              .x_step = lanes_,
                              .inputs = input.blocks(),
                              .rows = 1,
                              .pixels = task.tiles,
                              .acc = acc + share * all + product * matrix_floats(),
                              .acc_step = input_lanes()});
      if (data)
        multiply(run, task, scratch.outer_gradients, out_blocks_, packed_.backward, input.blocks(), scratch,
                 [&](const Segment& segment, int64_t block, const float* rows) {
                   input.give(run, share, segment.image, static_cast<int>(block),
                              kTile * segment.first * width_, rows_of(segment) * width_, rows);
                 });
    });
    if (weights) add_winograd_gradient(run, acc, shares);
    if (data) input.end_backward(run);
    product_.end_backward(run);
  }

 private:
  static constexpr int64_t kMostGroup = 4;  // blocks of outputs that a tile computes together

  // Products are [block][product][tile], step() floats apart.
  struct Scratch {
    float* rows;             // of one block
    float* inputs;           // B^T X B
    float* gradients;        // A dY A^T
    float* outer_gradients;  // B^T dY B, of patches
    float* results;
  };
  // A line of the cache more than the tiles: products would meet in one set of it.
  int64_t step() const { return most_tiles_ * lanes_ + engine::kLineFloats; }
  Scratch scratch_of(const Run& run, int thread) const {
    float* rows = run.thread_scratch(thread);
    float* inputs = rows + most_rows_ * width_ * lanes_;
    float* gradients = inputs + kProducts * step() * reader().blocks();
    float* outer_gradients = gradients + kProducts * step() * out_blocks_;
    return {rows, inputs, gradients, outer_gradients, outer_gradients + kProducts * step() * out_blocks_};
  }
  // Of outputs that lie inside the map.
  int64_t rows_of(const Segment& segment) const {
    return std::min(kTile * segment.rows, height_ - kTile * segment.first);
  }

  // Calls prepare(y, rows, dst) for the rows of the map in reach of a segment, which begin at y.
  template <class Prepare>
  void with_rows(const Segment& segment, const Scratch& scratch, const Prepare& prepare) const {
    const int64_t first = std::max<int64_t>(kTile * segment.first - 1, 0);
    const int64_t end = std::min(kTile * (segment.first + segment.rows) + 1, height_);
    prepare(first, end - first, scratch.rows);
  }

  // B^T D B of a segment's patches, from rows that begin at `first`.
  void transform_patches(const Run& run, const Segment& segment, int64_t first, int64_t rows,
                         const float* src, float* dst) const {
    engine::WinogradInputArgs<float> args;
    args.tiles = static_cast<int>(columns_);
    args.first_column = 1;
    args.end_column = static_cast<int>(std::min(columns_ * kTile + Form::kPatch - kTile, width_ + 1));
    args.dst_step = step();
    for (int64_t row = 0; row < segment.rows; ++row) {
      for (int64_t y = 0; y < Form::kPatch; ++y) {
        const int64_t at = kTile * (segment.first + row) - 1 + y - first;
        args.rows[static_cast<size_t>(y)] =
            at >= 0 && at < rows ? src + (at * width_ - 1) * lanes_ : zeros_.data();
      }
      args.dst = dst + (segment.at + row * columns_) * lanes_;
      run.engine->winograd[0].input(args);
    }
  }

  void transform_inputs(const Run& run, const Task& task, const Scratch& scratch) const {
    for (int block = 0; block < reader().blocks(); ++block)
      for (const Segment& segment : task.segments)
        with_rows(segment, scratch, [&](int64_t first, int64_t rows, float* src) {
          reader().prepare(run, segment.image, block, first * width_, rows * width_, src);
          transform_patches(run, segment, first, rows, src, scratch.inputs + block * kProducts * step());
        });
  }

  void transform_gradients(const Run& run, int64_t share, const Task& task, bool weights, bool data,
                           const Scratch& scratch) {
    for (int64_t block = 0; block < out_blocks_; ++block)
      for (const Segment& segment : task.segments)
        with_rows(segment, scratch, [&](int64_t first, int64_t rows, float* src) {
          // The segment's own rows, of which the bias's gradient is made, and those around.
          const int64_t own = kTile * segment.first, own_end = own + rows_of(segment);
          const auto prepare = [&](int64_t y, int64_t count, bool counts) {
            if (count > 0)
              product_.prepare_gradient(run, share, segment.image, block, y * width_, count * width_, counts,
                                        src + (y - first) * width_ * lanes_);
          };
          prepare(first, own - first, false);
          prepare(own, own_end - own, true);
          prepare(own_end, first + rows - own_end, false);
          if (data)
            transform_patches(run, segment, first, rows, src,
                              scratch.outer_gradients + block * kProducts * step());
          if (!weights) return;
          for (int64_t row = 0; row < segment.rows; ++row)
            run.kernels->winograd_gradient(
                {.src = src + (own + kTile * row - first) * width_ * lanes_,
                 .src_row = width_ * lanes_,
                 .rows = static_cast<int>(std::min(kTile, own_end - own - kTile * row)),
                 .columns = static_cast<int>(width_),
                 .tiles = static_cast<int>(columns_),
                 .dst =
                     scratch.gradients + block * kProducts * step() + (segment.at + row * columns_) * lanes_,
                 .dst_step = step()});
        });
  }

  // done(segment, block, its rows) for every block of outputs.
  template <class Done>
  void multiply(const Run& run, const Task& task, const float* src, int64_t in_blocks, const Tensor& packed,
                int64_t out_blocks, const Scratch& scratch, const Done& done) const {
    const int64_t tap = 0;
    const float* weights = packed.values().data();
    for (int64_t first = 0, blocks = 0; first < out_blocks; first += blocks) {
      blocks = next_group(static_cast<int>(out_blocks - first), run.kernels->output_group);
      for (int64_t product = 0; product < kProducts; ++product) {
        run.kernels->multiply({.src = src + product * step(),
                               .src_block = kProducts * step(),
                               .src_step = lanes_,
                               .blocks = static_cast<int>(in_blocks),
                               .block_channels = lanes_,
                               .taps = &tap,
                               .tap_count = 1,
                               .weights = weights,
                               .outputs = static_cast<int>(blocks),
                               .dst = scratch.results + product * step(),
                               .dst_block = kProducts * step(),
                               .dst_step = lanes_,
                               .pixels = task.tiles});
        weights += group_floats(in_blocks, lanes_, 1, blocks);
      }
      for (int64_t block = 0; block < blocks; ++block)
        for (const Segment& segment : task.segments) {
          for (int64_t row = 0; row < segment.rows; ++row)
            run.engine->winograd[0].output(
                {.src = scratch.results + block * kProducts * step() + (segment.at + row * columns_) * lanes_,
                 .src_step = step(),
                 .bias = zeros_.data(),
                 .dst = scratch.rows + kTile * row * width_ * lanes_,
                 .dst_row = width_ * lanes_,
                 .rows = static_cast<int>(std::min(kTile, rows_of(segment) - kTile * row)),
                 .columns = static_cast<int>(width_)});
          done(segment, first + block, scratch.rows);
        }
    }
  }

  void pack_weights(const Run& run) {
    if (!packed_.need(kind(), run.version)) return;
    std::array<int, 9> taps;
    std::iota(taps.begin(), taps.end(), 0);
    pack(run, {.winograd = true, .taps = taps, .block_channels = lanes_}, packed_.forward);
    if (!reader().wants_gradient(run.maps)) return;
    std::ranges::reverse(taps);
    pack(run, {.turned = true, .winograd = true, .taps = taps, .block_channels = lanes_}, packed_.backward);
  }

  // A block of outputs at a time, which lie together in every product's matrix.
  void add_winograd_gradient(const Run& run, float* acc, int64_t shares) const {
    const int64_t all = kProducts * matrix_floats(), rows = lanes_ * input_lanes();
    run.pool->parallel_for(out_blocks_, [&](int64_t block, int thread) {
      float* sums = acc + block * rows;
      for (int64_t product = 0; product < kProducts; ++product)
        for (int64_t share = 1; share < shares; ++share) {
          float* place = sums + product * matrix_floats();
          run.engine->add(place, place + share * all, place, rows);
        }
      float* taps = run.thread_scratch(thread);
      run.kernels->winograd_weight_gradient(
          {.src = sums, .src_step = matrix_floats(), .dst = taps, .dst_step = rows, .count = rows});
      add_block_gradients(block, taps, rows);
    });
  }

  int64_t height_, width_, columns_;
  std::vector<Task> tasks_;
  int64_t most_tiles_ = 0, most_rows_ = 0;
  std::vector<float> zeros_;
};

}  // namespace

StepPtr make_winograd(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes) {
  return std::make_unique<Winograd>(setting, maps, lanes);
}

}  // namespace marrow::train::native
