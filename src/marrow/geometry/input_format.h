// How pixels become the numbers of a network's input. Training, prediction, validation, export and the engine
// read it here; an import sets it.
#pragma once

#include <array>

namespace marrow {

enum class ChannelOrder { kRgb, kBgr };
enum class Interpolation {
  kBilinear,       // antialiased, as Pillow and hence torchvision and timm
  kBicubic,        // likewise
  kOpenCvBilinear  // not antialiased, as OpenCV's INTER_LINEAR
};

// x = (pixel * scale - mean) / std, per channel in `order`.
struct InputFormat {
  ChannelOrder order = ChannelOrder::kRgb;
  double scale = 1.0 / 255.0;
  std::array<double, 3> mean = {0, 0, 0};
  std::array<double, 3> std = {1, 1, 1};
  // Pixels; 0: not stated. Classifiers: the shorter side is resized to `resize`, then the centre crop x crop
  // is taken. Detectors: `crop` is the side of the square that images were fitted into in training.
  int resize = 0;
  int crop = 0;
  Interpolation interpolation = Interpolation::kBilinear;

  bool operator==(const InputFormat&) const = default;
};

// What every byte becomes: [channel of the network][byte]. Computed in double precision and rounded once.
using ByteValues = std::array<std::array<float, 256>, 3>;
ByteValues byte_values(const InputFormat& format);

inline constexpr int kDefaultCrop = 224;  // pixels; what YOLOv8's classifiers are trained with

// `format` with both sizes stated: its own, or kDefaultCrop and no margin where it states none. A `crop`
// other than 0 takes the place of its own, and the resize keeps its proportion to it. Applied twice it
// changes nothing more.
InputFormat classifier_format(InputFormat format, int crop);

}  // namespace marrow
