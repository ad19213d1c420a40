// What the kernels and their gradients share: the geometry of maps, and where the windows of convolutions and
// pools lie on them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "marrow/base/tensor.h"
#include "marrow/graph/operation.h"
#include "marrow/graph/shapes.h"

namespace marrow::reference {

// The geometry of a map, and one channel plane of one image.
struct Map {
  explicit Map(const Tensor& t) : n(t.dim(0)), c(t.dim(1)), h(t.dim(2)), w(t.dim(3)) {}
  int64_t plane(int64_t image, int64_t channel) const { return (image * c + channel) * h * w; }
  int64_t n, c, h, w;
};

inline double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

// What an operation computed in double, as its map holds it.
template <class T>
T stored(double value) {
  return static_cast<T>(value);
}

// One weight of a convolution on one row of outputs: dst[ox] takes weight * src[src + ox * stride] for ox in
// [first, last), where that lies inside the map.
struct ConvTap {
  int64_t weight;  // its index
  int64_t src;
  int64_t first, last;
};

// The taps of a convolution. `in` and `out` are its maps.
class ConvTaps {
 public:
  ConvTaps(const Conv& op, const Map& in, const Map& out)
      : op_(op),
        in_(in),
        out_(out),
        above_(resolve_padding(op.padding, in.h, op.kernel, op.stride, op.dilation).before),
        left_(resolve_padding(op.padding, in.w, op.kernel, op.stride, op.dilation).before) {}

  // Calls visit(ConvTap) for each that meets the map on row oy of output channel oc, in the order of the
  // weights.
  template <class Visit>
  void on_row(int64_t image, int64_t oc, int64_t oy, const Visit& visit) const {
    const int64_t in_per_group = in_.c / op_.groups, out_per_group = out_.c / op_.groups;
    for (int64_t i = 0; i < in_per_group; ++i)
      for (int64_t ky = 0; ky < op_.kernel; ++ky) {
        const int64_t iy = oy * op_.stride + ky * op_.dilation - above_;
        if (iy < 0 || iy >= in_.h) continue;
        const int64_t line = in_.plane(image, oc / out_per_group * in_per_group + i) + iy * in_.w;
        for (int64_t kx = 0; kx < op_.kernel; ++kx) {
          const int64_t offset = kx * op_.dilation - left_;
          // The output columns whose input column, ox * stride + offset, lies inside.
          const int64_t first = offset >= 0 ? 0 : (-offset + op_.stride - 1) / op_.stride;
          const int64_t last =
              std::min(out_.w, in_.w - offset <= 0 ? 0 : (in_.w - offset - 1) / op_.stride + 1);
          visit(ConvTap{((oc * in_per_group + i) * op_.kernel + ky) * op_.kernel + kx, line + offset, first,
                        last});
        }
      }
  }

 private:
  const Conv& op_;
  Map in_, out_;
  int64_t above_, left_;
};

// Calls visit(src, dst, weight), three indices, for every product of a transposed convolution: dst takes
// weight * src. Those of one element of dst come in the order of the input channels.
template <class Visit>
void for_each_spread(const ConvTranspose& op, const Map& in, const Map& out, const Visit& visit) {
  for (int64_t image = 0; image < in.n; ++image)
    for (int64_t oc = 0; oc < out.c; ++oc)
      for (int64_t ic = 0; ic < in.c; ++ic)
        for (int64_t iy = 0; iy < in.h; ++iy)
          for (int64_t ix = 0; ix < in.w; ++ix)
            for (int64_t ky = 0; ky < op.kernel; ++ky)
              for (int64_t kx = 0; kx < op.kernel; ++kx) {
                const int64_t oy = iy * op.stride + ky - op.padding, ox = ix * op.stride + kx - op.padding;
                if (oy < 0 || oy >= out.h || ox < 0 || ox >= out.w) continue;
                visit(in.plane(image, ic) + iy * in.w + ix, out.plane(image, oc) + oy * out.w + ox,
                      ((ic * out.c + oc) * op.kernel + ky) * op.kernel + kx);
              }
}

// A window of a pool, cut to the map.
struct Window {
  int64_t top, bottom, left, right;
};

// Calls visit(plane, dst, window) for every output: the index of the input's plane, of the output, and the
// window that it is the largest value of.
template <class Visit>
void for_each_window(const MaxPool& op, const Map& in, const Map& out, const Visit& visit) {
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x) {
        const int64_t top = y * op.stride - op.padding, left = x * op.stride - op.padding;
        visit(p * in.h * in.w, (p * out.h + y) * out.w + x,
              Window{std::max<int64_t>(top, 0), std::min(top + op.kernel, in.h), std::max<int64_t>(left, 0),
                     std::min(left + op.kernel, in.w)});
      }
}
template <class Visit>
void for_each_window(const AdaptiveMaxPool&, const Map& in, const Map& out, const Visit& visit) {
  const auto begin = [](int64_t cell, int64_t n, int64_t cells) { return cell * n / cells; };
  const auto end = [](int64_t cell, int64_t n, int64_t cells) {
    return ((cell + 1) * n + cells - 1) / cells;
  };
  for (int64_t p = 0; p < out.n * out.c; ++p)
    for (int64_t y = 0; y < out.h; ++y)
      for (int64_t x = 0; x < out.w; ++x)
        visit(p * in.h * in.w, (p * out.h + y) * out.w + x,
              Window{begin(y, in.h, out.h), end(y, in.h, out.h), begin(x, in.w, out.w), end(x, in.w, out.w)});
}

// Where a window's largest value stands in its plane: the first of equal ones, row by row. A NaN wins, so
// that it is seen, and the last of several; as in PyTorch, whose gradient goes to the same place.
template <class T>
int64_t largest_in(const T* plane, int64_t width, const Window& window) {
  int64_t best = window.top * width + window.left;
  T largest = -std::numeric_limits<T>::infinity();
  for (int64_t y = window.top; y < window.bottom; ++y)
    for (int64_t x = window.left; x < window.right; ++x) {
      const T value = plane[y * width + x];
      if (!(value > largest) && !std::isnan(value)) continue;
      largest = value;
      best = y * width + x;
    }
  return best;
}

// The weights of one position's attention over a run, before they are divided by their sum, which is
// returned. Channels of `query` and of `keys`, one row a position of the run, are `positions` apart.
template <class T>
double attention_weights(const Attention& op, const T* query, const T* keys, int64_t positions,
                         std::span<double> weights) {
  const double factor = 1 / std::sqrt(static_cast<double>(op.key_channels));
  double largest = -std::numeric_limits<double>::infinity(), total = 0;
  for (size_t j = 0; j < weights.size(); ++j) {
    double score = 0;
    for (int64_t c = 0; c < op.key_channels; ++c)
      score += static_cast<double>(query[c * positions]) * keys[c * positions + static_cast<int64_t>(j)];
    weights[j] = score * factor;
    largest = std::max(largest, score * factor);
  }
  for (double& weight : weights) total += weight = std::exp(weight - largest);
  return total;
}

}  // namespace marrow::reference
