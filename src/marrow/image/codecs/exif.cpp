#include <algorithm>
#include <cstring>

#include "marrow/image/codecs/codecs.h"

namespace marrow::image::codecs {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kTypeShort = 3;
constexpr size_t kEntryBytes = 12;

}  // namespace

int exif_orientation(Bytes exif) {
  if (exif.size() < 8) return 1;
  bool little = exif[0] == 'I' && exif[1] == 'I';
  if (!little && !(exif[0] == 'M' && exif[1] == 'M')) return 1;
  auto u16 = [&](size_t at) { return little ? little_16(exif, at) : big_16(exif, at); };
  size_t directory = little ? little_32(exif, 4) : big_32(exif, 4);
  if (u16(2) != 42 || directory > exif.size() - 2) return 1;
  size_t entries = std::min<size_t>(u16(directory), (exif.size() - directory - 2) / kEntryBytes);
  for (size_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + i * kEntryBytes;
    if (u16(entry) != kOrientationTag || u16(entry + 2) != kTypeShort) continue;
    uint32_t value = u16(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  // Orientations 5 to 8 exchange rows and columns; the stored position of each upright pixel is affine in (x,
  // y).
  bool transpose = orientation >= 5;
  bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  int width = transpose ? image.height() : image.width();
  int height = transpose ? image.width() : image.height();
  Image turned(width, height, 0, image.format());
  for (int y = 0; y < height; ++y) {
    uint8_t* out = turned.row(y);
    for (int x = 0; x < width; ++x, out += image.pixel_bytes()) {
      int stored_x = transpose ? y : x;
      int stored_y = transpose ? x : y;
      if (from_right) stored_x = image.width() - 1 - stored_x;
      if (from_bottom) stored_y = image.height() - 1 - stored_y;
      std::memcpy(out, image.pixel(stored_x, stored_y), image.pixel_bytes());
    }
  }
  return turned;
}

}  // namespace marrow::image::codecs
