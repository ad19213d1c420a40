// Little-endian values into and out of a row of bytes. The reader checks everything.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "marrow/base/error.h"

namespace marrow::data {

static_assert(std::endian::native == std::endian::little, "values are copied as they lie in memory");

class ByteWriter {
 public:
  template <class T>
  void put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  // In place of bytes that were put before.
  template <class T>
  void put_at(size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void put_count(size_t count) { put<uint64_t>(count); }
  void put_bytes(std::string_view bytes) { bytes_ += bytes; }
  void put_string(std::string_view text) {
    put(static_cast<uint32_t>(text.size()));
    bytes_ += text;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Every function throws Error{kFormat} where the bytes end early or make no sense.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  void require(bool sound) const {
    if (!sound) throw Error(ErrorKind::kFormat, "its content makes no sense");
  }
  std::string_view get_bytes(size_t count) {
    require(count <= bytes_.size());
    const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()), count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  template <class T>
  T get() {
    T value;
    std::memcpy(&value, get_bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  double get_finite() {
    const auto value = get<double>();
    require(std::isfinite(value));
    return value;
  }
  // Of things that take at least least_bytes each: more than fit are refused before anything is allocated.
  size_t get_count(size_t least_bytes) {
    const auto count = get<uint64_t>();
    require(count <= bytes_.size() / least_bytes);
    return static_cast<size_t>(count);
  }
  // Before so many things of so many bytes are made.
  void require_room(size_t count, size_t bytes) const { require(count <= bytes_.size() / bytes); }
  std::string get_string() { return std::string(get_bytes(get<uint32_t>())); }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace marrow::data
