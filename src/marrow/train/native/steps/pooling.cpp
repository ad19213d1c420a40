// Pools and upsampling, plane by plane.
#include <algorithm>

#include "marrow/train/native/steps/planes.h"

namespace marrow::train::native {
namespace {

// Windows [begin, end) of every output row and column.
struct Span {
  int64_t begin, end;
};

// The gradient goes to a window's first largest value in order of rows; a NaN is the largest.
class MaxPlanes final : public PlaneStep {
 public:
  std::string kind() const override { return "max pool"; }
  MaxPlanes(const PlaneSetting& setting, std::vector<Span> rows, std::vector<Span> columns)
      : PlaneStep(setting.readers, setting.map, setting.maps, setting.lanes),
        width_(setting.readers[0].width()),
        rows_(std::move(rows)),
        columns_(std::move(columns)) {}

  void compute(const Plane& plane, float* out) const override {
    each_largest(plane.in[0], [&](int64_t o, int64_t largest) { out[o] = plane.in[0][largest]; });
  }
  void differentiate(const Plane& plane, std::span<float* const> dx) override {
    std::fill_n(dx[0], inputs[0].pixels() * lanes_, 0.0F);
    each_largest(plane.in[0], [&](int64_t o, int64_t largest) { dx[0][largest] += plane.dy[o]; });
  }
  bool reads_inputs_backward() const override { return true; }

 private:
  // use(output float, input float) for every lane of every output.
  template <class Use>
  void each_largest(const float* src, const Use& use) const {
    int64_t o = 0;
    for (const Span row : rows_)
      for (const Span column : columns_)
        for (int64_t lane = 0; lane < lanes_; ++lane, ++o) {
          int64_t largest = (row.begin * width_ + column.begin) * lanes_ + lane;
          for (int64_t y = row.begin; y < row.end; ++y)
            for (int64_t x = column.begin; x < column.end; ++x) {
              const int64_t at = (y * width_ + x) * lanes_ + lane;
              if (src[at] > src[largest] || src[at] != src[at]) largest = at;
            }
          use(o, largest);
        }
  }

  int64_t width_;
  std::vector<Span> rows_, columns_;
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

std::vector<Span> pool_windows(const MaxPool& op, int64_t in, int64_t out) {
  std::vector<Span> windows;
  for (int64_t i = 0; i < out; ++i) {
    const int64_t first = i * op.stride - op.padding;
    windows.push_back({std::max<int64_t>(first, 0), std::min(first + op.kernel, in)});
  }
  return windows;
}

std::vector<Span> adaptive_windows(int64_t in, int64_t out) {
  std::vector<Span> windows;
  for (int64_t i = 0; i < out; ++i) windows.push_back({i * in / out, ((i + 1) * in + out - 1) / out});
  return windows;
}

}  // namespace

StepPtr make_max_pool(const PlaneSetting& setting, const MaxPool& op) {
  const Map& out = setting.maps[static_cast<size_t>(setting.map)];
  const Reader& in = setting.readers[0];
  return std::make_unique<MaxPlanes>(setting, pool_windows(op, in.height(), out.height),
                                     pool_windows(op, in.width(), out.width));
}
StepPtr make_adaptive_max_pool(const PlaneSetting& setting) {
  const Map& out = setting.maps[static_cast<size_t>(setting.map)];
  const Reader& in = setting.readers[0];
  return std::make_unique<MaxPlanes>(setting, adaptive_windows(in.height(), out.height),
                                     adaptive_windows(in.width(), out.width));
}
StepPtr make_global_average(const PlaneSetting& setting) {
  return std::make_unique<AveragePlanes>(setting.readers, setting.map, setting.maps, setting.lanes);
}
StepPtr make_upsample(const PlaneSetting& setting, const Upsample& op) {
  return std::make_unique<UpsamplePlanes>(setting, op.factor);
}

}  // namespace marrow::train::native
