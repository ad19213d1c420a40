// Windows and OS/2 bitmaps: 1, 4, 8, 16, 24 and 32 bits, bit fields, run lengths, upside down or not.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "marrow/base/error.h"
#include "marrow/image/codecs/codecs.h"

namespace marrow::image::codecs {
namespace {

constexpr const char* kKind = "BMP";
constexpr size_t kFileHeader = 14;
constexpr size_t kCoreHeader = 12;  // OS/2's, with 16-bit sizes and three bytes a palette entry
constexpr size_t kInfoHeader = 40;
constexpr int64_t kMaxRunRatio = 16384;  // run lengths: at best four bytes skip 255 x 255 pixels

enum Compression : uint32_t { kNone = 0, kRuns8 = 1, kRuns4 = 2, kBitFields = 3, kAlphaBitFields = 6 };

using Colour = std::array<uint8_t, 3>;  // blue, green, red

struct Header {
  int64_t width = 0;
  int64_t height = 0;
  bool top_down = false;
  uint32_t bits = 0;
  uint32_t compression = kNone;
  size_t pixels_at = 0;
  std::array<uint32_t, 3> masks = {};  // blue, green, red; of 16 and 32 bits
  std::array<Colour, 256> palette = {};
};

Header read_header(Bytes bytes, const std::string& name) {
  auto need = [&](size_t count) {
    if (bytes.size() < count) fail(name, kKind, "the file ends early");
  };
  Header header;
  need(kFileHeader + kCoreHeader);
  header.pixels_at = little_32(bytes, 10);
  size_t size = little_32(bytes, kFileHeader);
  uint32_t colours = 0;
  if (size == kCoreHeader) {
    header.width = little_16(bytes, 18);
    header.height = little_16(bytes, 20);
    header.bits = little_16(bytes, 24);
  } else {
    if (size < kInfoHeader || size > 1024) fail(name, kKind, fmt::format("a header of {} bytes", size));
    need(kFileHeader + size);
    header.width = static_cast<int32_t>(little_32(bytes, 18));
    header.height = static_cast<int32_t>(little_32(bytes, 22));
    header.bits = little_16(bytes, 28);
    header.compression = little_32(bytes, 30);
    colours = little_32(bytes, 46);
    header.top_down = header.height < 0;
    header.height = std::abs(header.height);
  }
  size_t palette_at = kFileHeader + size;
  if (header.compression == kBitFields || header.compression == kAlphaBitFields) {
    // Right behind the first 40 bytes, whether they count as a part of the header or not.
    size_t masks_at = kFileHeader + kInfoHeader;
    need(masks_at + 12);
    header.masks = {little_32(bytes, masks_at + 8), little_32(bytes, masks_at + 4),
                    little_32(bytes, masks_at)};
    if (size == kInfoHeader) palette_at += header.compression == kBitFields ? 12 : 16;
  } else if (header.bits == 16) {
    header.masks = {0x001f, 0x03e0, 0x7c00};
  } else if (header.bits == 32) {
    header.masks = {0x0000ff, 0x00ff00, 0xff0000};
  }
  if (header.bits <= 8) {
    uint32_t most = 1u << header.bits;
    if (colours == 0 || colours > most) colours = most;
    size_t entry = size == kCoreHeader ? 3 : 4;
    // Some writers give fewer entries than they announce: the pixels begin where the palette ends.
    for (uint32_t i = 0; i < colours; ++i) {
      size_t at = palette_at + i * entry;
      if (at + 3 > bytes.size() || at + 3 > header.pixels_at) break;
      header.palette[i] = {bytes[at], bytes[at + 1], bytes[at + 2]};
    }
  }
  return header;
}

void check(const Header& header, size_t file_size, const std::string& name) {
  check_size(name, kKind, header.width, header.height);
  uint32_t bits = header.bits;
  bool plain = header.compression == kNone &&
               (bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32);
  bool fields = (header.compression == kBitFields || header.compression == kAlphaBitFields) &&
                (bits == 16 || bits == 32);
  bool runs = (header.compression == kRuns8 && bits == 8) || (header.compression == kRuns4 && bits == 4);
  if (!plain && !fields && !runs) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: BMP of an unknown kind: {} bits a pixel, compression {}", name, bits,
                            header.compression));
  }
  int64_t available = static_cast<int64_t>(file_size) - static_cast<int64_t>(header.pixels_at);
  int64_t row = (header.width * bits + 31) / 32 * 4;
  int64_t wanted = runs ? header.width * header.height / kMaxRunRatio : row * header.height;
  if (available < wanted) {
    fail(name, kKind,
         fmt::format("{} x {} pixels need {} bytes, but {} are there", header.width, header.height, wanted,
                     std::max<int64_t>(available, 0)));
  }
}

// A bit field as a byte: its largest value becomes 255.
uint8_t field(uint32_t value, uint32_t mask) {
  if (mask == 0) return 0;
  uint64_t most = mask >> std::countr_zero(mask);
  uint64_t part = (value & mask) >> std::countr_zero(mask);
  return static_cast<uint8_t>((part * 255 + most / 2) / most);
}

void read_row(Bytes row, const Header& header, uint8_t* out) {
  for (int64_t x = 0; x < header.width; ++x, out += 3) {
    auto at = static_cast<size_t>(x * header.bits / 8);
    switch (header.bits) {
      case 24:
        std::memcpy(out, row.data() + at, 3);
        break;
      case 16:
      case 32: {
        uint32_t value = header.bits == 16 ? little_16(row, at) : little_32(row, at);
        for (size_t c = 0; c < 3; ++c) out[c] = field(value, header.masks[c]);
        break;
      }
      default: {  // 1, 4 or 8 bits, the first pixel in the highest
        auto shift = static_cast<uint32_t>(8 - header.bits - static_cast<uint32_t>(x * header.bits % 8));
        uint32_t index = (row[at] >> shift) & ((1u << header.bits) - 1);
        std::memcpy(out, header.palette[index].data(), 3);
      }
    }
  }
}

// Runs of equal pixels, literal stretches, and jumps, from the bottom row up.
void read_runs(Bytes data, const Header& header, const std::string& name, Image& image) {
  bool nibbles = header.bits == 4;
  int64_t x = 0, y = 0;
  auto put = [&](uint32_t index) {
    if (x >= header.width || y >= header.height) fail(name, kKind, "a run leaves the image");
    auto row = static_cast<int>(header.top_down ? y : header.height - 1 - y);
    std::memcpy(image.row(row) + x * 3, header.palette[index].data(), 3);
    ++x;
  };
  auto half = [&](uint32_t byte, uint32_t i) {
    return nibbles ? (i % 2 == 0 ? byte >> 4 : byte & 15) : byte;
  };
  for (size_t at = 0;;) {
    if (data.size() - at < 2) fail(name, kKind, "the file ends early");
    uint32_t count = data[at], value = data[at + 1];
    at += 2;
    if (count > 0) {
      for (uint32_t i = 0; i < count; ++i) put(half(value, i));
    } else if (value == 0) {  // end of row
      x = 0;
      ++y;
    } else if (value == 1) {  // end of image
      return;
    } else if (value == 2) {  // jump
      if (data.size() - at < 2) fail(name, kKind, "the file ends early");
      x += data[at];
      y += data[at + 1];
      at += 2;
    } else {  // literal pixels, padded to 16 bits
      size_t used = nibbles ? (value + 1) / 2 : value;
      size_t padded = used + used % 2;
      if (data.size() - at < padded) fail(name, kKind, "the file ends early");
      for (uint32_t i = 0; i < value; ++i) put(half(data[at + (nibbles ? i / 2 : i)], i));
      at += padded;
    }
  }
}

}  // namespace

StoredSize bmp_size(Bytes bytes, const std::string& name) {
  const Header header = read_header(bytes, name);
  return {header.width, header.height};
}

StoredImage read_bmp(Bytes bytes, const std::string& name) {
  Header header = read_header(bytes, name);
  check(header, bytes.size(), name);
  StoredImage stored;
  stored.image = Image(static_cast<int>(header.width), static_cast<int>(header.height));
  Bytes data = bytes.subspan(header.pixels_at);
  if (header.compression == kRuns8 || header.compression == kRuns4) {
    read_runs(data, header, name, stored.image);
    return stored;
  }
  auto row_bytes = static_cast<size_t>((header.width * header.bits + 31) / 32 * 4);
  for (int y = 0; y < stored.image.height(); ++y) {
    int stored_y = header.top_down ? y : stored.image.height() - 1 - y;
    read_row(data.subspan(static_cast<size_t>(stored_y) * row_bytes, row_bytes), header, stored.image.row(y));
  }
  return stored;
}

}  // namespace marrow::image::codecs
