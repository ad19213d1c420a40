#include "marrow/engine/steps/detect_decode.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace marrow::engine {
namespace {

constexpr int kSides = 4;
constexpr int64_t kAnchors = 64;  // a task's; a multiple of any number of lanes
constexpr size_t kSigmoid = static_cast<size_t>(ActivationKind::kSigmoid);

class DetectDecodeStep final : public Step {
 public:
  DetectDecodeStep(const DetectDecode& decode, std::vector<View> maps, const View& dst, const Tensor& bins,
                   float least_score, const Kernels& kernels)
      : decode_(decode),
        maps_(std::move(maps)),
        dst_(dst),
        bins_(bins),
        least_logit_(logit_below(least_score)),
        kernels_(kernels) {
    int64_t anchor = 0;
    for (size_t level = 0; level < decode_.levels(); ++level)
      for (int64_t first = 0; first < maps_[level].pixels(); first += kAnchors) {
        const int64_t count = std::min(kAnchors, maps_[level].pixels() - first);
        runs_.push_back({level, first, count, anchor});
        anchor += count;
      }
  }

  void run(const RunContext& context) const override {
    const auto runs = static_cast<int64_t>(runs_.size());
    context.pool->parallel_for(dst_.images * runs, [&](int64_t task, int thread) {
      decode_run(context, task / runs, runs_[static_cast<size_t>(task % runs)],
                 context.thread_scratch(thread));
    });
  }

  std::string kernel() const override { return "detect decode"; }
  int64_t scratch_floats() const override {
    return (kSides * decode_.reg_max + decode_.classes + decode_.extra_channels + 2 * kernels_.lanes +
            kSides) *
           kAnchors;
  }

 private:
  struct Run {
    size_t level;
    int64_t pixel;
    int64_t count;
    int64_t anchor;  // of the first, in dst
  };

  // A logit whose score is below `score`, though the sigmoid is rounded; nothing where all scores count.
  static std::optional<float> logit_below(float score) {
    constexpr float kRounding = 1e-4f;
    if (score <= 0 || score >= 1) return {};
    return std::log(score / (1 - score)) - kRounding;
  }

  bool any_score(const float* scores, int64_t count) const {
    bool any = false;
    for (int c = 0; c < decode_.classes; ++c)
      for (int64_t i = 0; i < count; ++i) any |= scores[c * kAnchors + i] >= *least_logit_;
    return any;
  }

  void decode_run(const RunContext& context, int64_t image, const Run& run, float* scratch) const {
    const View& map = maps_[run.level];
    const int lanes = kernels_.lanes;
    const int64_t anchors = dst_.pixels();
    float* dst = context.write(dst_) + image * dst_.image_stride + run.anchor;

    // Channels by rows of anchors, so that every formula runs along anchors. Scores first, which may end it.
    float* rows = scratch;
    const float* src = context.read(map) + image * map.image_stride + run.pixel * lanes;
    const auto transpose = [&](int64_t first, int64_t end) {
      for (int64_t block = first; block < end; ++block)
        kernels_.block_to_rows(src + block * map.block_floats(lanes), run.count, lanes,
                               rows + block * lanes * kAnchors, kAnchors);
    };
    const int64_t bins = int64_t{kSides} * decode_.reg_max;
    const float* scores = rows + bins * kAnchors;
    transpose(bins / lanes, map.blocks(lanes));  // from the block that the first score lies in
    if (least_logit_ && !any_score(scores, run.count)) {
      for (int row = 0; row < decode_.rows(); ++row) std::fill_n(dst + row * anchors, run.count, 0.f);
      return;
    }
    transpose(0, bins / lanes);
    if (run.count < kAnchors)  // kernels read whole vectors
      for (int64_t row = 0; row < map.blocks(lanes) * lanes; ++row)
        std::fill(rows + row * kAnchors + run.count, rows + (row + 1) * kAnchors, 0.f);

    // With one bin the rows are the distances.
    float* room = scratch + map.blocks(lanes) * lanes * kAnchors;
    float* distances = decode_.reg_max == 1 ? rows : room;
    for (int side = 0; side < kSides && decode_.reg_max > 1; ++side)
      kernels_.dfl({.src = rows + int64_t{side} * decode_.reg_max * kAnchors,
                    .src_bin = kAnchors,
                    .reg_max = decode_.reg_max,
                    .bins = bins_.values().data(),
                    .dst = distances + side * kAnchors,
                    .count = static_cast<int>(run.count)});

    const auto stride = static_cast<float>(decode_.strides[run.level]);
    for (int64_t i = 0; i < run.count; ++i) {
      const float x = static_cast<float>((run.pixel + i) % map.width) + 0.5f;
      const float y = static_cast<float>((run.pixel + i) / map.width) + 0.5f;
      const float left = distances[i];
      const float top = distances[kAnchors + i];
      const float right = distances[2 * kAnchors + i];
      const float bottom = distances[3 * kAnchors + i];
      dst[i] = (x + (right - left) / 2) * stride;
      dst[anchors + i] = (y + (bottom - top) / 2) * stride;
      dst[2 * anchors + i] = (left + right) * stride;
      dst[3 * anchors + i] = (top + bottom) * stride;
    }
    for (int c = 0; c < decode_.classes; ++c)
      kernels_.unary[kSigmoid](scores + c * kAnchors, dst + (kSides + c) * anchors, run.count, 0);
    if (decode_.extra != DetectExtra::kNone)
      decode_extra(context, image, run, room + kSides * kAnchors, distances, dst);
  }

  // rows: room for the extra's channels, whole blocks of them.
  void decode_extra(const RunContext& context, int64_t image, const Run& run, float* rows,
                    const float* distances, float* dst) const {
    const View& map = maps_[decode_.levels() + run.level];
    const int lanes = kernels_.lanes;
    const float* src = context.read(map) + image * map.image_stride + run.pixel * lanes;
    for (int64_t block = 0; block < map.blocks(lanes); ++block)
      kernels_.block_to_rows(src + block * map.block_floats(lanes), run.count, lanes,
                             rows + block * lanes * kAnchors, kAnchors);
    const int64_t anchors = dst_.pixels();
    const auto stride = static_cast<float>(decode_.strides[run.level]);
    const int numbers = numbers_of_point(decode_.extra);
    float* extra = dst + (kSides + decode_.classes) * anchors;
    if (decode_.extra == DetectExtra::kAngle) return turn(run, map.width, rows, distances, dst);
    for (int c = 0; c < decode_.extra_channels; ++c) {
      const float* from = rows + c * kAnchors;
      float* to = extra + c * anchors;
      if (decode_.extra == DetectExtra::kCoefficients)
        std::copy_n(from, run.count, to);
      else if (c % numbers == 2)
        kernels_.unary[kSigmoid](from, to, run.count, 0);
      else
        for (int64_t i = 0; i < run.count; ++i) {
          const int64_t cell = run.pixel + i, at = c % numbers == 0 ? cell % map.width : cell / map.width;
          to[i] = (2 * from[i] + static_cast<float>(at)) * stride;
        }
    }
  }

  // Writes the angles, and the centres that the boxes have along their own sides.
  void turn(const Run& run, int64_t width, const float* logits, const float* distances, float* dst) const {
    const int64_t anchors = dst_.pixels();
    const auto stride = static_cast<float>(decode_.strides[run.level]);
    for (int64_t i = 0; i < run.count; ++i) {
      const double logit = logits[i];
      const double angle = (1 / (1 + std::exp(-logit)) - 0.25) * std::numbers::pi;
      const auto cosine = static_cast<float>(std::cos(angle)), sine = static_cast<float>(std::sin(angle));
      const float x = (distances[2 * kAnchors + i] - distances[i]) / 2;
      const float y = (distances[3 * kAnchors + i] - distances[kAnchors + i]) / 2;
      dst[i] = (static_cast<float>((run.pixel + i) % width) + 0.5f + x * cosine - y * sine) * stride;
      dst[anchors + i] =
          (static_cast<float>((run.pixel + i) / width) + 0.5f + x * sine + y * cosine) * stride;
      dst[(kSides + decode_.classes) * anchors + i] = static_cast<float>(angle);
    }
  }

  DetectDecode decode_;
  std::vector<View> maps_;
  View dst_;
  Tensor bins_;
  std::optional<float> least_logit_;
  const Kernels& kernels_;
  std::vector<Run> runs_;
};

}  // namespace

StepPtr make_detect_decode(const DetectDecode& decode, std::vector<View> maps, const View& dst,
                           const Tensor& bins, float least_score, const Kernels& kernels) {
  return std::make_unique<DetectDecodeStep>(decode, std::move(maps), dst, bins, least_score, kernels);
}

}  // namespace marrow::engine
