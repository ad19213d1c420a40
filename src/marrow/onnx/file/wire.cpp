#include "marrow/onnx/file/wire.h"

#include <fmt/format.h>

#include <array>
#include <bit>

#include "marrow/base/error.h"

namespace marrow::onnx {
namespace {

constexpr size_t kLargePart = 4096;  // bytes; longer ones become parts of their own

[[noreturn]] void wrong_type(const WireField& field, std::string_view what) {
  fail_format(fmt::format("field {} of {} has wire type {}", field.id, what, static_cast<int>(field.type)));
}

uint64_t key(uint32_t id, WireType type) {
  return uint64_t{id} << 3 | static_cast<uint64_t>(type);
}

}  // namespace

int64_t WireField::integer(std::string_view what) const {
  if (type != WireType::kVarint) wrong_type(*this, what);
  return static_cast<int64_t>(number);
}

float WireField::real(std::string_view what) const {
  if (type != WireType::kFixed32) wrong_type(*this, what);
  return std::bit_cast<float>(static_cast<uint32_t>(number));
}

std::string_view WireField::text(std::string_view what) const {
  if (type != WireType::kBytes) wrong_type(*this, what);
  return bytes;
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (size_t i = 0; i < rest_.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(rest_[i]);
    value |= uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80U) == 0) {
      rest_.remove_prefix(i + 1);
      return value;
    }
  }
  fail_format("the file ends within a number, or is no protobuf");
}

uint64_t WireReader::fixed(size_t size) {
  if (rest_.size() < size) fail_format("the file ends within a number");
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t{static_cast<uint8_t>(rest_[i])} << (8 * i);
  rest_.remove_prefix(size);
  return value;
}

std::optional<WireField> WireReader::next() {
  if (rest_.empty()) return std::nullopt;
  const uint64_t word = varint();
  WireField field;
  field.id = static_cast<uint32_t>(word >> 3);
  field.type = static_cast<WireType>(word & 7);
  if (field.id == 0 || word >> 3 > 0x1fffffff) fail_format("not an ONNX file: a field has no number");
  switch (field.type) {
    case WireType::kVarint:
      field.number = varint();
      break;
    case WireType::kFixed64:
      field.number = fixed(8);
      break;
    case WireType::kFixed32:
      field.number = fixed(4);
      break;
    case WireType::kBytes: {
      const uint64_t length = varint();
      if (length > rest_.size())
        fail_format(
            fmt::format("field {} should have {} bytes, but {} are left: the file is cut short or no ONNX",
                        field.id, length, rest_.size()));
      field.bytes = rest_.substr(0, length);
      rest_.remove_prefix(length);
      break;
    }
    default:
      fail_format(fmt::format("not an ONNX file: field {} has wire type {}", field.id, word & 7));
  }
  return field;
}

void append_integers(const WireField& field, std::string_view what, std::vector<int64_t>& to) {
  if (field.type == WireType::kVarint) {
    to.push_back(field.integer(what));
    return;
  }
  WireReader packed(field.text(what));
  while (!packed.empty()) to.push_back(static_cast<int64_t>(packed.varint()));
}

void WireWriter::raw(std::string_view bytes) {
  size_ += bytes.size();
  if (parts_.empty() || bytes.size() >= kLargePart || parts_.back().size() >= kLargePart)
    parts_.emplace_back(bytes);
  else
    parts_.back() += bytes;
}

void WireWriter::varint(uint64_t value) {
  std::array<char, 10> bytes;
  size_t length = 0;
  do {
    const uint64_t more = value >= 0x80 ? 0x80 : 0;
    bytes[length++] = static_cast<char>((value & 0x7f) | more);
    value >>= 7;
  } while (value != 0);
  raw({bytes.data(), length});
}

void WireWriter::integer(uint32_t id, int64_t value) {
  varint(key(id, WireType::kVarint));
  varint(static_cast<uint64_t>(value));
}

void WireWriter::real(uint32_t id, float value) {
  varint(key(id, WireType::kFixed32));
  const auto word = std::bit_cast<uint32_t>(value);
  const std::array<char, 4> bytes = {static_cast<char>(word), static_cast<char>(word >> 8),
                                     static_cast<char>(word >> 16), static_cast<char>(word >> 24)};
  raw({bytes.data(), bytes.size()});
}

void WireWriter::text(uint32_t id, std::string_view value) {
  varint(key(id, WireType::kBytes));
  varint(value.size());
  raw(value);
}

void WireWriter::packed(uint32_t id, std::span<const int64_t> values) {
  WireWriter inner;
  for (const int64_t value : values) inner.varint(static_cast<uint64_t>(value));
  message(id, std::move(inner));
}

void WireWriter::message(uint32_t id, WireWriter inner) {
  varint(key(id, WireType::kBytes));
  varint(inner.size_);
  size_ += inner.size_;
  for (std::string& part : inner.parts_) {
    if (part.size() < kLargePart && !parts_.empty() && parts_.back().size() < kLargePart)
      parts_.back() += part;
    else
      parts_.push_back(std::move(part));
  }
}

}  // namespace marrow::onnx
