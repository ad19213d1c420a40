// Image files become pixels: JPEG, PNG, WebP, BMP and TIFF, told apart by their content, never by their
// name.
//
// What comes out is what DecodeOptions::reading says, by default 8-bit blue, green, red: gray is repeated,
// alpha is dropped, palettes are looked up, 16 bits become round(value / 257), CMYK becomes RGB. One channel
// is grey: a JPEG's own luma, otherwise to_grey(). Other numbers of channels are those of a PNG with alpha (2
// or 4), or of a TIFF, whose samples a pixel times its pages are then exactly as many, of 8 or 16 unsigned
// bits; pages that are smaller copies or masks do not count. The EXIF (or TIFF) orientation is applied, so
// that the image is upright. Colour profiles and gamma are ignored, as the training pipelines of all
// published checkpoints ignore them. JPEG pixels equal those of libjpeg-turbo's default (accurate integer
// DCT, smooth chroma upsampling), hence OpenCV's.
//
// Files are hostile: dimensions are compared with the limits below and with the size of the file before
// anything is allocated. Any thread may decode; nothing is printed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "marrow/geometry/size.h"
#include "marrow/image/image.h"

namespace marrow::image {

constexpr int64_t kMaxImageSide = 65500;                 // pixels; JPEG's own limit
constexpr int64_t kMaxImagePixels = 200'000'000;         // the largest camera sensors
constexpr int64_t kMaxImageBytes = 3 * kMaxImagePixels;  // decoded
constexpr int64_t kMaxImageFileBytes = 1'000'000'000;

struct DecodeOptions {
  // For a caller that shrinks the image until it fits into so many pixels: a JPEG is then decoded at a half,
  // a quarter or an eighth of its size, and never smaller than `fit`. It is quicker, but pixels differ, so
  // boxes move a little. 0 x 0: decode at the full size.
  Size fit;
  ImageReading reading = {};
};

struct DecodedImage {
  Image image;
  Size full;  // of the image in the file; more than image's only where DecodeOptions::fit asked for it
  int file_bits = 8;  // of the file's samples, where 16 are wanted: 16 where it has them
  // Not empty when the file is damaged and only a part could be read: one line, naming the file, for the user
  // to see. Only JPEG has such images (the rest is grey); a damaged file of another kind is an error, and a
  // JPEG of which there is nothing.
  std::string warning;
};

// `name` is what messages call the image. Throws Error{kFormat} for a broken file, Error{kUnsupported} for
// a kind, size or number of channels that Marrow does not read; the message names the kind.
DecodedImage decode_image(std::span<const std::byte> bytes, const std::string& name,
                          const DecodeOptions& options = {});

// As above; Error{kFile} when the file is missing, not a regular file, unreadable or above
// kMaxImageFileBytes.
DecodedImage decode_image_file(const std::filesystem::path& path, const DecodeOptions& options = {});

// What a file of this kind is usually called: ".jpg", ".png", ".webp", ".bmp", ".tif". Throws as decode_image
// does for what is not read.
std::string_view usual_suffix(std::span<const std::byte> bytes, const std::string& name);

// The size that decode_image would give, from the headers alone. The pixels may still be broken. Throws as it
// does.
Size image_size(std::span<const std::byte> bytes, const std::string& name);

// The pixels that its headers claim, however many. Throws as decode_image does for what is no image.
int64_t claimed_pixels(std::span<const std::byte> bytes, const std::string& name);

// The size that decode_image_file would give, from the file's headers alone. The pixels may still be broken.
// Throws as decode_image_file does.
Size read_image_size(const std::filesystem::path& path);

}  // namespace marrow::image
