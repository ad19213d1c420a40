// Sums, products, gates, scales and drop path.
#include <algorithm>
#include <cstring>

#include "marrow/graph/training_mode.h"
#include "marrow/train/native/steps/planes.h"

namespace marrow::train::native {
namespace {

void copy_plane(const float* src, int64_t floats, float* dst) {
  std::memcpy(dst, src, static_cast<size_t>(floats) * sizeof(float));
}

class Copy final : public PlaneStep {
 public:
  std::string kind() const override { return "copy"; }
  using PlaneStep::PlaneStep;
  void compute(const Plane& plane, float* out) const override {
    copy_plane(plane.in[0], out_pixels() * lanes_, out);
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    copy_plane(plane.dy, out_pixels() * lanes_, dx[0]);
  }
};

class AddPlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "add"; }
  using PlaneStep::PlaneStep;
  void compute(const Plane& plane, float* out) const override {
    plane.run.engine->add(plane.in[0], plane.in[1], out, out_pixels() * lanes_);
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    for (float* gradient : dx) copy_plane(plane.dy, out_pixels() * lanes_, gradient);
  }
};

class Product final : public PlaneStep {
 public:
  std::string kind() const override { return "multiply"; }
  using PlaneStep::PlaneStep;
  void compute(const Plane& plane, float* out) const override {
    plane.run.engine->multiply(plane.in[0], plane.in[1], out, out_pixels() * lanes_);
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    plane.run.engine->multiply(plane.dy, plane.in[1], dx[0], out_pixels() * lanes_);
    plane.run.engine->multiply(plane.dy, plane.in[0], dx[1], out_pixels() * lanes_);
  }
  bool reads_inputs_backward() const override { return true; }
};

// sums[lane] = sum of a[p][lane] b[p][lane]
void sum_products(const Run& run, const float* a, const float* b, int64_t pixels, float* sums) {
  const int lanes = run.lanes();
  std::fill_n(sums, lanes, 0.0F);
  run.kernels->lane_outer({.dy = a,
                           .dy_row = 0,
                           .x = b,
                           .x_row = 0,
                           .x_step = lanes,
                           .taps = 1,
                           .rows = 1,
                           .pixels = pixels,
                           .acc = sums});
}

class GatePlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "gate"; }
  using PlaneStep::PlaneStep;
  void compute(const Plane& plane, float* out) const override {
    plane.run.engine->scale_lanes(plane.in[0], plane.in[1], nullptr, out, out_pixels() * lanes_);
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    plane.run.engine->scale_lanes(plane.dy, plane.in[1], nullptr, dx[0], out_pixels() * lanes_);
    sum_products(plane.run, plane.dy, plane.in[0], out_pixels(), dx[1]);
  }
  bool reads_inputs_backward() const override { return true; }
};

class ScalePlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "scale"; }
  ScalePlanes(const PlaneSetting& setting, const ParameterPlace& weight)
      : PlaneStep(setting.readers, setting.map, setting.maps, setting.lanes),
        weight_(weight),
        channels_(setting.maps[static_cast<size_t>(setting.map)].channels) {}

  void compute(const Plane& plane, float* out) const override {
    float scale[kMostLanes];
    lanes_of(plane.block, scale);
    plane.run.engine->scale_lanes(plane.in[0], scale, nullptr, out, out_pixels() * lanes_);
  }
  void begin_backward(const Run&, int64_t shares) override {
    sums_.assign(static_cast<size_t>(shares * whole()), 0);
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    float scale[kMostLanes];
    lanes_of(plane.block, scale);
    plane.run.engine->scale_lanes(plane.dy, scale, nullptr, dx[0], out_pixels() * lanes_);
    float sums[kMostLanes];
    sum_products(plane.run, plane.dy, plane.in[0], out_pixels(), sums);
    for (int lane = 0; lane < lanes_; ++lane)
      sums_[static_cast<size_t>(plane.share * whole() + plane.block * lanes_ + lane)] += double{sums[lane]};
  }
  void end_backward(const Run&, int64_t shares) override {
    if (weight_.gradient == nullptr) return;
    for (int64_t c = 0; c < channels_; ++c) {
      double sum = 0;
      for (int64_t share = 0; share < shares; ++share) sum += sums_[static_cast<size_t>(share * whole() + c)];
      weight_.gradient[c] += static_cast<float>(sum);
    }
  }
  bool reads_inputs_backward() const override { return true; }

 private:
  int64_t whole() const { return (channels_ + lanes_ - 1) / lanes_ * lanes_; }
  void lanes_of(int64_t block, float* scale) const {
    for (int64_t lane = 0; lane < lanes_; ++lane) {
      const int64_t c = block * lanes_ + lane;
      scale[lane] = c < channels_ ? weight_.value[c] : 0;
    }
  }

  ParameterPlace weight_;
  int64_t channels_;
  std::vector<double> sums_;  // [share][channel]
};

class DropPathPlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "drop path"; }
  DropPathPlanes(const PlaneSetting& setting, const DropPath& op, size_t node)
      : PlaneStep(setting.readers, setting.map, setting.maps, setting.lanes), op_(op), node_(node) {}

  void compute(const Plane& plane, float* out) const override { scale(plane, plane.in[0], out); }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    scale(plane, plane.dy, dx[0]);
  }

 private:
  void scale(const Plane& plane, const float* src, float* dst) const {
    TrainingPlace place = plane.run.place;
    place.position += plane.image;
    float factor = 1;
    draw_mask(op_, place, node_, 1, {&factor, 1});
    for (int64_t i = 0; i < out_pixels() * lanes_; ++i) dst[i] = src[i] * factor;
  }

  DropPath op_;
  size_t node_;
};

template <class PlaneKind>
StepPtr made(const PlaneSetting& s) {
  return std::make_unique<PlaneKind>(s.readers, s.map, s.maps, s.lanes);
}

}  // namespace

StepPtr make_copy(const PlaneSetting& setting) {
  return made<Copy>(setting);
}
StepPtr make_add(const PlaneSetting& setting) {
  return made<AddPlanes>(setting);
}
StepPtr make_product(const PlaneSetting& setting) {
  const Map& out = setting.maps[static_cast<size_t>(setting.map)];
  return setting.readers[1].pixels() == out.pixels() ? made<Product>(setting) : made<GatePlanes>(setting);
}
StepPtr make_scale(const PlaneSetting& setting, const ParameterPlace& weight) {
  return std::make_unique<ScalePlanes>(setting, weight);
}
StepPtr make_drop_path(const PlaneSetting& setting, const DropPath& op, size_t node) {
  return std::make_unique<DropPathPlanes>(setting, op, node);
}

}  // namespace marrow::train::native
