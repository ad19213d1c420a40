#include "marrow/graph/reference/gradients.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "marrow/graph/reference/maps.h"

namespace marrow::reference {
namespace {

// The sums of a gradient, until they are stored.
std::vector<double> zeros(const Tensor& gradient) {
  return std::vector<double>(static_cast<size_t>(gradient.size()));
}

template <class T>
void store(const std::vector<double>& sums, Tensor& gradient) {
  std::ranges::transform(sums, gradient.values<T>().begin(), stored<T>);
}

// The sum of dy over images and positions, a channel; `dst` may be undefined. Of (N, C, H, W) or (N, C).
template <class T>
void sum_channels(const Tensor& dy, Tensor& dst) {
  if (!dst.defined()) return;
  std::vector<double> sums = zeros(dst);
  const int64_t plane = dy.size() / (dy.dim(0) * dy.dim(1));
  for (int64_t i = 0; i < dy.size(); ++i) sums[i / plane % dy.dim(1)] += dy.values<T>()[i];
  store<T>(sums, dst);
}

double derivative(ActivationKind kind, double slope, double x) {
  switch (kind) {
    case ActivationKind::kIdentity:
      return 1;
    case ActivationKind::kRelu:
      return x <= 0 ? 0 : 1;
    case ActivationKind::kRelu6:
      return x <= 0 || x >= 6 ? 0 : 1;
    case ActivationKind::kLeakyRelu:
      return x > 0 ? 1 : slope;
    case ActivationKind::kSilu: {
      const double s = sigmoid(x);
      return s * (1 + x * (1 - s));
    }
    case ActivationKind::kHardSwish:
      return x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1;
    case ActivationKind::kHardSigmoid:
      return x > -3 && x < 3 ? 1.0 / 6 : 0;
    case ActivationKind::kSigmoid: {
      const double s = sigmoid(x);
      return s * (1 - s);
    }
    case ActivationKind::kTanh: {
      const double t = std::tanh(x);
      return 1 - t * t;
    }
    case ActivationKind::kGelu:
      return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) +
             x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    case ActivationKind::kMish: {
      const double t = std::tanh(x > 20 ? x : std::log1p(std::exp(x)));
      return t + x * sigmoid(x) * (1 - t * t);
    }
    case ActivationKind::kElu:
      return x <= 0 ? slope * std::exp(x) : 1;
  }
  return 1;
}

template <class T, class Pool>
void to_largest(const Tensor& src, const Pool& op, const Tensor& dy, Tensor& dsrc) {
  const Map in(src);
  std::vector<double> dx = zeros(dsrc);
  for_each_window(op, in, Map(dy), [&](int64_t plane, int64_t from, const Window& window) {
    dx[plane + largest_in(&src.values<T>()[plane], in.w, window)] += dy.values<T>()[from];
  });
  store<T>(dx, dsrc);
}

}  // namespace

template <class T>
void Gradients<T>::conv(const Tensor& src, const Tensor& weight, const Conv& op, const Tensor& dy,
                        Tensor& dsrc, Tensor& dweight, Tensor& dbias) {
  const Map out(dy);
  const auto x = src.values<T>(), k = weight.values<T>();
  const ConvTaps taps(op, Map(src), out);
  std::vector<double> dx = zeros(dsrc), dk = zeros(dweight);
  for (int64_t image = 0; image < out.n; ++image)
    for (int64_t oc = 0; oc < out.c; ++oc)
      for (int64_t oy = 0; oy < out.h; ++oy) {
        const T* row = &dy.values<T>()[out.plane(image, oc) + oy * out.w];
        taps.on_row(image, oc, oy, [&](const ConvTap& tap) {
          const double w = k[tap.weight];
          double sum = 0;
          for (int64_t ox = tap.first; ox < tap.last; ++ox) {
            const int64_t from = tap.src + ox * op.stride;
            sum += static_cast<double>(x[from]) * row[ox];
            dx[from] += w * row[ox];
          }
          dk[tap.weight] += sum;
        });
      }
  store<T>(dx, dsrc);
  store<T>(dk, dweight);
  sum_channels<T>(dy, dbias);
}

template <class T>
void Gradients<T>::conv_transpose(const Tensor& src, const Tensor& weight, const ConvTranspose& op,
                                  const Tensor& dy, Tensor& dsrc, Tensor& dweight, Tensor& dbias) {
  const auto x = src.values<T>(), k = weight.values<T>(), dz = dy.values<T>();
  std::vector<double> dx = zeros(dsrc), dk = zeros(dweight);
  for_each_spread(op, Map(src), Map(dy), [&](int64_t from, int64_t to, int64_t w) {
    dx[from] += static_cast<double>(k[w]) * dz[to];
    dk[w] += static_cast<double>(x[from]) * dz[to];
  });
  store<T>(dx, dsrc);
  store<T>(dk, dweight);
  sum_channels<T>(dy, dbias);
}

template <class T>
void Gradients<T>::linear(const Tensor& src, const Tensor& weight, const Tensor& dy, Tensor& dsrc,
                          Tensor& dweight, Tensor& dbias) {
  const int64_t in = src.dim(1), out = dy.dim(1);
  std::vector<double> dx = zeros(dsrc), dk = zeros(dweight);
  for (int64_t image = 0; image < src.dim(0); ++image)
    for (int64_t o = 0; o < out; ++o) {
      const double g = dy.values<T>()[image * out + o];
      for (int64_t i = 0; i < in; ++i) {
        dx[image * in + i] += g * weight.values<T>()[o * in + i];
        dk[o * in + i] += g * src.values<T>()[image * in + i];
      }
    }
  store<T>(dx, dsrc);
  store<T>(dk, dweight);
  sum_channels<T>(dy, dbias);
}

// With n = (x - mean) / sqrt(var + eps):  dweight = sum dy n,  dbias = sum dy, and
//   dx = weight / sqrt(var + eps) * (dy - [of_batch] (dbias + n dweight) / count)
// Source: Ioffe and Szegedy 2015, section 3.
template <class T>
void Gradients<T>::batch_norm(const Tensor& src, const Tensor& weight, const Tensor& mean, const Tensor& var,
                              bool of_batch, double eps, const Tensor& dy, Tensor& dsrc, Tensor& dweight,
                              Tensor& dbias) {
  const Map map(src);
  const double count = static_cast<double>(map.n * map.h * map.w);
  for (int64_t c = 0; c < map.c; ++c) {
    const double m = mean.values<T>()[c], inverse = 1 / std::sqrt(var.values<T>()[c] + eps);
    const auto normalised = [&](int64_t i) { return (src.values<T>()[i] - m) * inverse; };
    const auto for_each = [&](auto visit) {
      for (int64_t image = 0; image < map.n; ++image)
        for (int64_t i = 0; i < map.h * map.w; ++i) visit(map.plane(image, c) + i);
    };
    double scale_sum = 0, shift_sum = 0;
    for_each([&](int64_t i) {
      scale_sum += dy.values<T>()[i] * normalised(i);
      shift_sum += dy.values<T>()[i];
    });
    const double factor = weight.values<T>()[c] * inverse;
    for_each([&](int64_t i) {
      const double moved = of_batch ? (shift_sum + normalised(i) * scale_sum) / count : 0;
      dsrc.values<T>()[i] = stored<T>(factor * (dy.values<T>()[i] - moved));
    });
    dweight.values<T>()[c] = stored<T>(scale_sum);
    dbias.values<T>()[c] = stored<T>(shift_sum);
  }
}

template <class T>
void Gradients<T>::activation(const Tensor& src, ActivationKind kind, double slope, const Tensor& dy,
                              Tensor& dsrc) {
  std::ranges::transform(src.values<T>(), dy.values<T>(), dsrc.values<T>().begin(),
                         [&](T x, T g) { return stored<T>(g * derivative(kind, slope, x)); });
}

template <class T>
void Gradients<T>::multiply(const Tensor& a, const Tensor& dy, Tensor& db) {
  const int64_t repeat = a.size() / db.size();
  std::vector<double> sums = zeros(db);
  for (int64_t i = 0; i < a.size(); ++i)
    sums[i / repeat] += static_cast<double>(a.values<T>()[i]) * dy.values<T>()[i];
  store<T>(sums, db);
}

template <class T>
void Gradients<T>::slice(const Slice& op, const Tensor& dy, Tensor& dsrc) {
  const Map in(dsrc), out(dy);
  const int64_t group = in.c / op.groups, taken = op.end - op.begin;
  std::ranges::fill(dsrc.values<T>(), T{0});
  for (int64_t image = 0; image < out.n; ++image)
    for (int64_t g = 0; g < op.groups; ++g)
      std::copy_n(dy.values<T>().begin() + out.plane(image, g * taken), taken * out.h * out.w,
                  dsrc.values<T>().begin() + in.plane(image, g * group + op.begin));
}

template <class T>
void Gradients<T>::scale(const Tensor& src, const Tensor& dy, Tensor& dweight) {
  const Map map(src);
  const int64_t plane = map.h * map.w;
  std::vector<double> sums = zeros(dweight);
  for (int64_t i = 0; i < src.size(); ++i)
    sums[i / plane % map.c] += static_cast<double>(src.values<T>()[i]) * dy.values<T>()[i];
  store<T>(sums, dweight);
}

// Of one position i with shares a_j, scores s_j = factor q . k_j and result sum_j a_j v_j:
//   dv_j = a_j dy,  da_j = dy . v_j,  ds_j = a_j (da_j - sum_l a_l da_l),
//   dq = factor sum_j ds_j k_j,  dk_j = factor ds_j q
template <class T>
void Gradients<T>::attention(const Tensor& src, const Attention& op, const Tensor& dy, Tensor& dsrc) {
  const Map in(src), out(dy);
  const int64_t positions = in.h * in.w, run = positions / op.areas;
  const double factor = 1 / std::sqrt(static_cast<double>(op.key_channels));
  std::vector<double> shares(static_cast<size_t>(run)), dshares(static_cast<size_t>(run));
  std::vector<double> dx = zeros(dsrc);
  for (int64_t image = 0; image < in.n; ++image)
    for (int64_t head = 0; head < op.heads; ++head) {
      const int64_t queries = in.plane(image, head * op.head_channels());
      const int64_t keys = queries + op.key_channels * positions;
      const int64_t values = keys + op.key_channels * positions;
      const auto x = src.values<T>();
      const T* dresults = &dy.values<T>()[out.plane(image, head * op.value_channels)];
      for (int64_t i = 0; i < positions; ++i) {
        const int64_t first = i / run * run;
        const double total =
            attention_weights(op, &x[queries + i], &x[keys + first], positions, std::span(shares));
        double mean = 0;  // of the shares' gradients, by the shares
        for (int64_t j = 0; j < run; ++j) {
          shares[j] /= total;
          dshares[j] = 0;
          for (int64_t c = 0; c < op.value_channels; ++c) {
            const double g = dresults[c * positions + i];
            const int64_t value = values + c * positions + first + j;
            dshares[j] += g * x[value];
            dx[value] += g * shares[j];
          }
          mean += shares[j] * dshares[j];
        }
        for (int64_t j = 0; j < run; ++j) {
          const double dscore = shares[j] * (dshares[j] - mean) * factor;
          for (int64_t c = 0; c < op.key_channels; ++c) {
            const int64_t query = queries + c * positions + i, key = keys + c * positions + first + j;
            dx[query] += dscore * x[key];
            dx[key] += dscore * x[query];
          }
        }
      }
    }
  store<T>(dx, dsrc);
}

template <class T>
void Gradients<T>::max_pool(const Tensor& src, const MaxPool& op, const Tensor& dy, Tensor& dsrc) {
  to_largest<T>(src, op, dy, dsrc);
}

template <class T>
void Gradients<T>::adaptive_max_pool(const Tensor& src, const AdaptiveMaxPool& op, const Tensor& dy,
                                     Tensor& dsrc) {
  to_largest<T>(src, op, dy, dsrc);
}

template <class T>
void Gradients<T>::global_average_pool(const Tensor& dy, Tensor& dsrc) {
  const int64_t plane = dsrc.size() / dy.size();
  for (int64_t i = 0; i < dsrc.size(); ++i)
    dsrc.values<T>()[i] = stored<T>(dy.values<T>()[i / plane] / static_cast<double>(plane));
}

template <class T>
void Gradients<T>::upsample(int factor, const Tensor& dy, Tensor& dsrc) {
  const Map in(dsrc), out(dy);
  std::vector<double> dx = zeros(dsrc);
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x)
        dx[(p * in.h + y / factor) * in.w + x / factor] += dy.values<T>()[(p * out.h + y) * out.w + x];
  store<T>(dx, dsrc);
}

template struct Gradients<float>;
template struct Gradients<double>;

}  // namespace marrow::reference
