#include "marrow/weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/weights/checkpoint_names.h"

namespace marrow::weights {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthSize = 8;
constexpr uint64_t kMaxHeader = 32 << 20;  // bytes; a model of 1000 tensors has 0.1 MB
constexpr int kMaxHeaderDepth = 3;         // header, tensor, shape
constexpr std::string_view kMetadata = "__metadata__";
constexpr std::array kDTypes = {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64,
                                DType::kInt64,   DType::kInt32,   DType::kInt16,    DType::kInt8,
                                DType::kUInt8,   DType::kBool};

uint64_t header_length(std::span<const std::byte> bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthSize; ++i) length |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return length;
}

std::optional<DType> dtype_named(std::string_view name) {
  for (const DType dtype : kDTypes)
    if (dtype_name(dtype) == name) return dtype;
  return std::nullopt;
}

class HeaderReader {
 public:
  HeaderReader(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  SafetensorsFile read() {
    if (bytes_.size() < kLengthSize) fail("too short for a safetensors file");
    const uint64_t length = header_length(bytes_);
    if (length > bytes_.size() - kLengthSize || length > kMaxHeader)
      fail(fmt::format("the header should have {} bytes, but the file has {}", length, bytes_.size()));
    data_ = bytes_.subspan(kLengthSize + length);
    const Json header = parse(bytes_.subspan(kLengthSize, length));

    SafetensorsFile file;
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadata)
        file.metadata = read_metadata(entry);
      else
        file.tensors.emplace(checked_name(name, where_), read_tensor(name, entry, ranges));
    }
    std::ranges::sort(ranges);
    uint64_t end = 0;
    for (const auto& [first, last] : ranges) {
      if (first != end) fail(first < end ? "two tensors overlap" : "there is a gap between two tensors");
      end = last;
    }
    if (end != data_.size()) fail(fmt::format("the tensors end at byte {} of {}", end, data_.size()));
    return file;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorKind::kFormat, fmt::format("{}: {}", where_, what));
  }

  Json parse(std::span<const std::byte> text) const {
    // nlohmann's parser is not recursive; depth is bounded all the same, and names are unique, which JSON
    // leaves open.
    std::set<std::string> names;
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > kMaxHeaderDepth) fail("the header nests too deep");
      const bool is_name = depth == 1 && event == Json::parse_event_t::key;
      if (is_name && !names.insert(value.get<std::string>()).second)
        fail(fmt::format("the name '{}' appears twice", printable(value.get<std::string>())));
      return true;
    };
    const auto* first = reinterpret_cast<const char*>(text.data());
    try {
      Json header = Json::parse(first, first + text.size(), check);
      if (!header.is_object()) fail("the header is not a JSON object");
      return header;
    } catch (const Json::exception& error) {
      fail(fmt::format("the header is not JSON: {}", printable(error.what())));
    }
  }

  std::map<std::string, std::string> read_metadata(const Json& entry) const {
    std::map<std::string, std::string> metadata;
    if (!entry.is_object()) fail("__metadata__ is not an object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail(fmt::format("__metadata__ '{}' is not text", printable(key)));
      metadata.emplace(key, value.get<std::string>());
    }
    return metadata;
  }

  // A list of non-negative integers.
  std::vector<uint64_t> read_numbers(const Json& entry, const char* key, const std::string& name) const {
    const auto found = entry.find(key);
    std::vector<uint64_t> numbers;
    bool good = found != entry.end() && found->is_array();
    for (size_t i = 0; good && i < found->size(); ++i) {
      good = (*found)[i].is_number_unsigned();
      if (good) numbers.push_back((*found)[i].get<uint64_t>());
    }
    if (!good) fail(fmt::format("tensor '{}': {} is not a list of counts", printable(name), key));
    return numbers;
  }

  Tensor read_tensor(const std::string& name, const Json& entry,
                     std::vector<std::pair<uint64_t, uint64_t>>& ranges) const {
    const auto bad = [&](std::string_view what) {
      fail(fmt::format("tensor '{}': {}", printable(name), what));
    };
    constexpr size_t kMaxRank = 16;
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string()) bad("it has no dtype");
    const std::string type_name = entry["dtype"].get<std::string>();
    const std::optional<DType> dtype = dtype_named(type_name);
    if (!dtype)
      throw Error(ErrorKind::kUnsupported, fmt::format("{}: tensor '{}': element type {} is not supported",
                                                       where_, printable(name), printable(type_name)));
    const std::vector<uint64_t> offsets = read_numbers(entry, "data_offsets", name);
    const std::vector<uint64_t> dims = read_numbers(entry, "shape", name);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_.size())
      bad("its data lies outside the file");
    if (dims.size() > kMaxRank) bad("it has too many dimensions");
    Shape shape;
    for (const uint64_t dim : dims) {
      if (dim > uint64_t{1} << 62) bad("a dimension is too large");
      shape.push_back(static_cast<int64_t>(dim));
    }
    const uint64_t size = offsets[1] - offsets[0];
    uint64_t wanted = 0;
    try {
      wanted = static_cast<uint64_t>(element_count(shape)) * item_size(*dtype);
    } catch (const Error& error) {
      bad(error.what());
    }
    if (wanted != size)
      bad(fmt::format("shape {} of {} needs {} bytes, but it has {}", marrow::to_string(shape), type_name,
                      wanted, size));
    ranges.emplace_back(offsets[0], offsets[1]);
    Tensor tensor(shape, *dtype);
    if (size > 0) std::memcpy(tensor.bytes(), data_.data() + offsets[0], size);
    return tensor;
  }

  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_;
  std::string where_;
};

}  // namespace

bool looks_like_safetensors(std::span<const std::byte> bytes) {
  if (bytes.size() <= kLengthSize || bytes[kLengthSize] != std::byte{'{'}) return false;
  return header_length(bytes) <= kMaxHeader;
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  return HeaderReader(file.bytes(), path.string()).read();
}

void write_safetensors(const std::filesystem::path& path, const Weights& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const Weights::value_type*> ordered;
  for (const auto& named : tensors) ordered.push_back(&named);
  std::ranges::stable_sort(ordered, std::ranges::greater(),
                           [](const auto* named) { return item_size(named->second.dtype()); });

  Json header = Json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  uint64_t at = 0;
  std::vector<std::span<const std::byte>> parts(2);  // length and header
  for (const auto* named : ordered) {
    const Tensor& tensor = named->second;
    header[checked_name(named->first, path.string())] = {{"dtype", dtype_name(tensor.dtype())},
                                                         {"shape", tensor.shape()},
                                                         {"data_offsets", {at, at + tensor.byte_size()}}};
    at += tensor.byte_size();
    parts.emplace_back(tensor.bytes(), tensor.byte_size());
  }

  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kFormat, path.string() + ": metadata that is not UTF-8 cannot be written");
  }
  text.resize((text.size() + kLengthSize - 1) / kLengthSize * kLengthSize, ' ');
  std::array<std::byte, kLengthSize> length{};
  for (size_t i = 0; i < kLengthSize; ++i) length[i] = static_cast<std::byte>(text.size() >> (8 * i));
  parts[0] = length;
  parts[1] = std::as_bytes(std::span(text));
  write_file_atomically(path, parts);
}

}  // namespace marrow::weights
