// Tensors as pickles hold them: torch's rebuild calls over named storages, and numpy's arrays over bytes.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "marrow/base/tensor.h"
#include "marrow/weights/torch/pickle.h"

namespace marrow::weights {

// The bytes of the storage `key`, little-endian; throws Error when there is none. Storages lie beside the
// pickle.
using StorageLookup = std::function<std::span<const std::byte>(std::string_view key)>;

class PickledTensorReader {
 public:
  // `byte_budget` bounds all tensors read through this object together: tensors may overlap or repeat a
  // storage (tied weights, stride 0), so that a small file can describe huge ones. `where` begins every
  // message.
  PickledTensorReader(StorageLookup lookup, size_t byte_budget, std::string where);

  // Whether the value was a tensor: torch._utils._rebuild_tensor(_v2, _v3), a parameter around one, or a
  // numpy.ndarray.
  static bool is_tensor(const PickleValue& value);

  // A contiguous copy. Floating tensors of every width become float32, as every reader computes; integers and
  // bools stay as they are. Honours offset, size and stride, all checked against the storage. `name` is for
  // messages. numpy uint16 is how Paddle stores bfloat16 and is read as such. Throws Error{kFormat} when the
  // description and the storage do not fit, Error{kUnsupported} for other element types.
  Tensor read(const PickleValue& value, std::string_view name);

 private:
  struct View;

  [[noreturn]] void fail(std::string_view name, std::string_view what) const;
  View view_of(const PickleValue& value, std::string_view name, int depth) const;
  View torch_view(const PickleObject& object, std::string_view name) const;
  View numpy_view(const PickleObject& object, std::string_view name) const;
  Shape shape_of(const PickleValue& value, std::string_view name) const;
  Tensor copy(const View& view, std::string_view name);

  StorageLookup lookup_;
  size_t byte_budget_;
  std::string where_;
};

// Element type of a torch storage class ("HalfStorage"), or nothing when Marrow has no such type.
std::optional<DType> dtype_of_storage(std::string_view class_name);

// The parts of the persistent id of a torch storage: ("storage", class, key, device, element count[, view]).
struct TorchStorageId {
  std::string_view key;
  std::string_view class_name;
  int64_t count = 0;          // elements
  std::string_view view_key;  // legacy files: not empty when this is a window of the storage `key`
  int64_t view_offset = 0;    // elements
  int64_t view_count = 0;
};
std::optional<TorchStorageId> torch_storage_id(const PickleValue& persistent_id);

}  // namespace marrow::weights
