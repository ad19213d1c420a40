#include "marrow/weights/torch/pickled_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::weights {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxRank = 16;
constexpr int kMaxTensorWrappers = 4;  // a parameter around a tensor subclass around a tensor

enum class Rebuild { kNone, kTorch, kTorchV3, kParameter, kFromType, kNumpy, kNumpyBuffer };

struct RebuildCall {
  std::string_view module;
  std::string_view name;
  Rebuild rebuild;
};

constexpr RebuildCall kRebuildCalls[] = {
    {"torch._utils", "_rebuild_tensor", Rebuild::kTorch},
    {"torch._utils", "_rebuild_tensor_v2", Rebuild::kTorch},
    {"torch._utils", "_rebuild_tensor_v3", Rebuild::kTorchV3},
    {"torch._utils", "_rebuild_parameter", Rebuild::kParameter},
    {"torch._utils", "_rebuild_parameter_with_state", Rebuild::kParameter},
    {"torch._tensor", "_rebuild_from_type", Rebuild::kFromType},
    {"torch._tensor", "_rebuild_from_type_v2", Rebuild::kFromType},
    {"numpy.core.multiarray", "_reconstruct", Rebuild::kNumpy},
    {"numpy._core.multiarray", "_reconstruct", Rebuild::kNumpy},
    {"numpy.core.numeric", "_frombuffer", Rebuild::kNumpyBuffer},
    {"numpy._core.numeric", "_frombuffer", Rebuild::kNumpyBuffer},
};

Rebuild rebuild_of(const PickleGlobal& callee) {
  for (const RebuildCall& call : kRebuildCalls)
    if (call.module == callee.module && call.name == callee.name) return call.rebuild;
  return Rebuild::kNone;
}

struct NamedType {
  std::string_view name;
  DType dtype;
};

constexpr NamedType kStorageTypes[] = {
    {"FloatStorage", DType::kFloat32},  {"HalfStorage", DType::kFloat16},
    {"DoubleStorage", DType::kFloat64}, {"BFloat16Storage", DType::kBFloat16},
    {"LongStorage", DType::kInt64},     {"IntStorage", DType::kInt32},
    {"ShortStorage", DType::kInt16},    {"CharStorage", DType::kInt8},
    {"ByteStorage", DType::kUInt8},     {"BoolStorage", DType::kBool},
    {"UntypedStorage", DType::kUInt8},
};

constexpr NamedType kTorchTypes[] = {
    {"float32", DType::kFloat32},   {"float16", DType::kFloat16}, {"float64", DType::kFloat64},
    {"bfloat16", DType::kBFloat16}, {"int64", DType::kInt64},     {"int32", DType::kInt32},
    {"int16", DType::kInt16},       {"int8", DType::kInt8},       {"uint8", DType::kUInt8},
    {"bool", DType::kBool},
};

constexpr NamedType kNumpyTypes[] = {
    {"f4", DType::kFloat32}, {"f2", DType::kFloat16}, {"f8", DType::kFloat64}, {"u2", DType::kBFloat16},
    {"i8", DType::kInt64},   {"i4", DType::kInt32},   {"i2", DType::kInt16},   {"i1", DType::kInt8},
    {"u1", DType::kUInt8},   {"b1", DType::kBool},
};

std::optional<DType> find_type(std::span<const NamedType> types, std::string_view name) {
  for (const NamedType& type : types)
    if (type.name == name) return type.dtype;
  return std::nullopt;
}

bool is_floating(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 ||
         dtype == DType::kFloat64;
}

// Strides in elements of a dense tensor; the last (or, in Fortran order, the first) index moves fastest. The
// shape's element count was checked, so that products fit unless a dimension is 0, where strides do not
// matter.
Shape dense_strides(const Shape& shape, bool fortran) {
  Shape strides(shape.size(), 1);
  int64_t step = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t axis = fortran ? i : shape.size() - 1 - i;
    strides[axis] = step;
    if (__builtin_mul_overflow(step, std::max<int64_t>(shape[axis], 1), &step)) step = 1;
  }
  return strides;
}

}  // namespace

std::optional<DType> dtype_of_storage(std::string_view class_name) {
  return find_type(kStorageTypes, class_name);
}

std::optional<TorchStorageId> torch_storage_id(const PickleValue& persistent_id) {
  if (!persistent_id.is(Kind::kPersistentId)) return std::nullopt;
  const PickleValue::Items& parts = persistent_id.items()[0]->items();
  if (!persistent_id.items()[0]->is(Kind::kTuple) || parts.size() < 5 || parts.size() > 6)
    return std::nullopt;
  const PickleGlobal* storage_class = parts[1]->global();
  const bool known = parts[0]->is_string() && parts[0]->text() == "storage" && storage_class != nullptr &&
                     storage_class->module.starts_with("torch") && parts[2]->is_string() &&
                     parts[4]->is(Kind::kInt);
  if (!known) return std::nullopt;
  TorchStorageId id{parts[2]->text(), storage_class->name, parts[4]->as_int(), {}, 0, 0};
  if (parts.size() == 6 && !parts[5]->is_none()) {
    const PickleValue::Items& view = parts[5]->items();
    if (view.size() != 3 || !view[0]->is_string() || view[0]->text().empty()) return std::nullopt;
    id.view_key = view[0]->text();
    id.view_offset = view[1]->as_int();
    id.view_count = view[2]->as_int();
  }
  return id;
}

// Elements of a storage, as a tensor looks at them.
struct PickledTensorReader::View {
  DType dtype = DType::kFloat32;
  std::span<const std::byte> storage;
  int64_t offset = 0;  // elements
  Shape shape;
  Shape strides;  // elements
};

PickledTensorReader::PickledTensorReader(StorageLookup lookup, size_t byte_budget, std::string where)
    : lookup_(std::move(lookup)), byte_budget_(byte_budget), where_(std::move(where)) {}

bool PickledTensorReader::is_tensor(const PickleValue& value) {
  const PickleObject* object = value.object();
  return object != nullptr && rebuild_of(object->callee) != Rebuild::kNone;
}

void PickledTensorReader::fail(std::string_view name, std::string_view what) const {
  throw Error(ErrorKind::kFormat, fmt::format("{}: tensor '{}': {}", where_, printable(name), what));
}

Shape PickledTensorReader::shape_of(const PickleValue& value, std::string_view name) const {
  if (!value.is_sequence()) fail(name, "its size or stride is not a tuple");
  if (value.items().size() > kMaxRank) fail(name, fmt::format("has {} dimensions", value.items().size()));
  Shape shape;
  for (const PickleValue* dim : value.items()) {
    if (!dim->is(Kind::kInt) || dim->as_int() < 0)
      fail(name, "its size or stride has a negative or odd entry");
    shape.push_back(dim->as_int());
  }
  return shape;
}

PickledTensorReader::View PickledTensorReader::torch_view(const PickleObject& object,
                                                          std::string_view name) const {
  const PickleValue::Items& args = object.arguments->items();
  const bool v3 = rebuild_of(object.callee) == Rebuild::kTorchV3;
  if (args.size() < (v3 ? 7 : 4) || !args[1]->is(Kind::kInt))
    fail(name, "the call that rebuilds it lacks arguments");
  const std::optional<TorchStorageId> id = torch_storage_id(*args[0]);
  if (!id) fail(name, "it has no storage");

  std::optional<DType> dtype = dtype_of_storage(id->class_name);
  if (!dtype)
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: tensor '{}': element type {} is not supported",
                                                     where_, printable(name), printable(id->class_name)));
  std::span<const std::byte> storage = lookup_(id->key);
  const auto window = [&](int64_t first, int64_t count) {
    const auto available = static_cast<int64_t>(storage.size() / item_size(*dtype));
    if (first < 0 || count < 0 || first > available || count > available - first)
      fail(name, fmt::format("its storage '{}' should have {} elements but has {} bytes", printable(id->key),
                             count, storage.size()));
    storage = storage.subspan(static_cast<size_t>(first) * item_size(*dtype),
                              static_cast<size_t>(count) * item_size(*dtype));
  };
  window(0, id->count);
  if (!id->view_key.empty()) window(id->view_offset, id->view_count);
  if (v3) {
    const PickleGlobal* type = args[6]->global();
    dtype = type != nullptr && type->module == "torch" ? find_type(kTorchTypes, type->name) : std::nullopt;
    if (!dtype)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: tensor '{}': its element type is not supported", where_, printable(name)));
  }

  View view{*dtype, storage, args[1]->as_int(), shape_of(*args[2], name), shape_of(*args[3], name)};
  if (view.shape.size() != view.strides.size()) fail(name, "its size and stride differ in length");
  return view;
}

PickledTensorReader::View PickledTensorReader::numpy_view(const PickleObject& object,
                                                          std::string_view name) const {
  // _reconstruct(...) with the state (version, shape, dtype, fortran, bytes), or _frombuffer(bytes, dtype,
  // shape, order).
  const bool buffer = rebuild_of(object.callee) == Rebuild::kNumpyBuffer;
  const PickleValue* source = buffer ? object.arguments : object.state;
  const size_t wanted = buffer ? 4 : 5;
  if (source == nullptr || source->items().size() != wanted) fail(name, "the numpy array has no content");
  const PickleValue::Items& parts = source->items();
  const PickleValue& shape = buffer ? *parts[2] : *parts[1];
  const PickleObject* type = (buffer ? parts[1] : parts[2])->object();
  const bool fortran = buffer ? parts[3]->text() == "F" : parts[3]->as_bool();
  const PickleValue& content = buffer ? *parts[0] : *parts[4];

  // dtype('f4', False, True) with the state (3, '<', ...).
  const bool described = type != nullptr && type->callee.module == "numpy" && type->callee.name == "dtype" &&
                         !type->arguments->items().empty();
  if (!described) fail(name, "the numpy array has no dtype");
  const std::string_view type_name = type->arguments->items()[0]->text();
  const std::optional<DType> dtype = find_type(kNumpyTypes, type_name);
  std::string_view byte_order;
  if (type->state != nullptr && type->state->items().size() > 1) byte_order = type->state->items()[1]->text();
  if (!dtype || byte_order == ">")
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: tensor '{}': numpy type '{}{}' is not supported", where_, printable(name),
                            printable(byte_order), printable(type_name)));
  if (!content.is(Kind::kBytes)) fail(name, "the content of the numpy array is not bytes");

  View view{*dtype, std::as_bytes(std::span(content.text())), 0, shape_of(shape, name), {}};
  const int64_t count = element_count(view.shape);
  if (view.storage.size() != static_cast<size_t>(count) * item_size(*dtype))
    fail(name, fmt::format("shape {} does not fit its {} bytes", marrow::to_string(view.shape),
                           view.storage.size()));
  view.strides = dense_strides(view.shape, fortran);
  return view;
}

PickledTensorReader::View PickledTensorReader::view_of(const PickleValue& value, std::string_view name,
                                                       int depth) const {
  const PickleObject* object = value.object();
  const Rebuild rebuild = object == nullptr ? Rebuild::kNone : rebuild_of(object->callee);
  if (rebuild == Rebuild::kNone || depth > kMaxTensorWrappers || object->arguments == nullptr)
    fail(name, "it is not a tensor that Marrow knows");
  const PickleValue::Items& args = object->arguments->items();
  switch (rebuild) {
    case Rebuild::kParameter:  // (tensor, requires_grad, hooks)
      if (args.empty()) break;
      return view_of(*args[0], name, depth + 1);
    case Rebuild::kFromType: {  // (function, type, arguments, state)
      if (args.size() < 3 || args[0]->global() == nullptr || !args[2]->is(Kind::kTuple)) break;
      PickleObject inner;
      inner.callee = *args[0]->global();
      inner.arguments = args[2];
      const Rebuild inner_rebuild = rebuild_of(inner.callee);
      if (inner_rebuild != Rebuild::kTorch && inner_rebuild != Rebuild::kTorchV3) break;
      return torch_view(inner, name);
    }
    case Rebuild::kNumpy:
    case Rebuild::kNumpyBuffer:
      return numpy_view(*object, name);
    default:
      return torch_view(*object, name);
  }
  fail(name, "the call that rebuilds it lacks arguments");
}

Tensor PickledTensorReader::copy(const View& view, std::string_view name) {
  const size_t width = item_size(view.dtype);
  const int64_t count = element_count(view.shape);
  const auto needed = static_cast<size_t>(count) * std::max(width, sizeof(float));
  if (needed > byte_budget_)
    fail(name,
         fmt::format("with it the tensors are many times larger than the file ({} elements here)", count));
  byte_budget_ -= needed;

  if (count == 0) return Tensor(view.shape, view.dtype);
  // The largest index that is touched; 128 bits hold 16 products of 63-bit numbers.
  // NOLINTNEXTLINE(modernize-use-using): __extension__, which -Wpedantic asks for, goes with typedef alone.
  __extension__ typedef __int128 Wide;
  Wide last = view.offset;
  for (size_t axis = 0; axis < view.shape.size(); ++axis)
    last += static_cast<Wide>(view.shape[axis] - 1) * view.strides[axis];
  if (view.offset < 0 || last >= static_cast<Wide>(view.storage.size() / width))
    fail(name, fmt::format("shape {} with stride {} and offset {} reaches beyond its storage of {} elements",
                           marrow::to_string(view.shape), marrow::to_string(view.strides), view.offset,
                           view.storage.size() / width));

  Tensor tensor(view.shape, view.dtype);
  const std::byte* first = view.storage.data() + static_cast<size_t>(view.offset) * width;
  // The stride of a dimension of size 1 is never used and may be anything.
  const Shape dense = dense_strides(view.shape, false);
  Shape strides = view.strides;
  for (size_t axis = 0; axis < strides.size(); ++axis)
    if (view.shape[axis] == 1) strides[axis] = dense[axis];
  if (strides == dense) {
    std::memcpy(tensor.bytes(), first, tensor.byte_size());
    return tensor;
  }
  // Element by element, the index counting up like an odometer.
  Shape index(view.shape.size(), 0);
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(tensor.bytes() + static_cast<size_t>(i) * width, first + static_cast<size_t>(at) * width,
                width);
    for (size_t axis = view.shape.size(); axis-- > 0;) {
      at += strides[axis];
      if (++index[axis] < view.shape[axis]) break;
      at -= strides[axis] * view.shape[axis];
      index[axis] = 0;
    }
  }
  return tensor;
}

Tensor PickledTensorReader::read(const PickleValue& value, std::string_view name) {
  try {
    const Tensor tensor = copy(view_of(value, name, 0), name);
    return is_floating(tensor.dtype()) ? tensor.to_float() : tensor;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kShape) fail(name, error.what());
    throw;
  }
}

}  // namespace marrow::weights
