#include "marrow/weights/torch/zip_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::weights {
namespace {

// APPNOTE.TXT 6.3: signatures and fixed sizes of the records.
constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kCentralHeader = 0x02014b50;
constexpr uint32_t kEndRecord = 0x06054b50;
constexpr uint32_t kEndRecord64 = 0x06064b50;
constexpr uint32_t kEndLocator64 = 0x07064b50;
constexpr size_t kLocalSize = 30;
constexpr size_t kCentralSize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kEndSize64 = 56;
constexpr size_t kLocatorSize64 = 20;
constexpr size_t kMaxComment = 0xffff;
constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kZip64Extra = 1;
constexpr uint32_t kIn64 = 0xffffffff;  // "the value is in the zip64 record"
constexpr size_t kMaxEntryName = 512;

[[noreturn]] void broken_zip(const std::string& where, std::string_view what) {
  throw Error(ErrorKind::kFormat, fmt::format("{}: broken zip archive: {}", where, what));
}

// Reads little-endian fields of one record. Records are cut to size before they come here.
uint64_t field(std::span<const std::byte> record, size_t at, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) value |= std::to_integer<uint64_t>(record[at + i]) << (8 * i);
  return value;
}

std::span<const std::byte> cut(std::span<const std::byte> bytes, uint64_t at, uint64_t size,
                               const std::string& where, std::string_view what) {
  if (at > bytes.size() || size > bytes.size() - at)
    broken_zip(where, fmt::format("{} lies outside the file", what));
  return bytes.subspan(at, size);
}

struct Directory {
  uint64_t at = 0;
  uint64_t size = 0;
  uint64_t entries = 0;
};

Directory find_directory(std::span<const std::byte> bytes, const std::string& where) {
  // The end record is the last thing in the file but for a comment, whose length it states.
  std::optional<size_t> end;
  const size_t furthest = std::min(bytes.size(), kEndSize + kMaxComment);
  for (size_t back = kEndSize; back <= furthest && !end; ++back) {
    const auto record = bytes.subspan(bytes.size() - back, kEndSize);
    if (field(record, 0, 4) == kEndRecord && field(record, 20, 2) == back - kEndSize)
      end = bytes.size() - back;
  }
  if (!end) broken_zip(where, "no directory at its end; is the file complete?");
  const auto record = bytes.subspan(*end, kEndSize);
  if (field(record, 4, 2) != 0 || field(record, 6, 2) != 0) broken_zip(where, "it has several volumes");
  Directory directory{field(record, 16, 4), field(record, 12, 4), field(record, 10, 2)};

  if (*end >= kLocatorSize64) {
    const auto locator = bytes.subspan(*end - kLocatorSize64, kLocatorSize64);
    if (field(locator, 0, 4) == kEndLocator64) {
      const auto record64 = cut(bytes, field(locator, 8, 8), kEndSize64, where, "the zip64 end record");
      if (field(record64, 0, 4) != kEndRecord64)
        broken_zip(where, "the zip64 end record has a wrong signature");
      directory = {field(record64, 48, 8), field(record64, 40, 8), field(record64, 32, 8)};
    }
  }
  return directory;
}

struct CentralEntry {
  std::string name;
  uint64_t packed = 0;
  uint64_t size = 0;
  uint64_t header_at = 0;
  uint32_t crc = 0;
};

// Takes the values that did not fit 32 bits from the zip64 extra field, which holds only those, in this
// order.
void read_zip64(std::span<const std::byte> extra, CentralEntry& entry, const std::string& where) {
  while (extra.size() >= 4) {
    const uint64_t tag = field(extra, 0, 2);
    const auto data = cut(extra, 4, field(extra, 2, 2), where, "an extra field");
    if (tag == kZip64Extra) {
      size_t at = 0;
      for (uint64_t* value : {&entry.size, &entry.packed, &entry.header_at}) {
        if (*value != kIn64) continue;
        if (data.size() < at + 8) broken_zip(where, "a zip64 field is too short");
        *value = field(data, at, 8);
        at += 8;
      }
    }
    extra = extra.subspan(4 + data.size());
  }
}

std::span<const std::byte> locate_data(std::span<const std::byte> bytes, const CentralEntry& entry,
                                       const std::string& where) {
  const auto header =
      cut(bytes, entry.header_at, kLocalSize, where, "the header of " + printable(entry.name));
  if (field(header, 0, 4) != kLocalHeader)
    broken_zip(where, "the header of " + printable(entry.name) + " has a wrong signature");
  const uint64_t name_size = field(header, 26, 2);
  const auto name =
      cut(bytes, entry.header_at + kLocalSize, name_size, where, "the header of " + printable(entry.name));
  const auto same = [](std::byte a, char b) { return static_cast<char>(a) == b; };
  if (!std::ranges::equal(name, entry.name, same))
    broken_zip(where, "two records disagree about the name " + printable(entry.name));
  const uint64_t data_at = entry.header_at + kLocalSize + name_size + field(header, 28, 2);
  return cut(bytes, data_at, entry.size, where, "the data of " + printable(entry.name));
}

}  // namespace

bool ZipReader::looks_like_zip(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 && (field(bytes, 0, 4) == kLocalHeader || field(bytes, 0, 4) == kEndRecord);
}

ZipReader::ZipReader(std::span<const std::byte> bytes, const std::string& where) : where_(where) {
  const Directory directory = find_directory(bytes, where);
  auto rest = cut(bytes, directory.at, directory.size, where, "the directory");
  if (directory.entries > rest.size() / kCentralSize)
    broken_zip(where, "the directory is too short for its entries");

  std::vector<std::pair<uint64_t, uint64_t>> ranges;  // of header and data in the file
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const auto record = cut(rest, 0, kCentralSize, where, "an entry of the directory");
    if (field(record, 0, 4) != kCentralHeader)
      broken_zip(where, "an entry of the directory has a wrong signature");
    const uint64_t name_size = field(record, 28, 2);
    const uint64_t extra_size = field(record, 30, 2);
    const uint64_t total = kCentralSize + name_size + extra_size + field(record, 32, 2);
    const auto whole = cut(rest, 0, total, where, "an entry of the directory");
    rest = rest.subspan(total);

    CentralEntry entry;
    if (name_size > kMaxEntryName) broken_zip(where, "the name of an entry is too long");
    for (const std::byte b : whole.subspan(kCentralSize, name_size)) entry.name += static_cast<char>(b);
    entry.packed = field(record, 20, 4);
    entry.size = field(record, 24, 4);
    entry.header_at = field(record, 42, 4);
    entry.crc = static_cast<uint32_t>(field(record, 16, 4));
    read_zip64(whole.subspan(kCentralSize + name_size, extra_size), entry, where);

    if ((field(record, 8, 2) & kEncrypted) != 0)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: the entry {} is encrypted", where, printable(entry.name)));
    if (field(record, 10, 2) != 0)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: the entry {} is compressed; checkpoints hold stored entries only", where,
                              printable(entry.name)));
    if (entry.packed != entry.size)
      broken_zip(where, "the entry " + printable(entry.name) + " has two sizes");

    const auto data = locate_data(bytes, entry, where);
    const auto end = static_cast<uint64_t>(data.data() - bytes.data()) + data.size();
    if (end > directory.at)
      broken_zip(where, "the entry " + printable(entry.name) + " reaches into the directory");
    ranges.emplace_back(entry.header_at, end);
    if (!entries_.try_emplace(entry.name, Entry{data, entry.crc, false}).second)
      broken_zip(where, "two entries have the name " + printable(entry.name));
  }

  std::ranges::sort(ranges);
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second) broken_zip(where, "two entries overlap");
}

std::span<const std::byte> ZipReader::read(std::string_view name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) broken_zip(where_, fmt::format("there is no entry {}", printable(name)));
  Entry& entry = found->second;
  if (!entry.verified && crc32(entry.bytes) != entry.crc)
    broken_zip(where_, fmt::format("the entry {} is damaged: its checksum is wrong", printable(name)));
  entry.verified = true;
  return entry.bytes;
}

}  // namespace marrow::weights
