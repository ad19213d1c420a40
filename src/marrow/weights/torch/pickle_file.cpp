#include "marrow/weights/torch/pickle_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/weights/torch/zip_reader.h"

namespace marrow::weights {
namespace {

using Kind = PickleValue::Kind;

// 0x1950a86a20f9469cfc6c, little-endian: the first thing in a file of torch before 1.6.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kLegacyProtocol = 1001;

[[noreturn]] void broken(const std::string& where, std::string_view what) {
  throw Error(ErrorKind::kFormat, fmt::format("{}: {}", where, what));
}

// "<top>/" of the archive: the folder of its only data.pkl.
std::string find_top(const ZipReader& zip, const std::string& where) {
  constexpr std::string_view kPickleName = "/data.pkl";
  std::string top;
  for (const auto& [name, entry] : zip.entries()) {
    const bool at_top = name.ends_with(kPickleName) && std::ranges::count(name, '/') == 1;
    if (!at_top) continue;
    if (!top.empty()) broken(where, "the archive has two data.pkl");
    top = name.substr(0, name.size() - kPickleName.size() + 1);
  }
  if (top.empty()) broken(where, "a zip archive without data.pkl: not a checkpoint of torch.save");
  if (zip.entries().contains(top + "constants.pkl"))
    throw Error(ErrorKind::kUnsupported,
                where + ": a TorchScript program, not a checkpoint; save the state_dict with torch.save");
  return top;
}

uint64_t read_count(std::span<const std::byte> bytes) {
  uint64_t count = 0;
  for (size_t i = 0; i < 8; ++i) count |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return count;
}

// Reads one pickle after another from the front of a file.
class PickleSequence {
 public:
  PickleSequence(std::span<const std::byte> bytes, const std::string& where) : rest_(bytes), where_(where) {}
  PickleDocument next(std::string_view what) {
    PickleDocument document = read_pickle(rest_, fmt::format("{}: {}", where_, what));
    rest_ = rest_.subspan(document.consumed());
    return document;
  }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
  const std::string& where_;
};

using StorageTable = std::map<std::string, std::span<const std::byte>, std::less<>>;

// The storages lie one after another in the order of `keys`; only the object pickle knows their element
// types.
StorageTable read_legacy_storages(std::span<const std::byte> rest, const PickleDocument& object,
                                  const PickleDocument& keys, const std::string& where) {
  std::map<std::string_view, TorchStorageId> known;
  for (const PickleValue* value : object.persistent_ids())
    if (const auto id = torch_storage_id(*value)) known.try_emplace(id->key, *id);

  StorageTable table;
  if (!keys.root().is(Kind::kList)) broken(where, "the storage keys are not a list");
  for (const PickleValue* key : keys.root().items()) {
    const auto found = known.find(key->text());
    if (found == known.end())
      broken(where, fmt::format("no tensor has the storage '{}'", printable(key->text())));
    const std::optional<DType> dtype = dtype_of_storage(found->second.class_name);
    if (!dtype)
      throw Error(ErrorKind::kUnsupported, fmt::format("{}: storages of the class {} are not supported",
                                                       where, printable(found->second.class_name)));
    if (rest.size() < 8) broken(where, "the file ends before its last storage");
    const uint64_t count = read_count(rest);
    rest = rest.subspan(8);
    if (count > rest.size() / item_size(*dtype))
      broken(where, fmt::format("storage '{}' should have {} elements, but the file has {} bytes left",
                                printable(key->text()), count, rest.size()));
    const auto bytes = rest.first(count * item_size(*dtype));
    rest = rest.subspan(bytes.size());
    if (!table.try_emplace(std::string(key->text()), bytes).second)
      broken(where, fmt::format("storage '{}' is listed twice", printable(key->text())));
  }
  return table;
}

}  // namespace

PickleFile open_torch_archive(std::span<const std::byte> bytes, const std::string& where) {
  const auto zip = std::make_shared<ZipReader>(bytes, where);
  const std::string top = find_top(*zip, where);
  if (const std::string order = top + "byteorder"; zip->entries().contains(order)) {
    const auto content = zip->read(order);
    constexpr std::string_view kLittle = "little";
    const auto same = [](std::byte a, char b) { return static_cast<char>(a) == b; };
    if (!std::ranges::equal(content, kLittle, same))
      throw Error(ErrorKind::kUnsupported,
                  where + ": written on a big-endian machine, which is not supported");
  }
  PickleDocument document = read_pickle(zip->read(top + "data.pkl"), where + ": data.pkl");
  StorageLookup lookup = [zip, folder = top + "data/"](std::string_view key) {
    return zip->read(folder + std::string(key));
  };
  return {std::move(document), std::move(lookup)};
}

bool looks_like_torch_legacy(std::span<const std::byte> bytes) {
  constexpr size_t kFirstBytes = 32;  // PROTO, perhaps FRAME, LONG1, the number
  const auto head = bytes.first(std::min(bytes.size(), kFirstBytes));
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  return looks_like_pickle(bytes) && text.find(kLegacyMagic) != std::string_view::npos;
}

PickleFile open_torch_legacy(std::span<const std::byte> bytes, const std::string& where) {
  PickleSequence pickles(bytes, where);
  if (pickles.next("magic number").root().text() != kLegacyMagic) broken(where, "the magic number is wrong");
  const PickleDocument protocol = pickles.next("protocol");
  if (protocol.root().as_int() != kLegacyProtocol)
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: torch protocol {}; only {} is known", where,
                                                     protocol.root().as_int(), kLegacyProtocol));
  const PickleDocument system = pickles.next("system information");
  const PickleValue* little = system.root().find("little_endian");
  if (little != nullptr && little->is(Kind::kBool) && !little->as_bool())
    throw Error(ErrorKind::kUnsupported, where + ": written on a big-endian machine, which is not supported");
  PickleDocument object = pickles.next("object");
  const PickleDocument keys = pickles.next("storage keys");
  StorageTable table = read_legacy_storages(pickles.rest(), object, keys, where);
  StorageLookup lookup = [table = std::move(table), where](std::string_view key) {
    const auto found = table.find(key);
    if (found == table.end()) broken(where, fmt::format("there is no storage '{}'", printable(key)));
    return found->second;
  };
  return {std::move(object), std::move(lookup)};
}

bool looks_like_pickle(std::span<const std::byte> bytes) {
  // PROTO and a protocol of at least 2; older pickles have no mark of their own.
  return bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} &&
         bytes[1] <= std::byte{5};
}

PickleFile open_bare_pickle(std::span<const std::byte> bytes, const std::string& where) {
  StorageLookup none = [where](std::string_view) -> std::span<const std::byte> {
    broken(where, "a bare pickle has no torch storages");
  };
  return {read_pickle(bytes, where), std::move(none)};
}

}  // namespace marrow::weights
