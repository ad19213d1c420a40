// Pictures of every kind, with what they say of their orientation.
#include "fuzz/checksums.h"
#include "fuzz/readers.h"
#include "marrow/base/error.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"

namespace marrow::fuzz {
namespace {

// A file of a hundred bytes may state a picture of 600 MB, which is within the limits and takes seconds to
// fill.
constexpr int64_t kMostPixelsHere = 4'000'000;

using namespace std::string_literals;

// "Turn it right by 90 degrees", as an EXIF block.
const std::string kTurned = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"s;

std::string turned_jpeg(const std::string& jpeg) {
  return jpeg.substr(0, 2) + "\xff\xe1\x00\x22"s + "Exif\0\0"s + kTurned + jpeg.substr(2);
}

// Its checksum is set right before it is read.
std::string turned_png(const std::string& png) {
  constexpr size_t kEnd = 12;  // bytes of the last chunk
  return png.substr(0, png.size() - kEnd) + "\0\0\0\x1a"s + "eXIf" + kTurned + "0000" +
         png.substr(png.size() - kEnd);
}

// One pixel.
const std::string kVp8 =
    "VP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x01\0\x01\0\x02\0\x34\x25\xa4\0\x03p\0\xfe\xfb\x94\0\0"s;
const std::string kWebp = "RIFF\x24\0\0\0WEBP"s + kVp8;
const std::string kTurnedWebp =
    "RIFF\x58\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\0\0\0\0\0\0"s + kVp8 + "EXIF\x1a\0\0\0"s + kTurned;

}  // namespace

void read_image(Bytes as_found) {
  const std::string right = with_png_checksums(as_found);
  const Bytes bytes = std::as_bytes(std::span(right));
  const Size size = image::image_size(bytes, "image");
  if (int64_t{size.width} * size.height > kMostPixelsHere) return;
  image::decode_image(bytes, "image");
  for (const image::DecodeOptions& options : {image::DecodeOptions{.fit = {16, 16}},
                                              {.reading = {.samples = {1, 8}}},
                                              {.reading = {.samples = {4, 16}}}})
    try {
      image::decode_image(bytes, "image", options);
    } catch (const Error&) {
    }
}

Seeds image_seeds() {
  image::Image image = image::draw_scene(24, 16, 1);
  const image::ConstPixels pixels = image.pixels();
  const std::string jpeg = image::encode_jpeg(pixels);
  const std::string png = image::encode_png(pixels);
  return {
      jpeg,
      turned_jpeg(jpeg),
      image::encode_jpeg(pixels, {.quality = 30, .subsample_chroma = false}),
      png,
      turned_png(png),
      image::encode_tiff(pixels),
      "BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\0"s,
      kWebp,
      kTurnedWebp};
}

}  // namespace marrow::fuzz
