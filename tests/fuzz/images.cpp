// Pictures of every kind, with what they say of their orientation.
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

// A segment with an orientation, behind the start of a JPEG.
std::string turned(const std::string& jpeg) {
  using namespace std::string_literals;
  const std::string exif =
      "\xff\xe1\x00\x22"s + "Exif\0\0"s + "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"s;
  return jpeg.substr(0, 2) + exif + jpeg.substr(2);
}

}  // namespace

void read_image(Bytes bytes) {
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
  using namespace std::string_literals;
  return {
      jpeg,
      turned(jpeg),
      image::encode_jpeg(pixels, {.quality = 30, .subsample_chroma = false}),
      image::encode_png(pixels),
      image::encode_tiff(pixels),
      "BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\0"s,
      "RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x01\0\x01\0\x02\0\x34\x25\xa4\0\x03p\0\xfe\xfb\x94\0\0"s};
}

}  // namespace marrow::fuzz
