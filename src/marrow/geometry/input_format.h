// How pixels become the numbers of a network's input. Training, prediction, validation, export and the engine
// read it here; an import sets it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "marrow/geometry/sample_format.h"

namespace marrow {

enum class ChannelOrder { kRgb, kBgr };
enum class Interpolation {
  kBilinear,       // antialiased, as Pillow and hence torchvision and timm
  kBicubic,        // likewise
  kOpenCvBilinear  // not antialiased, as OpenCV's INTER_LINEAR
};

// x = (sample * scale - mean) / std. Order, mean and std are of three channels; others come as they are
// stored, with a mean of 0 and a std of 1.
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
  // Images are read with samples of 16 bits, of which this range becomes 0..65535; empty: 8 bits.
  std::optional<SampleRange> range = {};

  bool operator==(const InputFormat&) const = default;
};

// What the samples of an image become. Computed in double precision and rounded once.
class SampleValues {
 public:
  SampleValues(const InputFormat& format, const SampleFormat& samples);

  // Where an image holds a channel of the network.
  int stored_channel(int channel) const { return reversed_ ? 2 - channel : channel; }
  const std::array<float, 256>& of_bytes(int channel) const { return bytes_[index(channel)]; }
  float value(int channel, uint8_t sample) const { return of_bytes(channel)[sample]; }
  float value(int channel, uint16_t sample) const {
    const Affine& a = wide_[index(channel)];
    return static_cast<float>((sample * scale_ - a.mean) / a.std);
  }
  // What an image filled with this byte becomes.
  float ground(int channel, uint8_t byte) const {
    return bytes_.empty() ? value(channel, static_cast<uint16_t>(byte * 257)) : value(channel, byte);
  }

 private:
  struct Affine {
    double mean = 0, std = 1;
  };
  size_t index(int channel) const { return static_cast<size_t>(channel); }

  bool reversed_;
  double scale_;
  std::vector<std::array<float, 256>> bytes_;  // [channel of the network][byte], of 8 bits
  std::vector<Affine> wide_;                   // of 16 bits
};

// For images that are read with 16 bits, or with 8 again: the brightest sample stays what it was.
void set_range(InputFormat& format, const SampleRange& range);
void reset_range(InputFormat& format);

// How images are read for a network of so many channels.
ImageReading image_reading(const InputFormat& format, int channels);

inline constexpr int kDefaultCrop = 224;  // pixels; what YOLOv8's classifiers are trained with

// `format` with both sizes stated: its own, or kDefaultCrop and no margin where it states none. A `crop`
// other than 0 takes the place of its own, and the resize keeps its proportion to it. Applied twice it
// changes nothing more.
InputFormat classifier_format(InputFormat format, int crop);

}  // namespace marrow
