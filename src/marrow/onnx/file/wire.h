// Protobuf's wire format, as far as ONNX needs it: fields of varints, fixed words and byte strings.
//
// Written here because the format is small and Debian's libprotobuf costs every start of a program 2.5 ms
// (with libonnx's operator schemas 4 ms), which is half of what `marrow` takes to start.
// Source: Protocol Buffers documentation, "Encoding".
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::onnx {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a message. `bytes` is a view into the message and set for kBytes only; `number` holds varints
// and fixed words.
struct WireField {
  uint32_t id = 0;
  WireType type = WireType::kVarint;
  uint64_t number = 0;
  std::string_view bytes;

  // What the field holds, or Error{kFormat} "FILE: field ID of WHAT ..." when the file has another type
  // there.
  int64_t integer(std::string_view what) const;
  float real(std::string_view what) const;
  std::string_view text(std::string_view what) const;
};

// Walks the fields of one message, which it views. Throws Error{kFormat} for a truncated or unknown encoding.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}
  std::optional<WireField> next();
  bool empty() const { return rest_.empty(); }
  uint64_t varint();  // of a packed field

 private:
  uint64_t fixed(size_t size);

  std::string_view rest_;
};

// Repeated integers, packed or one by one: appends those of the field.
void append_integers(const WireField& field, std::string_view what, std::vector<int64_t>& to);

// Collects the fields of one message. Parts are moved, never copied, into the message around them.
class WireWriter {
 public:
  void integer(uint32_t id, int64_t value);
  void real(uint32_t id, float value);
  void text(uint32_t id, std::string_view value);
  void packed(uint32_t id, std::span<const int64_t> values);
  void message(uint32_t id, WireWriter inner);

  size_t size() const { return size_; }
  const std::deque<std::string>& parts() const { return parts_; }

 private:
  void varint(uint64_t value);
  void raw(std::string_view bytes);

  std::deque<std::string> parts_;
  size_t size_ = 0;
};

}  // namespace marrow::onnx
