// One function per kind of image file, for decode.cpp alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "marrow/image/decode.h"

namespace marrow::image::codecs {

using Bytes = std::span<const uint8_t>;

// The size as stored, from the headers alone.
struct StoredSize {
  int64_t width = 0;
  int64_t height = 0;
  int orientation = 1;
};

// An image as its file stores it, and how it must be turned (EXIF orientation, 1 = not at all).
struct StoredImage {
  Image image;
  int orientation = 1;
  StoredSize full = {};  // 0 x 0: the image's; more where it was decoded at a fraction
  std::string warning;   // without the file's name
};

// All throw Error naming `name`. The image has the channels that are wanted, or one, or three, where one or
// three are wanted; and 8 bits where the file has no more. Kinds of file without a `wanted` have three
// channels of 8 bits.
StoredImage read_jpeg(Bytes bytes, const std::string& name, const SampleFormat& wanted,
                      Size fit);  // DecodeOptions::fit
StoredImage read_png(Bytes bytes, const std::string& name, const SampleFormat& wanted);
StoredImage read_webp(Bytes bytes, const std::string& name);
StoredImage read_bmp(Bytes bytes, const std::string& name);
StoredImage read_tiff(Bytes bytes, const std::string& name, const SampleFormat& wanted);

StoredSize jpeg_size(Bytes bytes, const std::string& name);
StoredSize png_size(Bytes bytes, const std::string& name);
StoredSize webp_size(Bytes bytes, const std::string& name);
StoredSize bmp_size(Bytes bytes, const std::string& name);
StoredSize tiff_size(Bytes bytes, const std::string& name);

// Throws Error{kFormat}: "NAME: broken JPEG: WHAT".
[[noreturn]] void fail(const std::string& name, const char* kind, const std::string& what);

// Throws unless 1 <= width, height and the limits of decode.h hold.
void check_size(const std::string& name, const char* kind, int64_t width, int64_t height,
                const SampleFormat& format = {});

// Throws Error{kUnsupported}: the file has `found` channels, and others are wanted. `how`: what they are.
[[noreturn]] void fail_channels(const std::string& name, const char* kind, int64_t found, int wanted,
                                const std::string& how = "");

// The orientation in an EXIF block (a TIFF header and its first directory); 1 when there is none or it makes
// no sense.
int exif_orientation(Bytes exif);

// Does it exchange width and height?
constexpr bool turned(int orientation) {
  return orientation >= 5 && orientation <= 8;
}

// Turns and mirrors as EXIF orientation 1..8 asks.
Image upright(Image image, int orientation);

// Integers at an offset that the caller has checked.
inline uint32_t little_16(Bytes b, size_t at) {
  return b[at] | (uint32_t{b[at + 1]} << 8);
}
inline uint32_t little_32(Bytes b, size_t at) {
  return little_16(b, at) | (little_16(b, at + 2) << 16);
}
inline uint32_t big_16(Bytes b, size_t at) {
  return (uint32_t{b[at]} << 8) | b[at + 1];
}
inline uint32_t big_32(Bytes b, size_t at) {
  return (big_16(b, at) << 16) | big_16(b, at + 2);
}

}  // namespace marrow::image::codecs
