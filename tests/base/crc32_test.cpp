#include "marrow/base/crc32.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

namespace marrow {
namespace {

uint32_t crc32_of(const std::string& text) {
  return crc32(std::as_bytes(std::span(text)));
}

TEST(Crc32, AgreesWithThePublishedCheckValue) {
  EXPECT_EQ(crc32_of("123456789"), 0xcbf43926u);
  EXPECT_EQ(crc32_of(""), 0u);
  // Long enough for the eight-byte steps: the same bytes one at a time, by the definition.
  const std::string text(1003, 'x');
  uint32_t expected = 0xffffffff;
  for (const char c : text) {
    expected ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) expected = (expected >> 1) ^ ((expected & 1) != 0 ? 0xedb88320 : 0);
  }
  EXPECT_EQ(crc32_of(text), ~expected);
}

}  // namespace
}  // namespace marrow
