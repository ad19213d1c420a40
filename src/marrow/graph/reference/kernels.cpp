#include "marrow/graph/reference/kernels.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "marrow/graph/reference/maps.h"

namespace marrow::reference {
namespace {

double activate(ActivationKind kind, double slope, double x) {
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
}

template <class T, class Pool>
void pool(const Tensor& src, const Pool& op, Tensor& dst) {
  const Map in(src);
  for_each_window(op, in, Map(dst), [&](int64_t plane, int64_t to, const Window& window) {
    const T* values = &src.values<T>()[plane];
    dst.values<T>()[to] = values[largest_in(values, in.w, window)];
  });
}

}  // namespace

template <class T>
void Kernels<T>::conv(const Tensor& src, const Tensor& weight, const Tensor& bias, const Conv& op,
                      Tensor& dst) {
  const Map out(dst);
  const auto x = src.values<T>(), k = weight.values<T>();
  const ConvTaps taps(op, Map(src), out);
  std::vector<double> row(static_cast<size_t>(out.w));
  for (int64_t image = 0; image < out.n; ++image)
    for (int64_t oc = 0; oc < out.c; ++oc)
      for (int64_t oy = 0; oy < out.h; ++oy) {
        std::ranges::fill(row, bias.defined() ? static_cast<double>(bias.values<T>()[oc]) : 0.0);
        taps.on_row(image, oc, oy, [&](const ConvTap& tap) {
          const double w = k[tap.weight];
          for (int64_t ox = tap.first; ox < tap.last; ++ox) row[ox] += w * x[tap.src + ox * op.stride];
        });
        std::ranges::transform(row, dst.values<T>().begin() + out.plane(image, oc) + oy * out.w, stored<T>);
      }
}

template <class T>
void Kernels<T>::conv_transpose(const Tensor& src, const Tensor& weight, const Tensor& bias,
                                const ConvTranspose& op, Tensor& dst) {
  const Map out(dst);
  const auto x = src.values<T>(), k = weight.values<T>();
  std::vector<double> sums(static_cast<size_t>(dst.size()));
  if (bias.defined())
    for (int64_t p = 0; p < out.n * out.c; ++p)
      std::fill_n(&sums[p * out.h * out.w], out.h * out.w, static_cast<double>(bias.values<T>()[p % out.c]));
  for_each_spread(op, Map(src), out, [&](int64_t from, int64_t to, int64_t w) {
    sums[to] += static_cast<double>(x[from]) * k[w];
  });
  std::ranges::transform(sums, dst.values<T>().begin(), stored<T>);
}

template <class T>
void Kernels<T>::linear(const Tensor& src, const Tensor& weight, const Tensor& bias, Tensor& dst) {
  const int64_t in = src.dim(1), out = dst.dim(1);
  for (int64_t image = 0; image < src.dim(0); ++image)
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias.defined() ? bias.values<T>()[o] : 0.0;
      for (int64_t i = 0; i < in; ++i)
        sum += static_cast<double>(src.values<T>()[image * in + i]) * weight.values<T>()[o * in + i];
      dst.values<T>()[image * out + o] = stored<T>(sum);
    }
}

template <class T>
void Kernels<T>::batch_norm(const Tensor& src, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                            const Tensor& var, double eps, Tensor& dst) {
  const Map map(src);
  for (int64_t image = 0; image < map.n; ++image)
    for (int64_t c = 0; c < map.c; ++c) {
      const double scale = weight.values<T>()[c] / std::sqrt(var.values<T>()[c] + eps);
      const double shift = bias.values<T>()[c] - mean.values<T>()[c] * scale;
      for (int64_t i = 0; i < map.h * map.w; ++i)
        dst.values<T>()[map.plane(image, c) + i] =
            stored<T>(src.values<T>()[map.plane(image, c) + i] * scale + shift);
    }
}

template <class T>
void Kernels<T>::batch_statistics(const Tensor& src, Tensor& mean, Tensor& var) {
  const Map map(src);
  const double count = static_cast<double>(map.n * map.h * map.w);
  for (int64_t c = 0; c < map.c; ++c) {
    const auto sum_over = [&](auto term) {
      double sum = 0;
      for (int64_t image = 0; image < map.n; ++image)
        for (int64_t i = 0; i < map.h * map.w; ++i) sum += term(src.values<T>()[map.plane(image, c) + i]);
      return sum;
    };
    const double m = sum_over([](double x) { return x; }) / count;
    mean.values<T>()[c] = stored<T>(m);
    var.values<T>()[c] = stored<T>(sum_over([m](double x) { return (x - m) * (x - m); }) / count);
  }
}

template <class T>
void Kernels<T>::activation(const Tensor& src, ActivationKind kind, double slope, Tensor& dst) {
  std::ranges::transform(src.values<T>(), dst.values<T>().begin(),
                         [&](T x) { return stored<T>(activate(kind, slope, x)); });
}

template <class T>
void Kernels<T>::add(const Tensor& a, const Tensor& b, Tensor& dst) {
  std::ranges::transform(a.values<T>(), b.values<T>(), dst.values<T>().begin(), std::plus<>());
}

template <class T>
void Kernels<T>::multiply(const Tensor& a, const Tensor& b, Tensor& dst) {
  // Equal shapes, or one gate per (image, channel).
  const int64_t repeat = a.size() / b.size();
  for (int64_t i = 0; i < a.size(); ++i) dst.values<T>()[i] = a.values<T>()[i] * b.values<T>()[i / repeat];
}

template <class T>
void Kernels<T>::concat(std::span<const Tensor* const> parts, Tensor& dst) {
  const Map out(dst);
  for (int64_t image = 0; image < out.n; ++image) {
    auto to = dst.values<T>().begin() + out.plane(image, 0);
    for (const Tensor* part : parts) {
      const Map in(*part);
      to = std::copy_n(part->values<T>().begin() + in.plane(image, 0), in.c * in.h * in.w, to);
    }
  }
}

template <class T>
void Kernels<T>::slice(const Tensor& src, const Slice& op, Tensor& dst) {
  const Map in(src), out(dst);
  const int64_t group = in.c / op.groups, taken = op.end - op.begin;
  for (int64_t image = 0; image < out.n; ++image)
    for (int64_t g = 0; g < op.groups; ++g)
      std::copy_n(src.values<T>().begin() + in.plane(image, g * group + op.begin), taken * out.h * out.w,
                  dst.values<T>().begin() + out.plane(image, g * taken));
}

template <class T>
void Kernels<T>::scale(const Tensor& src, const Tensor& weight, Tensor& dst) {
  const Map map(src);
  const int64_t plane = map.h * map.w;
  for (int64_t i = 0; i < src.size(); ++i)
    dst.values<T>()[i] = weight.values<T>()[i / plane % map.c] * src.values<T>()[i];
}

template <class T>
void Kernels<T>::attention(const Tensor& src, const Attention& op, Tensor& dst) {
  const Map in(src), out(dst);
  const int64_t positions = in.h * in.w, run = positions / op.areas;
  std::vector<double> weights(static_cast<size_t>(run));
  for (int64_t image = 0; image < in.n; ++image)
    for (int64_t head = 0; head < op.heads; ++head) {
      const T* queries = &src.values<T>()[in.plane(image, head * op.head_channels())];
      const T* keys = queries + op.key_channels * positions;
      const T* values = keys + op.key_channels * positions;
      T* results = &dst.values<T>()[out.plane(image, head * op.value_channels)];
      for (int64_t i = 0; i < positions; ++i) {
        const int64_t first = i / run * run;
        const double total = attention_weights(op, queries + i, keys + first, positions, weights);
        for (int64_t c = 0; c < op.value_channels; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < run; ++j)
            sum += weights[static_cast<size_t>(j)] * values[c * positions + first + j];
          results[c * positions + i] = stored<T>(sum / total);
        }
      }
    }
}

template <class T>
void Kernels<T>::channel_shuffle(const Tensor& src, int groups, Tensor& dst) {
  const Map map(src);
  const int64_t per_group = map.c / groups;
  for (int64_t image = 0; image < map.n; ++image)
    for (int64_t i = 0; i < groups; ++i)
      for (int64_t j = 0; j < per_group; ++j)
        std::copy_n(src.values<T>().begin() + map.plane(image, i * per_group + j), map.h * map.w,
                    dst.values<T>().begin() + map.plane(image, j * groups + i));
}

template <class T>
void Kernels<T>::max_pool(const Tensor& src, const MaxPool& op, Tensor& dst) {
  pool<T>(src, op, dst);
}

template <class T>
void Kernels<T>::adaptive_max_pool(const Tensor& src, const AdaptiveMaxPool& op, Tensor& dst) {
  pool<T>(src, op, dst);
}

template <class T>
void Kernels<T>::global_average_pool(const Tensor& src, Tensor& dst) {
  const Map in(src);
  for (int64_t p = 0; p < in.n * in.c; ++p) {
    double sum = 0;
    for (int64_t i = 0; i < in.h * in.w; ++i) sum += src.values<T>()[p * in.h * in.w + i];
    dst.values<T>()[p] = stored<T>(sum / static_cast<double>(in.h * in.w));
  }
}

template <class T>
void Kernels<T>::upsample(const Tensor& src, int factor, Tensor& dst) {
  const Map in(src), out(dst);
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x)
        dst.values<T>()[(p * out.h + y) * out.w + x] =
            src.values<T>()[(p * in.h + y / factor) * in.w + x / factor];
}

template <class T>
void Kernels<T>::detect_decode(std::span<const Tensor* const> maps, const Tensor& bins,
                               const DetectDecode& op, Tensor& dst) {
  const int64_t rows = dst.dim(1), anchors = dst.dim(2);
  int64_t first = 0;  // of the level
  for (size_t level = 0; level < op.levels(); ++level) {
    const Map map(*maps[level]);
    const auto raw = maps[level]->values<T>();
    for (int64_t image = 0; image < map.n; ++image)
      for (int64_t cell = 0; cell < map.h * map.w; ++cell) {
        const auto logit = [&](int64_t c) { return static_cast<double>(raw[map.plane(image, c) + cell]); };
        const auto out = [&](int64_t row) -> T& {
          return dst.values<T>()[(image * rows + row) * anchors + first + cell];
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
            weighted += e * bins.values<T>()[b];
          }
          distance[side] = weighted / total;
        }
        const double anchor_x = static_cast<double>(cell % map.w) + 0.5,
                     anchor_y = static_cast<double>(cell / map.w) + 0.5;
        const double stride = op.strides[level];
        const auto extra = [&](int64_t c) {
          const Tensor& tensor = *maps[op.levels() + level];
          return static_cast<double>(tensor.values<T>()[Map(tensor).plane(image, c) + cell]);
        };
        double x = (distance[2] - distance[0]) / 2, y = (distance[3] - distance[1]) / 2;  // of the centre
        const int64_t first_extra = 4 + op.classes;
        if (op.extra == DetectExtra::kAngle) {
          const double angle = (sigmoid(extra(0)) - 0.25) * std::numbers::pi;
          const double across = x;
          x = across * std::cos(angle) - y * std::sin(angle);
          y = across * std::sin(angle) + y * std::cos(angle);
          out(first_extra) = stored<T>(angle);
        } else if (op.extra == DetectExtra::kCoefficients) {
          for (int64_t c = 0; c < op.extra_channels; ++c) out(first_extra + c) = stored<T>(extra(c));
        } else {
          const int numbers = numbers_of_point(op.extra);
          for (int64_t c = 0; c < op.extra_channels; c += numbers) {
            out(first_extra + c) = stored<T>((2 * extra(c) + anchor_x - 0.5) * stride);
            out(first_extra + c + 1) = stored<T>((2 * extra(c + 1) + anchor_y - 0.5) * stride);
            if (numbers == 3) out(first_extra + c + 2) = stored<T>(sigmoid(extra(c + 2)));
          }
        }
        out(0) = stored<T>((anchor_x + x) * stride);
        out(1) = stored<T>((anchor_y + y) * stride);
        out(2) = stored<T>((distance[0] + distance[2]) * stride);
        out(3) = stored<T>((distance[1] + distance[3]) * stride);
        for (int64_t c = 0; c < op.classes; ++c) out(4 + c) = stored<T>(sigmoid(logit(4 * op.reg_max + c)));
      }
    first += map.h * map.w;
  }
}

template struct Kernels<float>;
template struct Kernels<double>;

}  // namespace marrow::reference
