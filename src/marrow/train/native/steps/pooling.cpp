// Pools and upsampling, plane by plane.
#include <algorithm>
#include <limits>

#include "marrow/train/native/steps/planes.h"

namespace marrow::train::native {
namespace {

// The gradient goes to a window's first largest value in order of rows; a NaN is the largest. The plane lies
// in a frame of the smallest numbers, so that every window is whole.
class MaxPlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "max pool"; }
  MaxPlanes(const PlaneSetting& setting, const MaxPool& op)
      : PlaneStep(setting.readers, setting.map, setting.maps, setting.lanes), op_(op) {
    width_ = std::max((out_width_ - 1) * op.stride + op.kernel, inputs[0].width() + op.padding);
    height_ = std::max((out_height_ - 1) * op.stride + op.kernel, inputs[0].height() + op.padding);
    for (int64_t y = 0; y < op.kernel; ++y)
      for (int64_t x = 0; x < op.kernel; ++x) taps_.push_back((y * width_ + x) * lanes_);
  }

  void compute(const Plane& plane, float* out) const override {
    fill_frame(plane.in[0], plane.own);
    for (int64_t row = 0; row < out_height_; ++row)
      plane.run.kernels->max_taps({.src = plane.own + row * op_.stride * width_ * lanes_,
                                   .src_step = int64_t{op_.stride} * lanes_,
                                   .taps = taps_.data(),
                                   .tap_count = static_cast<int>(taps_.size()),
                                   .dst = out + row * out_width_ * lanes_,
                                   .pixels = out_width_});
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    float* frame = plane.own;
    float* gradient = frame + frame_floats();
    fill_frame(plane.in[0], frame);
    std::fill_n(gradient, frame_floats(), 0.0F);
    for (int64_t row = 0; row < out_height_; ++row) {
      const int64_t at = row * op_.stride * width_ * lanes_;
      plane.run.kernels->max_taps_gradient({.src = frame + at,
                                            .src_step = int64_t{op_.stride} * lanes_,
                                            .taps = taps_.data(),
                                            .tap_count = static_cast<int>(taps_.size()),
                                            .dy = plane.dy + row * out_width_ * lanes_,
                                            .dx = gradient + at,
                                            .pixels = out_width_});
    }
    for_rows([&](int64_t of_plane, int64_t of_frame, int64_t floats) {
      std::copy_n(gradient + of_frame, floats, dx[0] + of_plane);
    });
  }
  bool reads_inputs_backward() const override { return true; }
  int64_t own_floats() const override { return 2 * frame_floats(); }

 private:
  int64_t frame_floats() const { return height_ * width_ * lanes_; }
  // use(where in the plane, where in the frame, floats) for every row of the plane.
  template <class Use>
  void for_rows(const Use& use) const {
    const int64_t floats = inputs[0].width() * lanes_;
    for (int64_t y = 0; y < inputs[0].height(); ++y)
      use(y * floats, ((y + op_.padding) * width_ + op_.padding) * lanes_, floats);
  }
  void fill_frame(const float* src, float* frame) const {
    std::fill_n(frame, frame_floats(), -std::numeric_limits<float>::infinity());
    for_rows([&](int64_t of_plane, int64_t of_frame, int64_t floats) {
      std::copy_n(src + of_plane, floats, frame + of_frame);
    });
  }

  MaxPool op_;
  int64_t width_ = 0, height_ = 0;  // of the frame
  std::vector<int64_t> taps_;
};

// Cells of rows floor(r H / size) to ceil((r + 1) H / size) - 1, and columns likewise.
class AdaptiveMaxPlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "adaptive max pool"; }
  using PlaneStep::PlaneStep;

  void compute(const Plane& plane, float* out) const override {
    for_cells([&](int64_t cell, int64_t src, std::span<const int64_t> taps) {
      plane.run.kernels->max_taps({.src = plane.in[0] + src,
                                   .src_step = 0,
                                   .taps = taps.data(),
                                   .tap_count = static_cast<int>(taps.size()),
                                   .dst = out + cell,
                                   .pixels = 1});
    });
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    std::fill_n(dx[0], inputs[0].pixels() * lanes_, 0.0F);
    for_cells([&](int64_t cell, int64_t src, std::span<const int64_t> taps) {
      plane.run.kernels->max_taps_gradient({.src = plane.in[0] + src,
                                            .src_step = 0,
                                            .taps = taps.data(),
                                            .tap_count = static_cast<int>(taps.size()),
                                            .dy = plane.dy + cell,
                                            .dx = dx[0] + src,
                                            .pixels = 1});
    });
  }
  bool reads_inputs_backward() const override { return true; }

 private:
  template <class Use>
  void for_cells(const Use& use) const {
    const int64_t height = inputs[0].height(), width = inputs[0].width();
    std::vector<int64_t> taps;
    for (int64_t row = 0; row < out_height_; ++row)
      for (int64_t column = 0; column < out_width_; ++column) {
        const int64_t top = row * height / out_height_, left = column * width / out_width_;
        taps.clear();
        for (int64_t y = top; y < ((row + 1) * height + out_height_ - 1) / out_height_; ++y)
          for (int64_t x = left; x < ((column + 1) * width + out_width_ - 1) / out_width_; ++x)
            taps.push_back(((y - top) * width + x - left) * lanes_);
        use((row * out_width_ + column) * lanes_, (top * width + left) * lanes_, taps);
      }
  }
};

class AveragePlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "global average"; }
  using PlaneStep::PlaneStep;
  void compute(const Plane& plane, float* out) const override {
    const int64_t pixels = inputs[0].pixels();
    plane.run.engine->sum_lanes(plane.in[0], pixels * lanes_, out);
    for (int lane = 0; lane < lanes_; ++lane) out[lane] /= static_cast<float>(pixels);
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    const int64_t pixels = inputs[0].pixels();
    for (int64_t p = 0; p < pixels; ++p)
      for (int lane = 0; lane < lanes_; ++lane)
        dx[0][p * lanes_ + lane] = plane.dy[lane] / static_cast<float>(pixels);
  }
};

class UpsamplePlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "upsample"; }
  UpsamplePlanes(const PlaneSetting& setting, int factor)
      : PlaneStep(setting.readers, setting.map, setting.maps, setting.lanes), factor_(factor) {}
  void compute(const Plane& plane, float* out) const override {
    each_pixel([&](int64_t o, int64_t i) { out[o] = plane.in[0][i]; });
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    std::fill_n(dx[0], inputs[0].pixels() * lanes_, 0.0F);
    each_pixel([&](int64_t o, int64_t i) { dx[0][i] += plane.dy[o]; });
  }

 private:
  template <class Use>
  void each_pixel(const Use& use) const {
    const int64_t width = out_width_ / factor_;
    int64_t o = 0;
    for (int64_t y = 0; y < out_height_; ++y)
      for (int64_t x = 0; x < out_width_; ++x) {
        const int64_t i = (y / factor_ * width + x / factor_) * lanes_;
        for (int64_t lane = 0; lane < lanes_; ++lane) use(o++, i + lane);
      }
  }

  int64_t factor_;
};

}  // namespace

StepPtr make_max_pool(const PlaneSetting& setting, const MaxPool& op) {
  return std::make_unique<MaxPlanes>(setting, op);
}
StepPtr make_adaptive_max_pool(const PlaneSetting& setting) {
  return std::make_unique<AdaptiveMaxPlanes>(setting.readers, setting.map, setting.maps, setting.lanes);
}
StepPtr make_global_average(const PlaneSetting& setting) {
  return std::make_unique<AveragePlanes>(setting.readers, setting.map, setting.maps, setting.lanes);
}
StepPtr make_upsample(const PlaneSetting& setting, const Upsample& op) {
  return std::make_unique<UpsamplePlanes>(setting, op.factor);
}

}  // namespace marrow::train::native
