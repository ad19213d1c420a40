// What the pixels of images are made of, and how files become that. The default is what nearly every model
// wants: blue, green and red of 8 bits.
#pragma once

#include <cstddef>
#include <string>

namespace marrow {

inline constexpr int kMaxSampleChannels = 64;  // of an image

struct SampleFormat {
  int channels = 3;  // 1 to kMaxSampleChannels
  int bits = 8;      // of a sample: 8 or 16

  constexpr size_t sample_bytes() const { return static_cast<size_t>(bits) / 8; }
  constexpr size_t pixel_bytes() const { return static_cast<size_t>(channels) * sample_bytes(); }
  constexpr bool is_colour() const { return channels == 3; }  // stored blue, green, red
  bool operator==(const SampleFormat&) const = default;
};

inline constexpr int kMaxSample16 = 65535;

// The samples of a 16-bit file that become 0 and kMaxSample16 when it is read; those outside become the
// nearer of the two. 0 <= low < high <= kMaxSample16.
struct SampleRange {
  int low = 0, high = kMaxSample16;
  bool operator==(const SampleRange&) const = default;
};

// How image files are read.
struct ImageReading {
  SampleFormat samples;
  SampleRange range;  // of 16 bits alone
  bool operator==(const ImageReading&) const = default;
};

std::string to_string(const SampleFormat& format);   // "4 channels of 16 bits"
std::string to_string(const ImageReading& reading);  // "4 channels of 16 bits from 0 to 4095"

}  // namespace marrow
