#include "marrow/weights/torch/torch_writer.h"

#include <fmt/format.h>

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"

namespace marrow::weights {
namespace {

std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string_view storage_class(DType dtype, const std::string& name) {
  switch (dtype) {
    case DType::kFloat32:
      return "FloatStorage";
    case DType::kFloat64:
      return "DoubleStorage";
    case DType::kFloat16:
      return "HalfStorage";
    case DType::kBFloat16:
      return "BFloat16Storage";
    case DType::kInt64:
      return "LongStorage";
    case DType::kInt32:
      return "IntStorage";
    case DType::kInt16:
      return "ShortStorage";
    case DType::kInt8:
      return "CharStorage";
    case DType::kUInt8:
      return "ByteStorage";
    case DType::kBool:
      return "BoolStorage";
  }
  throw Error(ErrorKind::kUnsupported, fmt::format("tensor '{}' has a type without a torch storage", name));
}

// Opcodes of pickle protocol 2. Source: Python's Lib/pickletools.py.
class Pickler {
 public:
  std::string state_dict(const Weights& tensors) {
    text_ = "\x80\x02";
    ordered_dict();
    text_ += '(';
    size_t key = 0;
    for (const auto& [name, tensor] : tensors) {
      unicode(name);
      rebuild(tensor, name, std::to_string(key++));
    }
    text_ += "u.";  // SETITEMS, STOP
    return std::move(text_);
  }

 private:
  void global(std::string_view module, std::string_view name) {
    text_ += fmt::format("c{}\n{}\n", module, name);
  }
  void ordered_dict() {
    global("collections", "OrderedDict");
    text_ += ")R";  // called with ()
  }
  void unicode(std::string_view value) {
    text_ += 'X' + little(value.size(), 4);
    text_ += value;
  }
  void integer(int64_t value) {
    constexpr int64_t kLimit = int64_t{1} << 31;
    if (value < kLimit)
      text_ += 'J' + little(static_cast<uint64_t>(value), 4);
    else
      text_ += std::string("\x8a\x08") + little(static_cast<uint64_t>(value), 8);  // LONG1
  }
  void tuple(const std::vector<int64_t>& values) {
    text_ += '(';
    for (const int64_t value : values) integer(value);
    text_ += 't';
  }

  // torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
  void rebuild(const Tensor& tensor, const std::string& name, const std::string& key) {
    global("torch._utils", "_rebuild_tensor_v2");
    text_ += "((";
    unicode("storage");
    global("torch", storage_class(tensor.dtype(), name));
    unicode(key);
    unicode("cpu");
    integer(tensor.size());
    text_ += "tQ";  // BINPERSID
    integer(0);
    tuple(tensor.shape());
    std::vector<int64_t> strides(tensor.shape().size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.dim(i);
    tuple(strides);
    text_ += '\x89';  // False
    ordered_dict();
    text_ += "tR";
  }

  std::string text_;
};

// A zip of stored entries. Source: PKWARE's APPNOTE.TXT 6.3.
class ZipWriter {
 public:
  void add(const std::string& name, std::span<const std::byte> content) {
    const std::string fields = little(0, 2) + little(0, 2) + little(0, 4)  // flags, stored, time and date
                               + little(crc32(content), 4) + little(content.size(), 4) +
                               little(content.size(), 4) + little(name.size(), 2);
    std::string header = little(0x04034b50, 4) + little(20, 2) + fields;
    // Storages begin at multiples of 64 bytes, as torch's do: the extra field before them is padding.
    constexpr size_t kAlignment = 64, kExtraHeader = 4;
    const size_t before = size_ + header.size() + 2 + name.size() + kExtraHeader;
    const size_t padding = (kAlignment - before % kAlignment) % kAlignment;
    constexpr uint16_t kPaddingId = 0x4246;  // "FB", as torch writes it
    header += little(kExtraHeader + padding, 2) + name + little(kPaddingId, 2) + little(padding, 2) +
              std::string(padding, 'Z');

    directory_ += little(0x02014b50, 4) + little(20, 2) + little(20, 2) + fields +
                  little(0, 2)  // no extra field
                  + little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) + little(size_, 4) + name;
    ++entries_;
    append(std::move(header));
    size_ += content.size();
    parts_.push_back(content);
  }

  void write(const std::filesystem::path& path) {
    const std::string end = little(0x06054b50, 4) + little(0, 4) + little(entries_, 2) + little(entries_, 2) +
                            little(directory_.size(), 4) + little(size_, 4) + little(0, 2);
    append(directory_ + end);
    constexpr size_t kMaxBytes = 0xffffffff;
    if (size_ > kMaxBytes || entries_ > 0xffff)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: {} bytes in {} tensors; torch archives are written up to 4 GiB and 65535",
                              path.string(), size_, entries_));
    write_file_atomically(path, parts_);
  }

 private:
  void append(std::string text) {
    size_ += text.size();
    texts_.push_back(std::move(text));
    parts_.push_back(std::as_bytes(std::span(texts_.back())));
  }

  std::deque<std::string> texts_;  // of which parts_ are views
  std::vector<std::span<const std::byte>> parts_;
  std::string directory_;
  size_t size_ = 0;
  size_t entries_ = 0;
};

}  // namespace

void write_torch_state_dict(const std::filesystem::path& path, const Weights& tensors) {
  const std::string pickle = Pickler().state_dict(tensors), version = "3\n", order = "little";
  ZipWriter zip;
  const auto add = [&](const std::string& name, const std::string& text) {
    zip.add("archive/" + name, std::as_bytes(std::span(text)));
  };
  add("data.pkl", pickle);
  add("byteorder", order);
  size_t key = 0;
  for (const auto& [name, tensor] : tensors)
    zip.add(fmt::format("archive/data/{}", key++), {tensor.bytes(), tensor.byte_size()});
  add("version", version);
  zip.write(path);
}

}  // namespace marrow::weights
