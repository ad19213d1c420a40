#include "marrow/graph/reference/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "marrow/graph/shapes.h"

namespace marrow::reference {
namespace {

// The geometry of a map, and one channel plane of one image.
struct Map {
  explicit Map(const Tensor& t) : n(t.dim(0)), c(t.dim(1)), h(t.dim(2)), w(t.dim(3)) {}
  int64_t plane(int64_t image, int64_t channel) const { return (image * c + channel) * h * w; }
  int64_t n, c, h, w;
};

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

}  // namespace

void conv(const Tensor& src, const Tensor& weight, const Tensor& bias, const Conv& op, Tensor& dst) {
  const Map in(src), out(dst);
  const auto x = src.values(), k = weight.values();
  const auto y = dst.values();
  const Padding rows = resolve_padding(op.padding, in.h, op.kernel, op.stride, op.dilation);
  const Padding columns = resolve_padding(op.padding, in.w, op.kernel, op.stride, op.dilation);
  const int64_t in_per_group = in.c / op.groups, out_per_group = out.c / op.groups;
  std::vector<double> row(static_cast<size_t>(out.w));
  for (int64_t image = 0; image < out.n; ++image)
    for (int64_t oc = 0; oc < out.c; ++oc)
      for (int64_t oy = 0; oy < out.h; ++oy) {
        std::ranges::fill(row, bias.defined() ? static_cast<double>(bias.values()[oc]) : 0.0);
        for (int64_t i = 0; i < in_per_group; ++i)
          for (int64_t ky = 0; ky < op.kernel; ++ky) {
            const int64_t iy = oy * op.stride + ky * op.dilation - rows.before;
            if (iy < 0 || iy >= in.h) continue;
            const float* line = &x[in.plane(image, oc / out_per_group * in_per_group + i) + iy * in.w];
            for (int64_t kx = 0; kx < op.kernel; ++kx) {
              const double w = k[((oc * in_per_group + i) * op.kernel + ky) * op.kernel + kx];
              const int64_t offset = kx * op.dilation - columns.before;
              // The output columns whose input column, ox * stride + offset, lies inside.
              const int64_t first = offset >= 0 ? 0 : (-offset + op.stride - 1) / op.stride;
              const int64_t last =
                  std::min(out.w, in.w - offset <= 0 ? 0 : (in.w - offset - 1) / op.stride + 1);
              for (int64_t ox = first; ox < last; ++ox) row[ox] += w * line[ox * op.stride + offset];
            }
          }
        for (int64_t ox = 0; ox < out.w; ++ox)
          y[out.plane(image, oc) + oy * out.w + ox] = static_cast<float>(row[ox]);
      }
}

void conv_transpose(const Tensor& src, const Tensor& weight, const Tensor& bias, const ConvTranspose& op,
                    Tensor& dst) {
  const Map in(src), out(dst);
  const auto x = src.values(), k = weight.values();
  std::vector<double> sums(static_cast<size_t>(dst.size()));
  for (int64_t image = 0; image < in.n; ++image)
    for (int64_t oc = 0; oc < out.c; ++oc) {
      double* plane = &sums[out.plane(image, oc)];
      std::fill_n(plane, out.h * out.w, bias.defined() ? static_cast<double>(bias.values()[oc]) : 0.0);
      for (int64_t ic = 0; ic < in.c; ++ic)
        for (int64_t iy = 0; iy < in.h; ++iy)
          for (int64_t ix = 0; ix < in.w; ++ix)
            for (int64_t ky = 0; ky < op.kernel; ++ky)
              for (int64_t kx = 0; kx < op.kernel; ++kx) {
                const int64_t oy = iy * op.stride + ky - op.padding, ox = ix * op.stride + kx - op.padding;
                if (oy < 0 || oy >= out.h || ox < 0 || ox >= out.w) continue;
                plane[oy * out.w + ox] += static_cast<double>(x[in.plane(image, ic) + iy * in.w + ix]) *
                                          k[((ic * out.c + oc) * op.kernel + ky) * op.kernel + kx];
              }
    }
  std::ranges::transform(sums, dst.values().begin(), [](double sum) { return static_cast<float>(sum); });
}

void linear(const Tensor& src, const Tensor& weight, const Tensor& bias, Tensor& dst) {
  const int64_t in = src.dim(1), out = dst.dim(1);
  for (int64_t image = 0; image < src.dim(0); ++image)
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias.defined() ? bias.values()[o] : 0.0;
      for (int64_t i = 0; i < in; ++i)
        sum += static_cast<double>(src.values()[image * in + i]) * weight.values()[o * in + i];
      dst.values()[image * out + o] = static_cast<float>(sum);
    }
}

void batch_norm(const Tensor& src, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                const Tensor& var, double eps, Tensor& dst) {
  const Map map(src);
  for (int64_t image = 0; image < map.n; ++image)
    for (int64_t c = 0; c < map.c; ++c) {
      const double scale = weight.values()[c] / std::sqrt(var.values()[c] + eps);
      const double shift = bias.values()[c] - mean.values()[c] * scale;
      for (int64_t i = 0; i < map.h * map.w; ++i)
        dst.values()[map.plane(image, c) + i] =
            static_cast<float>(src.values()[map.plane(image, c) + i] * scale + shift);
    }
}

void batch_statistics(const Tensor& src, Tensor& mean, Tensor& var) {
  const Map map(src);
  const double count = static_cast<double>(map.n * map.h * map.w);
  for (int64_t c = 0; c < map.c; ++c) {
    const auto sum_over = [&](auto term) {
      double sum = 0;
      for (int64_t image = 0; image < map.n; ++image)
        for (int64_t i = 0; i < map.h * map.w; ++i) sum += term(src.values()[map.plane(image, c) + i]);
      return sum;
    };
    const double m = sum_over([](double x) { return x; }) / count;
    mean.values()[c] = static_cast<float>(m);
    var.values()[c] = static_cast<float>(sum_over([m](double x) { return (x - m) * (x - m); }) / count);
  }
}

float activate(ActivationKind kind, double slope, float input) {
  const double x = input;
  const auto compute = [&]() -> double {
    switch (kind) {
      case ActivationKind::kIdentity:
        return x;
      case ActivationKind::kRelu:
        return std::max(x, 0.0);
      case ActivationKind::kRelu6:
        return std::clamp(x, 0.0, 6.0);
      case ActivationKind::kLeakyRelu:
        return x >= 0 ? x : slope * x;
      case ActivationKind::kSilu:
        return x * sigmoid(x);
      case ActivationKind::kHardSwish:
        return x * std::clamp(x + 3, 0.0, 6.0) / 6;
      case ActivationKind::kHardSigmoid:
        return std::clamp(x / 6 + 0.5, 0.0, 1.0);
      case ActivationKind::kSigmoid:
        return sigmoid(x);
      case ActivationKind::kTanh:
        return std::tanh(x);
      case ActivationKind::kGelu:
        return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
      case ActivationKind::kMish:
        return x * std::tanh(x > 20 ? x : std::log1p(std::exp(x)));
      case ActivationKind::kElu:
        return x >= 0 ? x : slope * std::expm1(x);
    }
    return x;
  };
  return static_cast<float>(compute());
}

void multiply(const Tensor& a, const Tensor& b, Tensor& dst) {
  // Equal shapes, or one gate per (image, channel).
  const int64_t repeat = a.size() / b.size();
  for (int64_t i = 0; i < a.size(); ++i) dst.values()[i] = a.values()[i] * b.values()[i / repeat];
}

void concat(std::span<const Tensor* const> parts, Tensor& dst) {
  const Map out(dst);
  for (int64_t image = 0; image < out.n; ++image) {
    auto to = dst.values().begin() + out.plane(image, 0);
    for (const Tensor* part : parts) {
      const Map in(*part);
      to = std::copy_n(part->values().begin() + in.plane(image, 0), in.c * in.h * in.w, to);
    }
  }
}

void slice(const Tensor& src, const Slice& op, Tensor& dst) {
  const Map in(src), out(dst);
  const int64_t group = in.c / op.groups, taken = op.end - op.begin;
  for (int64_t image = 0; image < out.n; ++image)
    for (int64_t g = 0; g < op.groups; ++g)
      std::copy_n(src.values().begin() + in.plane(image, g * group + op.begin), taken * out.h * out.w,
                  dst.values().begin() + out.plane(image, g * taken));
}

void scale(const Tensor& src, const Tensor& weight, Tensor& dst) {
  const Map map(src);
  const int64_t plane = map.h * map.w;
  for (int64_t i = 0; i < src.size(); ++i)
    dst.values()[i] = weight.values()[i / plane % map.c] * src.values()[i];
}

void attention(const Tensor& src, const Attention& op, Tensor& dst) {
  const Map in(src), out(dst);
  const int64_t positions = in.h * in.w, run = positions / op.areas;
  const double factor = 1 / std::sqrt(static_cast<double>(op.key_channels));
  std::vector<double> weights(static_cast<size_t>(run));
  for (int64_t image = 0; image < in.n; ++image)
    for (int64_t head = 0; head < op.heads; ++head) {
      const float* queries = &src.values()[in.plane(image, head * op.head_channels())];
      const float* keys = queries + op.key_channels * positions;
      const float* values = keys + op.key_channels * positions;
      float* results = &dst.values()[out.plane(image, head * op.value_channels)];
      for (int64_t i = 0; i < positions; ++i) {
        const int64_t first = i / run * run;
        double largest = -std::numeric_limits<double>::infinity(), total = 0;
        for (int64_t j = 0; j < run; ++j) {
          double score = 0;
          for (int64_t c = 0; c < op.key_channels; ++c)
            score += static_cast<double>(queries[c * positions + i]) * keys[c * positions + first + j];
          weights[static_cast<size_t>(j)] = score * factor;
          largest = std::max(largest, score * factor);
        }
        for (double& weight : weights) total += weight = std::exp(weight - largest);
        for (int64_t c = 0; c < op.value_channels; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < run; ++j)
            sum += weights[static_cast<size_t>(j)] * values[c * positions + first + j];
          results[c * positions + i] = static_cast<float>(sum / total);
        }
      }
    }
}

void channel_shuffle(const Tensor& src, int groups, Tensor& dst) {
  const Map map(src);
  const int64_t per_group = map.c / groups;
  for (int64_t image = 0; image < map.n; ++image)
    for (int64_t i = 0; i < groups; ++i)
      for (int64_t j = 0; j < per_group; ++j)
        std::copy_n(src.values().begin() + map.plane(image, i * per_group + j), map.h * map.w,
                    dst.values().begin() + map.plane(image, j * groups + i));
}

namespace {

// The largest value of one window, already cut to the map.
float window_max(const float* plane, int64_t width, int64_t top, int64_t bottom, int64_t left,
                 int64_t right) {
  float best = -std::numeric_limits<float>::infinity();
  for (int64_t y = top; y < bottom; ++y)
    for (int64_t x = left; x < right; ++x) {
      const float value = plane[y * width + x];
      if (!(value <= best)) best = value;  // a NaN wins, so that it is seen
      if (std::isnan(best)) return best;
    }
  return best;
}

}  // namespace

void max_pool(const Tensor& src, const MaxPool& op, Tensor& dst) {
  const Map in(src), out(dst);
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x) {
        const int64_t top = y * op.stride - op.padding, left = x * op.stride - op.padding;
        dst.values()[(p * out.h + y) * out.w + x] = window_max(
            &src.values()[p * in.h * in.w], in.w, std::max<int64_t>(top, 0), std::min(top + op.kernel, in.h),
            std::max<int64_t>(left, 0), std::min(left + op.kernel, in.w));
      }
}

void adaptive_max_pool(const Tensor& src, Tensor& dst) {
  const Map in(src), out(dst);
  const auto begin = [](int64_t cell, int64_t n, int64_t cells) { return cell * n / cells; };
  const auto end = [](int64_t cell, int64_t n, int64_t cells) {
    return ((cell + 1) * n + cells - 1) / cells;
  };
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x)
        dst.values()[(p * out.h + y) * out.w + x] =
            window_max(&src.values()[p * in.h * in.w], in.w, begin(y, in.h, out.h), end(y, in.h, out.h),
                       begin(x, in.w, out.w), end(x, in.w, out.w));
}

void global_average_pool(const Tensor& src, Tensor& dst) {
  const Map in(src);
  for (int64_t p = 0; p < in.n * in.c; ++p) {
    double sum = 0;
    for (int64_t i = 0; i < in.h * in.w; ++i) sum += src.values()[p * in.h * in.w + i];
    dst.values()[p] = static_cast<float>(sum / static_cast<double>(in.h * in.w));
  }
}

void upsample(const Tensor& src, int factor, Tensor& dst) {
  const Map in(src), out(dst);
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x)
        dst.values()[(p * out.h + y) * out.w + x] = src.values()[(p * in.h + y / factor) * in.w + x / factor];
}

void detect_decode(std::span<const Tensor* const> maps, const Tensor& bins, const DetectDecode& op,
                   Tensor& dst) {
  const int64_t rows = dst.dim(1), anchors = dst.dim(2);
  int64_t first = 0;  // of the level
  for (size_t level = 0; level < maps.size(); ++level) {
    const Map map(*maps[level]);
    const auto raw = maps[level]->values();
    for (int64_t image = 0; image < map.n; ++image)
      for (int64_t cell = 0; cell < map.h * map.w; ++cell) {
        const auto logit = [&](int64_t c) { return static_cast<double>(raw[map.plane(image, c) + cell]); };
        const auto out = [&](int64_t row) -> float& {
          return dst.values()[(image * rows + row) * anchors + first + cell];
        };
        double distance[4];  // left, top, right, bottom, in cells
        for (int64_t side = 0; side < 4; ++side) {
          if (op.reg_max == 1) {
            distance[side] = logit(side);
            continue;
          }
          double largest = logit(side * op.reg_max);
          for (int64_t b = 1; b < op.reg_max; ++b) largest = std::max(largest, logit(side * op.reg_max + b));
          double total = 0, weighted = 0;
          for (int64_t b = 0; b < op.reg_max; ++b) {
            const double e = std::exp(logit(side * op.reg_max + b) - largest);
            total += e;
            weighted += e * bins.values()[b];
          }
          distance[side] = weighted / total;
        }
        const double anchor_x = static_cast<double>(cell % map.w) + 0.5,
                     anchor_y = static_cast<double>(cell / map.w) + 0.5;
        const double stride = op.strides[level];
        out(0) = static_cast<float>((anchor_x + (distance[2] - distance[0]) / 2) * stride);
        out(1) = static_cast<float>((anchor_y + (distance[3] - distance[1]) / 2) * stride);
        out(2) = static_cast<float>((distance[0] + distance[2]) * stride);
        out(3) = static_cast<float>((distance[1] + distance[3]) * stride);
        for (int64_t c = 0; c < op.classes; ++c)
          out(4 + c) = static_cast<float>(sigmoid(logit(4 * op.reg_max + c)));
      }
    first += map.h * map.w;
  }
}

}  // namespace marrow::reference
