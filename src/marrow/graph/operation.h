// The operations a graph is made of: few, primitive, and plain data. A composite (C2f, squeeze-excite, star
// block) is a function that adds operations, never an operation of its own.
//
// Tensors are NCHW float32 unless stated. Every operation has one output.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "marrow/geometry/input_format.h"

namespace marrow {

// Zeros (or -inf, for max pooling) around a map, the same rule on both axes.
struct Padding {
  int before = 0;  // rows above, columns to the left
  int after = 0;   // rows below, columns to the right
  // TensorFlow SAME: before and after follow from the actual size n, as total = max((ceil(n/s) - 1) s + k -
  // n, 0), floor(total/2) before and the rest after. `before` and `after` are then ignored.
  bool same = false;

  static Padding symmetric(int size) { return {size, size, false}; }
  static Padding tensorflow_same() { return {0, 0, true}; }
  bool operator==(const Padding&) const = default;
};

enum class ActivationKind {
  kIdentity,
  kRelu,
  kRelu6,
  kLeakyRelu,  // x for x >= 0, slope * x otherwise
  kSilu,
  kHardSwish,    // x * min(max(x + 3, 0), 6) / 6
  kHardSigmoid,  // min(max(x / 6 + 0.5, 0), 1)
  kSigmoid,
  kTanh,
  kGelu,  // exact, with the error function
  kMish,
  kElu,
};
inline constexpr int kActivationKinds = static_cast<int>(ActivationKind::kElu) + 1;  // kElu is the last
std::string_view activation_name(ActivationKind kind);

struct Input {
  int channels = 3;
  InputFormat format;

  bool operator==(const Input&) const = default;
};

// Cross-correlation, weight (out_channels, in_channels / groups, kernel, kernel).
struct Conv {
  int out_channels = 0;
  int kernel = 1;
  int stride = 1;
  int dilation = 1;
  int groups = 1;
  Padding padding;
  std::string weight;  // parameter name
  std::string bias;    // parameter name, empty when there is none

  bool operator==(const Conv&) const = default;
};

// Weight (in_channels, out_channels, kernel, kernel); out size = (n - 1) * stride + kernel - 2 * padding +
// output_padding, the last rows and columns of which lie below and to the right.
struct ConvTranspose {
  int out_channels = 0;
  int kernel = 2;
  int stride = 2;
  int padding = 0;
  int output_padding = 0;
  std::string weight;
  std::string bias;  // parameter name, empty when there is none

  bool operator==(const ConvTranspose&) const = default;
};

// y = weight * (x - mean) / sqrt(var + eps) + bias per channel. In training mean and var are the batch's
// (biased) and the running ones move by `momentum` (the PyTorch sense), running_var towards the unbiased
// variance.
struct BatchNorm {
  double eps = 1e-5;
  double momentum = 0.1;
  std::string weight, bias, running_mean, running_var, num_batches_tracked;

  bool operator==(const BatchNorm&) const = default;
};

struct Activation {
  ActivationKind kind = ActivationKind::kIdentity;
  double slope = 0.01;  // leaky ReLU, ELU (alpha)
  std::string
      slope_name;  // leaky ReLU: the named scalar of the weight store that holds the slope; empty = constant

  bool operator==(const Activation&) const = default;
};

struct Add {
  bool operator==(const Add&) const = default;
};  // equal shapes

// Equal shapes, or the second operand (N, C, 1, 1), a gate.
struct Multiply {
  bool operator==(const Multiply&) const = default;
};

struct Concat {
  bool operator==(const Concat&) const = default;
};  // on channels

struct Slice {  // channels [begin, end) of each of `groups` equal groups of neighbouring channels
  int begin = 0;
  int end = 0;
  int groups = 1;

  bool operator==(const Slice&) const = default;
};

// dst[j * groups + i] = src[i * (C / groups) + j]. Source: ShuffleNet V2, Ma et al. 2018, fig. 3.
struct ChannelShuffle {
  int groups = 2;

  bool operator==(const ChannelShuffle&) const = default;
};

// Windows are floored: a trailing row or column that fills no window is dropped. The padding never wins.
struct MaxPool {
  int kernel = 2;
  int stride = 2;
  int padding = 0;

  bool operator==(const MaxPool&) const = default;
};

// To size x size; cell r covers rows floor(r * H / size) .. ceil((r + 1) * H / size) - 1, so cells may
// overlap.
struct AdaptiveMaxPool {
  int size = 1;

  bool operator==(const AdaptiveMaxPool&) const = default;
};

struct GlobalAveragePool {
  bool operator==(const GlobalAveragePool&) const = default;
};  // (N, C, H, W) -> (N, C, 1, 1)

struct Upsample {  // nearest: out[y][x] = in[y / factor][x / factor]
  int factor = 2;

  bool operator==(const Upsample&) const = default;
};

struct Flatten {
  bool operator==(const Flatten&) const = default;
};  // (N, C, H, W) -> (N, C * H * W)

struct Linear {  // (N, in) -> (N, out_features), weight (out_features, in)
  int out_features = 0;
  std::string weight;
  std::string bias;

  bool operator==(const Linear&) const = default;
};

struct Dropout {
  double rate = 0;
  // Paddle's "downscale in inference": training keeps the scale and inference multiplies by 1 - rate.
  // Otherwise training divides by 1 - rate and inference is the identity.
  bool downscale_in_inference = false;

  bool operator==(const Dropout&) const = default;
};

// Stochastic depth: in training a sample's branch is kept with probability 1 - rate and divided by it;
// identity otherwise.
struct DropPath {
  double rate = 0;

  bool operator==(const DropPath&) const = default;
};

// y = weight * x per channel, weight (C): the scale of a residual branch.
// Source: CaiT, Touvron et al. 2021, section 2 (layer scale).
struct Scale {
  std::string weight;

  bool operator==(const Scale&) const = default;
};

// Self-attention over the H W positions of a map. Each of `heads` groups of channels holds, in this order,
// the queries and keys (key_channels each) and the values; the positions, row by row, are cut into `areas`
// runs of equal length. Within a head and a run
//   y_i = sum_j a_ij v_j,   a_ij = softmax over j of q_i . k_j / sqrt(key_channels)
// Output (N, heads * value_channels, H, W), heads in order. Source: Vaswani et al. 2017, equation 1; areas:
// YOLOv12, Tian et al. 2025, section 3.2.
struct Attention {
  int heads = 1;
  int key_channels = 0;
  int value_channels = 0;
  int areas = 1;

  int head_channels() const { return 2 * key_channels + value_channels; }
  bool operator==(const Attention&) const = default;
};

// What a head says of each prediction beside its box and scores, on a third map a level.
enum class DetectExtra {
  kNone,
  kCoefficients,   // numbers as they are, which weigh prototypes of a mask
  kPoints,         // x, y of points in turn
  kVisiblePoints,  // x, y, visible of points in turn
  kAngle,          // one number, by which the box is turned
};
inline constexpr int kDetectExtras = static_cast<int>(DetectExtra::kAngle) + 1;
std::string_view extra_name(DetectExtra extra);  // "coefficients", ...
// Numbers of a point; 1 where the extra is none of points.
int numbers_of_point(DetectExtra extra);

// The YOLOv8 head's decode. Inputs: one raw map (N, 4 * reg_max + classes, H, W) a level, then, with an
// extra, one map (N, extra_channels, H, W) a level. Output (N, 4 + classes + extra_channels, anchors): cx,
// cy, w, h in pixels of the network input, sigmoid scores, the extra; levels in order, row-major inside a
// level. With s the stride and (ax, ay) the cell's centre in cells:
//   distance = sum_b b * softmax(bins)_b, with b read from the frozen parameter `bins` (1, reg_max, 1, 1);
//   with reg_max 1, which has no bins, the distance is the number itself, and may be negative
//   point = (2 x + ax - 0.5) s, (2 y + ay - 0.5) s, sigmoid(visible)
//   angle r = (sigmoid(x) - 0.25) pi, radians; the distances are along the box's own sides: its centre lies
//   at ((right - left) / 2, (bottom - top) / 2) from the cell's centre, turned by r, x towards y
// Source: Generalized Focal Loss, Li et al. 2020, section 3 (the integral form).
struct DetectDecode {
  int classes = 0;
  int reg_max = 16;
  std::vector<int> strides;  // input pixels per cell, one a level
  std::string bins;          // empty with reg_max 1
  DetectExtra extra = DetectExtra::kNone;
  int extra_channels = 0;

  size_t levels() const { return strides.size(); }
  int rows() const { return 4 + classes + extra_channels; }
  bool operator==(const DetectDecode&) const = default;
};

using Operation = std::variant<Input, Conv, ConvTranspose, BatchNorm, Activation, Add, Multiply, Concat,
                               Slice, ChannelShuffle, MaxPool, AdaptiveMaxPool, GlobalAveragePool, Upsample,
                               Flatten, Linear, Dropout, DropPath, Scale, Attention, DetectDecode>;

std::string_view operation_name(const Operation& operation);  // "conv", "batch_norm", ...

// Gathers lambdas into one visitor for std::visit.
template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;  // Clang before 17 does not find it by itself

}  // namespace marrow
