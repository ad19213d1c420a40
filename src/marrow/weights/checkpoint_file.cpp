#include "marrow/weights/checkpoint_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/weights/checkpoint_names.h"
#include "marrow/weights/safetensors.h"
#include "marrow/weights/torch/pickle_file.h"
#include "marrow/weights/torch/zip_reader.h"

namespace marrow::weights {
namespace {

using Kind = PickleValue::Kind;

// Where wrappers keep the weights, the most wanted first.
constexpr std::array<std::string_view, 5> kWeightKeys = {"ema", "model_ema", "model", "state_dict", "module"};
constexpr size_t kMaxWrappers = 2;         // {"model": {"state_dict": ...}}
constexpr size_t kMaxTensors = 200'000;    // EfficientNet-B7 has about 1200
constexpr size_t kMaxTopEntries = 10'000;  // of a dict that is searched for keys
constexpr size_t kBudgetFactor = 16;
constexpr size_t kBudgetAllowance = 1 << 20;

// Paddle's table of internal parameter names, and its mark of arrays cut to pieces (beyond 1 GiB at protocols
// 2 and 3).
constexpr std::string_view kPaddleNames = "StructuredToParameterName@@";
constexpr std::string_view kPaddlePieces = "UnpackBigParamInfor@@";

// The tensor of an entry of a state dict: itself, or the second of Paddle's pair (name, array); else nullptr.
const PickleValue* tensor_in(const PickleValue& value) {
  if (PickledTensorReader::is_tensor(value)) return &value;
  const PickleValue::Items& pair = value.items();
  const bool named = value.is(Kind::kTuple) && pair.size() == 2 && pair[0]->is_string();
  return named && PickledTensorReader::is_tensor(*pair[1]) ? pair[1] : nullptr;
}

bool is_state_dict(const PickleValue& value) {
  const PickleValue::Items& items = value.items();
  if (!value.is_dict() || items.size() / 2 > kMaxTensors) return false;
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i]->is_string() && tensor_in(*items[i + 1]) != nullptr) return true;
  return false;
}

struct Found {
  const PickleValue* value = nullptr;  // a state dict or a module object; nullptr when there is none
  std::string key;
};

Found find_weights(const PickleValue& value, size_t depth) {
  if (is_pickled_module(value)) return {&value, ""};
  if (!value.is_dict() || depth > kMaxWrappers) return {};
  if (value.items().size() / 2 <= kMaxTopEntries) {
    for (const std::string_view key : kWeightKeys) {
      const PickleValue* entry = value.find(key);
      if (entry == nullptr) continue;
      if (Found found = find_weights(*entry, depth + 1); found.value != nullptr) {
        found.key = found.key.empty() ? std::string(key) : fmt::format("{}.{}", key, found.key);
        return found;
      }
    }
  }
  if (is_state_dict(value)) return {&value, ""};
  return {};
}

// The first keys of the top dict that hold weights, for a message.
std::vector<std::string> keys_with_weights(const PickleValue& top) {
  constexpr size_t kMaxListed = 50;
  std::vector<std::string> keys;
  const PickleValue::Items& items = top.items();
  if (!top.is_dict()) return keys;
  for (size_t i = 0; i + 1 < items.size() && i / 2 < kMaxListed; i += 2) {
    const PickleValue& value = *items[i + 1];
    if (items[i]->is_string() && (is_state_dict(value) || is_pickled_module(value)))
      keys.push_back(printable(items[i]->text()));
  }
  return keys;
}

class PickleReader {
 public:
  PickleReader(const PickleFile& file, size_t file_size, std::string where)
      : where_(std::move(where)),
        top_(file.document.root()),
        tensors_(file.storages, kBudgetFactor * file_size + kBudgetAllowance, where_) {}

  void read(const CheckpointOptions& options, Checkpoint& checkpoint) {
    const Found found = options.key.empty() ? find_weights(top_, 0) : find_named(options.key);
    if (found.value == nullptr) fail_without_weights();
    checkpoint.key = found.key;
    if (is_pickled_module(*found.value)) {
      PickledModel model = read_pickled_model(*found.value, tensors_, where_);
      checkpoint.state = std::move(model.state);
      checkpoint.order = std::move(model.order);
      checkpoint.model = std::move(model.attributes);
    } else {
      checkpoint.state = read_state_dict(*found.value, checkpoint.order);
    }
    if (found.value != &top_) checkpoint.metadata = read_metadata();
  }

 private:
  Found find_named(const std::string& key) const {
    const PickleValue* entry = top_.find(key);
    const size_t dot = key.find('.');
    if (entry == nullptr && dot != std::string::npos)
      if (const PickleValue* outer = top_.find(key.substr(0, dot))) entry = outer->find(key.substr(dot + 1));
    if (entry == nullptr)
      throw Error(ErrorKind::kUsage,
                  where_ + ": " + unknown_name_message("key", key, keys_with_weights(top_)));
    Found found = find_weights(*entry, 1);
    if (found.value == nullptr)
      throw Error(ErrorKind::kUsage,
                  fmt::format("{}: the entry '{}' holds no weights", where_, printable(key)));
    found.key = found.key.empty() ? key : fmt::format("{}.{}", key, found.key);
    return found;
  }

  [[noreturn]] void fail_without_weights() const {
    const std::vector<std::string> keys = keys_with_weights(top_);
    throw Error(ErrorKind::kFormat, keys.empty()
                                        ? where_ + ": there are no weights in this file"
                                        : fmt::format("{}: no usual entry holds the weights; name one of: {}",
                                                      where_, join(keys, ", ")));
  }

  Weights read_state_dict(const PickleValue& dict, std::vector<std::string>& order) {
    Weights state;
    const PickleValue::Items& items = dict.items();
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (!items[i]->is_string() || items[i]->text() == kPaddleNames) continue;
      if (items[i]->text() == kPaddlePieces)
        throw Error(ErrorKind::kUnsupported,
                    where_ + ": Paddle cut its arrays to pieces here; save it again with protocol 4");
      const PickleValue* tensor = tensor_in(*items[i + 1]);
      if (tensor == nullptr) continue;
      const std::string name = checked_name(std::string(items[i]->text()), where_);
      if (state.insert_or_assign(name, tensors_.read(*tensor, name)).second) order.push_back(name);
    }
    return state;
  }

  // Text and numbers of the top dict.
  std::map<std::string, std::string> read_metadata() const {
    constexpr size_t kMaxEntries = 1000;
    std::map<std::string, std::string> metadata;
    const PickleValue::Items& items = top_.items();
    for (size_t i = 0; i + 1 < items.size() && i / 2 < kMaxEntries; i += 2) {
      const PickleValue& value = *items[i + 1];
      if (!top_.is_dict() || !items[i]->is_string()) continue;
      const std::string key = display_text(items[i]->text());
      if (value.is_string()) metadata[key] = display_text(value.text());
      if (value.is(Kind::kInt)) metadata[key] = fmt::format("{}", value.as_int());
      if (value.is(Kind::kFloat)) metadata[key] = fmt::format("{}", value.as_number());
    }
    return metadata;
  }

  std::string where_;
  const PickleValue& top_;
  PickledTensorReader tensors_;
};

bool is_floating(const Tensor& tensor) {
  const DType dtype = tensor.dtype();
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 ||
         dtype == DType::kFloat64;
}

// DataParallel puts `module.` before every name.
Weights without_module_prefix(Weights state, std::vector<std::string>& order, const std::string& where) {
  constexpr std::string_view kPrefix = "module.";
  for (std::string& name : order)
    if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  const auto prefixed = [&](const auto& named) { return named.first.starts_with(kPrefix); };
  if (std::ranges::none_of(state, prefixed)) return state;
  Weights stripped;
  for (auto& [name, tensor] : state) {
    const std::string plain = name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
    if (plain.empty() || !stripped.emplace(plain, tensor).second)
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: '{}' and '{}' are both there", where, printable(plain), printable(name)));
  }
  return stripped;
}

// Digits compare as the number they make.
bool numbers_in_order(std::string_view a, std::string_view b) {
  const auto digits = [](std::string_view text) {
    const size_t end = text.find_first_not_of("0123456789");
    return text.substr(0, end);
  };
  while (!a.empty() && !b.empty()) {
    const std::string_view x = digits(a), y = digits(b);
    if (!x.empty() && !y.empty()) {
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      a.remove_prefix(x.size());
      b.remove_prefix(y.size());
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
}

[[noreturn]] void fail_unknown(const std::string& where, size_t size) {
  throw Error(
      ErrorKind::kFormat,
      fmt::format("{}: not a checkpoint that Marrow knows ({} bytes; neither safetensors, nor a torch "
                  "archive, nor a pickle)",
                  where, size));
}

}  // namespace

std::string_view kind_name(CheckpointKind kind) {
  switch (kind) {
    case CheckpointKind::kSafetensors:
      return "safetensors";
    case CheckpointKind::kTorchArchive:
      return "torch archive";
    case CheckpointKind::kTorchLegacy:
      return "torch legacy";
    case CheckpointKind::kPickle:
      return "pickle";
  }
  return "?";
}

Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options) {
  const std::string where = path.string();
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  Checkpoint checkpoint;
  const auto read_pickled = [&](CheckpointKind kind, const PickleFile& pickled) {
    checkpoint.kind = kind;
    PickleReader(pickled, bytes.size(), where).read(options, checkpoint);
  };
  if (ZipReader::looks_like_zip(bytes)) {
    read_pickled(CheckpointKind::kTorchArchive, open_torch_archive(bytes, where));
  } else if (looks_like_torch_legacy(bytes)) {
    read_pickled(CheckpointKind::kTorchLegacy, open_torch_legacy(bytes, where));
  } else if (looks_like_pickle(bytes)) {
    read_pickled(CheckpointKind::kPickle, open_bare_pickle(bytes, where));
  } else if (looks_like_safetensors(bytes)) {
    SafetensorsFile safetensors = read_safetensors(path);
    checkpoint.metadata = std::move(safetensors.metadata);
    for (auto& [name, tensor] : safetensors.tensors)
      checkpoint.state.emplace(name, is_floating(tensor) ? tensor.to_float() : tensor);
    for (const auto& [name, tensor] : checkpoint.state) checkpoint.order.push_back(name);
  } else {
    fail_unknown(where, bytes.size());
  }
  if (std::ranges::is_sorted(checkpoint.order)) std::ranges::stable_sort(checkpoint.order, numbers_in_order);
  checkpoint.state = without_module_prefix(std::move(checkpoint.state), checkpoint.order, where);
  return checkpoint;
}

}  // namespace marrow::weights
