#include "marrow/data/shards/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::data {
namespace {

// Fields of a header: where they begin, and how long they are.
struct Field {
  size_t at, bytes;
};
constexpr Field kNameField{0, 100}, kModeField{100, 8}, kUserField{108, 8}, kGroupField{116, 8},
    kSizeField{124, 12}, kTimeField{136, 12}, kSumField{148, 8}, kMagicField{257, 6}, kVersionField{263, 2},
    kPrefixField{345, 155};
constexpr size_t kType = 156;

using Block = std::array<char, kTarBlock>;

std::string_view field(const Block& block, Field field) {
  return {block.data() + field.at, field.bytes};
}

std::string_view until_zero(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

// Octal digits between spaces and zeros; or, where the first bit is set, a binary number.
std::optional<uint64_t> number_of(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first & 0x80) {
    uint64_t value = first & 0x7f;
    for (const char c : text.substr(1)) {
      if (value >> 55 != 0) return std::nullopt;  // too large, or negative
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  text = until_zero(text);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  uint64_t value = 0;  // 12 digits at most
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return value;
}

// Old programs added signed bytes.
bool has_right_sum(const Block& block) {
  const std::optional<uint64_t> stated = number_of(field(block, kSumField));
  int64_t plain = 0, with_signs = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const char c = i >= kSumField.at && i < kSumField.at + kSumField.bytes ? ' ' : block[i];
    plain += static_cast<unsigned char>(c);
    with_signs += static_cast<signed char>(c);
  }
  return stated && (static_cast<int64_t>(*stated) == plain || static_cast<int64_t>(*stated) == with_signs);
}

class TarReader {
 public:
  TarReader(const ByteSource& source, const std::string& name) : source_(source), archive_(name) {}

  bool visit(const std::function<void(const TarMember&)>& visit) {
    while (at_ < source_.size) {
      header_ = at_;
      Block block;
      if (source_.size - at_ < kTarBlock) fail("ends within a header; cut off?");
      source_.read(at_, std::as_writable_bytes(std::span(block)));
      at_ += kTarBlock;
      if (std::ranges::all_of(block, [](char c) { return c == '\0'; })) return true;
      if (!has_right_sum(block))
        fail(header_ == 0 ? "is no tar" : "the header's checksum is wrong; the archive is damaged");
      member(block, visit);
    }
    return false;
  }

 private:
  [[noreturn]] void fail(const std::string& message, ErrorKind kind = ErrorKind::kFormat) const {
    throw Error(kind, fmt::format("{}: byte {}: {}", archive_, header_, message));
  }

  void member(const Block& block, const std::function<void(const TarMember&)>& visit) {
    const char type = block[kType];
    std::optional<uint64_t> bytes = number_of(field(block, kSizeField));
    if (!bytes) fail("the size in the header is no number");
    const bool describes_next = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (!describes_next && next_bytes_) bytes = next_bytes_;
    if (type == 'S') fail("a sparse file, which is not read", ErrorKind::kUnsupported);
    if (type == 'M') fail("a part of an archive of several volumes", ErrorKind::kUnsupported);
    // Links, devices and folders have no content, whatever their header says.
    if (type >= '1' && type <= '6') bytes = 0;
    if (*bytes > source_.size - at_)
      fail(fmt::format("'{}' has {} bytes by its header, and the archive ends {} bytes behind it; cut off?",
                       printable(name_of(block)), *bytes, source_.size - at_));
    if (describes_next) {
      extension(type, *bytes);
    } else {
      TarMember found{next_name_.empty() ? name_of(block) : next_name_, header_, at_, *bytes,
                      type == '0' || type == '\0' || type == '7'};
      // Old archives have folders as files whose names end so.
      if (found.name.ends_with('/')) found.is_file = false;
      next_name_.clear();
      next_bytes_.reset();
      visit(found);
    }
    at_ += *bytes;
    at_ += std::min(tar_padding(*bytes), source_.size - at_);
  }

  static std::string name_of(const Block& block) {
    const std::string_view name = until_zero(field(block, kNameField));
    const std::string_view prefix = until_zero(field(block, kPrefixField));
    const bool is_ustar = field(block, kMagicField) == std::string_view("ustar\0", 6);  // GNU's has a space
    return is_ustar && !prefix.empty() ? fmt::format("{}/{}", prefix, name) : std::string(name);
  }

  void extension(char type, uint64_t bytes) {
    if (type == 'K' || type == 'g') return;  // where a link leads; what is said of all members
    if (bytes > kMostPaxBytes)
      fail(fmt::format("an extended header of {} bytes; at most {} are read", bytes, kMostPaxBytes));
    std::string text(bytes, '\0');
    source_.read(at_, std::as_writable_bytes(std::span(text)));
    if (type == 'L')
      take_name(until_zero(text));
    else
      pax(text);
  }

  void take_name(std::string_view name) {
    if (name.size() > kLongestMemberName)
      fail(fmt::format("a name of {} bytes; at most {} are read", name.size(), kLongestMemberName));
    next_name_ = name;
  }

  // Records "LENGTH KEY=VALUE\n", of which the length counts all.
  void pax(std::string_view text) {
    while (!text.empty() && text.front() != '\0') {
      size_t length = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
      const auto digits = static_cast<size_t>(end - text.data());
      if (error != std::errc() || length > text.size() || length < digits + 3 || text[digits] != ' ' ||
          text[length - 1] != '\n')
        fail("an extended header that makes no sense");
      const std::string_view record = text.substr(digits + 1, length - digits - 2);
      text.remove_prefix(length);
      const size_t equals = record.find('=');
      if (equals == std::string_view::npos) fail("an extended header that makes no sense");
      const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
      if (key.starts_with("GNU.sparse.")) fail("a sparse file, which is not read", ErrorKind::kUnsupported);
      if (key == "path") take_name(until_zero(value));
      if (key != "size") continue;
      uint64_t bytes = 0;
      const auto [stop, wrong] = std::from_chars(value.data(), value.data() + value.size(), bytes);
      if (wrong != std::errc() || stop != value.data() + value.size())
        fail(fmt::format("an extended header with the size '{}'", printable(value, 40)));
      next_bytes_ = bytes;
    }
  }

  const ByteSource& source_;
  const std::string& archive_;
  uint64_t at_ = 0, header_ = 0;
  // Said by an extension of the member that follows it.
  std::string next_name_;
  std::optional<uint64_t> next_bytes_;
};

void put(std::string& block, Field field, std::string_view text) {
  block.replace(field.at, std::min(text.size(), field.bytes), text.substr(0, field.bytes));
}

std::string plain_header(std::string_view name, uint64_t bytes, char type) {
  std::string block(kTarBlock, '\0');
  put(block, kNameField, name);
  put(block, kModeField, "0000644");
  put(block, kUserField, "0000000");
  put(block, kGroupField, "0000000");
  put(block, kSizeField, fmt::format("{:011o}", bytes));
  put(block, kTimeField, "00000000000");
  block[kType] = type;
  put(block, kMagicField, std::string_view("ustar\0", 6));
  put(block, kVersionField, "00");
  put(block, kSumField, "        ");
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, kSumField, std::string_view(fmt::format("{:06o}", sum) + '\0' + ' '));
  return block;
}

}  // namespace

ByteSource source_of(std::span<const std::byte> bytes) {
  return {bytes.size(), [bytes](uint64_t offset, std::span<std::byte> into) {
            std::memcpy(into.data(), bytes.data() + offset, into.size());
          }};
}

bool visit_tar(const ByteSource& source, const std::string& name,
               const std::function<void(const TarMember&)>& visit) {
  if (source.size == 0) throw Error(ErrorKind::kFormat, name + ": is empty, and no tar");
  return TarReader(source, name).visit(visit);
}

bool is_tar_header(std::span<const std::byte> bytes) {
  Block block;
  if (bytes.size() != block.size()) return false;
  std::memcpy(block.data(), bytes.data(), block.size());
  return has_right_sum(block);
}

std::string tar_header(std::string_view name, uint64_t bytes) {
  if (name.size() <= kNameField.bytes) return plain_header(name, bytes, '0');
  // The length of a record counts its own digits.
  const std::string record = fmt::format(" path={}\n", name);
  size_t length = record.size() + 1;
  while (std::to_string(length).size() + record.size() != length) ++length;
  std::string text = std::to_string(length) + record;
  std::string header = plain_header("PaxHeader", text.size(), 'x');
  text.resize(text.size() + tar_padding(text.size()), '\0');
  return header + text + plain_header(name.substr(0, kNameField.bytes), bytes, '0');
}

std::string tar_end() {
  return std::string(2 * kTarBlock, '\0');
}

}  // namespace marrow::data
