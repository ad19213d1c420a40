// Writes pickles, zip archives and legacy torch files for the tests, honest and hostile ones alike.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "marrow/base/crc32.h"

namespace marrow::testing {

inline std::string little_endian(uint64_t value, size_t width) {
  std::string bytes;
  for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// A pickle in the making; each method appends the opcodes of one value.
class PickleWriter {
 public:
  PickleWriter& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  PickleWriter& proto(int version = 2) {
    return raw("\x80").raw(little_endian(static_cast<uint64_t>(version), 1));
  }
  PickleWriter& text(std::string_view text) { return raw("X").raw(little_endian(text.size(), 4)).raw(text); }
  PickleWriter& integer(int64_t value) {
    return raw("\x8a\x08").raw(little_endian(static_cast<uint64_t>(value), 8));
  }
  PickleWriter& global(std::string_view module, std::string_view name) {
    return raw("c").raw(module).raw("\n").raw(name).raw("\n");
  }
  PickleWriter& integers(const std::vector<int64_t>& values) {  // a tuple
    raw("(");
    for (const int64_t value : values) integer(value);
    return raw("t");
  }
  // A float tensor over a storage, as torch.save describes it.
  PickleWriter& tensor(std::string_view key, int64_t count, int64_t offset, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& strides, std::string_view storage = "FloatStorage") {
    global("torch._utils", "_rebuild_tensor_v2").raw("((").text("storage").global("torch", storage).text(key);
    text("cpu").integer(count).raw("tQ").integer(offset).integers(shape).integers(strides);
    return raw("\x89").global("collections", "OrderedDict").raw(")RtR");
  }
  // module.name(*(text,)): what a malicious __reduce__ leaves behind.
  PickleWriter& call(std::string_view module, std::string_view name, std::string_view argument) {
    return global(module, name).text(argument).raw("\x85R");
  }
  std::string stop() const { return bytes_ + "."; }
  const std::string& bytes() const { return bytes_; }  // without STOP

 private:
  std::string bytes_;
};

// numpy.core.multiarray._reconstruct(ndarray, (0,), b"b") with its state, as protocol 4 writes it.
inline PickleWriter& numpy_array(PickleWriter& p, const std::vector<int64_t>& shape, std::string_view type,
                                 std::string_view content, bool fortran = false,
                                 std::string_view order = "<") {
  p.text("numpy.core.multiarray").text("_reconstruct").raw("\x93(").text("numpy").text("ndarray").raw("\x93");
  p.integers({0})
      .raw(
          "C\x01"
          "btR(")
      .integer(1)
      .integers(shape)
      .text("numpy")
      .text("dtype")
      .raw("\x93")
      .text(type);
  p.raw("\x89\x88\x87R(").integer(3).text(order).raw("NNN").integer(-1).integer(-1).integer(0).raw("tb");
  p.raw(fortran ? "\x88" : "\x89").raw("B").raw(little_endian(content.size(), 4)).raw(content);
  return p.raw("tb");
}

struct ZipEntry {
  std::string name;
  std::string content;
};

struct ZipQuirks {
  uint16_t method = 0;
  uint16_t flags = 0;
  bool zip64 = false;            // sizes and offsets in the zip64 fields, as torch writes large archives
  bool data_descriptor = false;  // sizes after the data, zero in the local header, as torch writes them
};

inline std::string make_zip(const std::vector<ZipEntry>& entries, const ZipQuirks& quirks = {}) {
  const auto u16 = [](uint64_t v) { return little_endian(v, 2); };
  const auto u32 = [](uint64_t v) { return little_endian(v, 4); };
  const auto u64 = [](uint64_t v) { return little_endian(v, 8); };
  std::string file;
  std::string directory;
  const uint16_t flags = static_cast<uint16_t>(quirks.flags | (quirks.data_descriptor ? 8 : 0));
  for (const ZipEntry& entry : entries) {
    const size_t at = file.size();
    const uint64_t size = entry.content.size();
    const uint32_t crc = crc32(std::as_bytes(std::span(entry.content)));
    const uint64_t local_size = quirks.data_descriptor ? 0 : size;
    file += "PK\x03\x04" + u16(20) + u16(flags) + u16(quirks.method) + u32(0);
    file += u32(quirks.data_descriptor ? 0 : crc) + u32(local_size) + u32(local_size) +
            u16(entry.name.size()) + u16(0);
    file += entry.name + entry.content;
    if (quirks.data_descriptor) file += "PK\x07\x08" + u32(crc) + u32(size) + u32(size);
    const std::string extra = quirks.zip64 ? u16(1) + u16(24) + u64(size) + u64(size) + u64(at) : "";
    const uint64_t stated = quirks.zip64 ? 0xffffffff : size;
    directory += "PK\x01\x02" + u16(20) + u16(20) + u16(flags) + u16(quirks.method) + u32(0) + u32(crc);
    directory +=
        u32(stated) + u32(stated) + u16(entry.name.size()) + u16(extra.size()) + u16(0) + u16(0) + u16(0);
    directory += u32(0) + u32(quirks.zip64 ? 0xffffffff : at) + entry.name + extra;
  }
  const size_t at = file.size();
  file += directory;
  if (quirks.zip64) {
    const size_t end = file.size();
    file += "PK\x06\x06" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(entries.size()) +
            u64(entries.size()) + u64(directory.size()) + u64(at);
    file += "PK\x06\x07" + u32(0) + u64(end) + u32(1);
  }
  file += "PK\x05\x06" + u16(0) + u16(0) + u16(entries.size()) + u16(entries.size()) + u32(directory.size());
  return file + u32(at) + u16(0);
}

inline std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// torch.save since 1.6.
inline std::string torch_archive(const std::string& pickle, const std::vector<std::string>& storages) {
  std::vector<ZipEntry> entries = {{"net/data.pkl", pickle}};
  for (size_t i = 0; i < storages.size(); ++i)
    entries.push_back({"net/data/" + std::to_string(i), storages[i]});
  entries.push_back({"net/version", "3\n"});
  return make_zip(entries);
}

// torch.save before 1.6. Each storage: its key, element count and bytes.
struct LegacyStorage {
  std::string key;
  uint64_t count = 0;
  std::string content;
};
inline std::string legacy_file(const std::string& object, const std::vector<LegacyStorage>& storages,
                               bool little = true) {
  std::string file = PickleWriter().proto().raw("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").stop();
  file += PickleWriter().proto().raw("M\xe9\x03").stop();
  PickleWriter system;
  system.proto().raw("}").text("little_endian").raw(little ? "\x88" : "\x89").raw("s");
  file += system.stop() + object;
  PickleWriter keys;
  keys.proto().raw("](");
  for (const LegacyStorage& storage : storages) keys.text(storage.key);
  file += keys.raw("e").stop();
  for (const LegacyStorage& storage : storages) file += little_endian(storage.count, 8) + storage.content;
  return file;
}

// A folder that lives as long as the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    static int serial = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("marrow_weights_" + std::to_string(::getpid()) + "_" + std::to_string(serial++));
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace marrow::testing
