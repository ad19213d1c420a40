// TIFF and PNG files of many kinds, made byte by byte.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace marrow::made {

inline std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

inline std::string big(uint64_t value, int bytes) {
  const std::string text = little(value, bytes);
  return {text.rbegin(), text.rend()};
}

struct TiffPage {
  uint32_t width = 4, height = 3;
  uint32_t samples = 1, bits = 16;
  uint32_t number = 1;       // 1 unsigned, 2 signed, 3 floating-point
  uint32_t photometric = 1;  // 0 white is 0, 1 black is 0, 2 RGB
  uint32_t planar = 1;       // 2: planes
  uint32_t rows = 0;         // a strip; 0: all
  uint32_t tile = 0;         // not 0: the side of tiles, instead of strips; a multiple of 16
  uint32_t kind = 0;         // 1: a smaller copy
  uint32_t orientation = 1;
  uint32_t compression = 1;         // 1 none, 4 fax (T.6)
  std::vector<std::string> strips;  // or tiles, of the first plane, then of the second, ...
};

// Little-endian; the strips are as they are given.
inline std::string make_tiff(const std::vector<TiffPage>& pages) {
  std::string out = "II" + little(42, 2) + little(8, 4);
  for (size_t p = 0; p < pages.size(); ++p) {
    const TiffPage& page = pages[p];
    const auto strips = static_cast<uint32_t>(page.strips.size());
    const bool tiled = page.tile > 0;
    const uint32_t fields = tiled ? 14 : 13;
    const auto at = static_cast<uint32_t>(out.size());
    const uint32_t bits_at = at + 2 + 12 * fields + 4;
    const uint32_t numbers_at = bits_at + 2 * page.samples, offsets_at = numbers_at + 2 * page.samples;
    const uint32_t counts_at = offsets_at + 4 * strips;
    uint32_t pixels_at = counts_at + 4 * strips;
    const auto entry = [](uint32_t tag, uint32_t type, uint32_t count, uint32_t value) {
      return little(tag, 2) + little(type, 2) + little(count, 4) + little(value, 4);
    };
    const auto offset_entry = [&](uint32_t tag) {
      return entry(tag, 4, strips, strips > 1 ? offsets_at : pixels_at);
    };
    const auto count_entry = [&](uint32_t tag) {
      return entry(tag, 4, strips,
                   strips > 1 ? counts_at : static_cast<uint32_t>(strips == 1 ? page.strips[0].size() : 0));
    };
    const bool many = page.samples > 2;  // values of two bytes that do not fit
    const auto repeated = [&](uint32_t value) { return page.samples == 2 ? value | (value << 16) : value; };
    std::string offsets, counts, pixels;
    uint32_t to = pixels_at;
    for (const std::string& strip : page.strips) {
      offsets += little(to, 4);
      counts += little(strip.size(), 4);
      to += static_cast<uint32_t>(strip.size());
      pixels += strip;
    }
    if (pixels.size() % 2 == 1) pixels += '\0', ++to;
    out += little(fields, 2) + entry(254, 4, 1, page.kind) + entry(256, 4, 1, page.width) +
           entry(257, 4, 1, page.height) + entry(258, 3, page.samples, many ? bits_at : repeated(page.bits)) +
           entry(259, 3, 1, page.compression) + entry(262, 3, 1, page.photometric) +
           (tiled ? "" : offset_entry(273)) + entry(274, 3, 1, page.orientation) +
           entry(277, 3, 1, page.samples) +
           (tiled ? "" : entry(278, 4, 1, page.rows > 0 ? page.rows : page.height) + count_entry(279)) +
           entry(284, 3, 1, page.planar) +
           (tiled ? entry(322, 4, 1, page.tile) + entry(323, 4, 1, page.tile) + offset_entry(324) +
                        count_entry(325)
                  : "") +
           entry(339, 3, page.samples, many ? numbers_at : repeated(page.number)) +
           little(p + 1 < pages.size() ? to : 0, 4);
    for (uint32_t i = 0; i < page.samples; ++i) out += little(page.bits, 2);
    for (uint32_t i = 0; i < page.samples; ++i) out += little(page.number, 2);
    out += offsets + counts + pixels;
  }
  return out;
}

// Rows of samples, the filter byte of each left out; type 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha.
inline std::string make_png(uint32_t width, uint32_t height, int bits, int type,
                            const std::vector<std::string>& rows) {
  const auto chunk = [](const std::string& kind, const std::string& content) {
    uint32_t crc = 0xffffffff;
    for (const char c : kind + content) {
      crc ^= static_cast<unsigned char>(c);
      for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return big(content.size(), 4) + kind + content + big(~crc & 0xffffffff, 4);
  };
  std::string raw;
  for (const std::string& row : rows) raw += '\0' + row;
  uint32_t a = 1, b = 0;
  for (const char c : raw) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  const std::string stored = "\x78\x01\x01" + little(raw.size(), 2) + little(~raw.size() & 0xffff, 2) + raw +
                             big((uint64_t{b} << 16) | a, 4);
  const std::string header = big(width, 4) + big(height, 4) + static_cast<char>(bits) +
                             static_cast<char>(type) + std::string(3, '\0');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", stored) + chunk("IEND", "");
}

}  // namespace marrow::made
