// TIFF, as plainly as it can be: a header, one directory, its long values, one strip.
#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "marrow/image/encode.h"

namespace marrow::image {
namespace {

constexpr uint16_t kShort = 3, kLong = 4;  // types of fields

void put(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

struct Field {
  uint16_t tag, type;
  std::vector<uint32_t> values;
};

// Little-endian, whatever the machine is.
void put_row(std::string& out, ConstPixels pixels, int y) {
  const int count = pixels.width * pixels.channels;
  const bool colour = pixels.format().is_colour();
  for (int i = 0; i < count; ++i) {
    const int at = colour ? i + 2 - 2 * (i % 3) : i;  // red first
    put(out, pixels.bits == 16 ? pixels.samples<uint16_t>(y)[at] : pixels.row(y)[at], pixels.bits / 8);
  }
}

}  // namespace

std::string encode_tiff(ConstPixels pixels) {
  const auto channels = static_cast<uint32_t>(pixels.channels);
  const auto width = static_cast<uint32_t>(pixels.width), height = static_cast<uint32_t>(pixels.height);
  const bool colour = pixels.format().is_colour();
  const auto bytes = static_cast<uint32_t>(size_t{height} * width * pixels.format().pixel_bytes());
  constexpr uint32_t kMinIsBlack = 1, kRgb = 2, kUnsaid = 0;
  std::vector<Field> fields = {
      {256, kLong, {width}},
      {257, kLong, {height}},
      {258, kShort, std::vector<uint32_t>(channels, static_cast<uint32_t>(pixels.bits))},
      {259, kShort, {1}},  // not compressed
      {262, kShort, {colour ? kRgb : kMinIsBlack}},
      {273, kLong, {0}},  // where the strip begins
      {277, kShort, {channels}},
      {278, kLong, {height}},
      {279, kLong, {bytes}},
      {284, kShort, {1}},  // samples of a pixel side by side
  };
  if (!colour && channels > 1) fields.push_back({338, kShort, std::vector<uint32_t>(channels - 1, kUnsaid)});

  constexpr uint32_t kHeaderBytes = 8, kEntryBytes = 12;
  const uint32_t after = kHeaderBytes + 2 + static_cast<uint32_t>(fields.size()) * kEntryBytes + 4;
  const auto value_bytes = [](const Field& field) {
    return static_cast<uint32_t>(field.values.size()) * (field.type == kShort ? 2 : 4);
  };
  uint32_t strip = after;
  for (const Field& field : fields)
    if (value_bytes(field) > 4) strip += value_bytes(field);
  strip += strip % 2;
  for (Field& field : fields)
    if (field.tag == 273) field.values = {strip};

  std::string out = "II";
  put(out, 42, 2);
  put(out, kHeaderBytes, 4);
  put(out, static_cast<uint32_t>(fields.size()), 2);
  std::string long_values;
  for (const Field& field : fields) {
    put(out, field.tag, 2);
    put(out, field.type, 2);
    put(out, static_cast<uint32_t>(field.values.size()), 4);
    std::string values;
    for (const uint32_t value : field.values) put(values, value, field.type == kShort ? 2 : 4);
    if (values.size() > 4) {
      put(out, after + static_cast<uint32_t>(long_values.size()), 4);
      long_values += values;
    } else {
      values.resize(4);
      out += values;
    }
  }
  put(out, 0, 4);  // no further page
  out += long_values;
  out.resize(strip);
  out.reserve(out.size() + bytes);
  for (int y = 0; y < pixels.height; ++y) put_row(out, pixels, y);
  return out;
}

}  // namespace marrow::image
