#include "marrow/base/tensor.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "marrow/base/error.h"
#include "marrow/base/tensor_slab.h"

namespace marrow {

size_t item_size(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kInt16:
      return 2;
    case DType::kInt8:
    case DType::kUInt8:
    case DType::kBool:
      return 1;
  }
  assert(false);
  return 0;
}

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "F32";
    case DType::kFloat16:
      return "F16";
    case DType::kBFloat16:
      return "BF16";
    case DType::kFloat64:
      return "F64";
    case DType::kInt64:
      return "I64";
    case DType::kInt32:
      return "I32";
    case DType::kInt16:
      return "I16";
    case DType::kInt8:
      return "I8";
    case DType::kUInt8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  assert(false);
  return "?";
}

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) throw Error(ErrorKind::kShape, "negative dimension in shape " + to_string(shape));
    if (dim == 0) empty = true;
    if (dim > 0 && count > std::numeric_limits<int64_t>::max() / 16 / dim)
      throw Error(ErrorKind::kShape, "shape " + to_string(shape) + " has more elements than memory can hold");
    if (dim > 0) count *= dim;
  }
  return empty ? 0 : count;
}

namespace {

// Where they fill some, pages of 2 MB: fewer misses of the address cache, 1 % of a network's time.
constexpr size_t kHugePage = size_t{2} << 20;

// Pages that the system gives when they are first written, as zeros: by the threads that fill them, and not
// written twice.
std::shared_ptr<std::byte> map_zeros(size_t bytes) {
  const size_t mapped = bytes + kHugePage;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  const size_t past = reinterpret_cast<uintptr_t>(memory) % kHugePage;
  std::byte* first = static_cast<std::byte*>(memory) + (past == 0 ? 0 : kHugePage - past);
  madvise(first, bytes, MADV_HUGEPAGE);  // a wish; refused, pages are small
  return {first, [memory, mapped](std::byte*) { munmap(memory, mapped); }};
}

constexpr size_t kMappedBytes = size_t{8} << 20;
thread_local TensorSlab* youngest_slab = nullptr;

}  // namespace

TensorSlab::TensorSlab() : older_(youngest_slab) {
  youngest_slab = this;
}
TensorSlab::~TensorSlab() {
  youngest_slab = older_;
}

std::shared_ptr<std::byte> TensorSlab::take(size_t bytes) {
  constexpr size_t kFewest = size_t{16} << 10, kMapping = size_t{32} << 20;
  TensorSlab* slab = youngest_slab;
  if (slab == nullptr || bytes < kFewest || bytes >= kMappedBytes) return nullptr;
  const size_t padded = (bytes + Tensor::kAlignment - 1) / Tensor::kAlignment * Tensor::kAlignment;
  if (padded > slab->left_) {
    slab->mapping_ = map_zeros(kMapping);
    slab->left_ = kMapping;
  }
  std::byte* first = slab->mapping_.get() + (kMapping - slab->left_);
  slab->left_ -= padded;
  return {slab->mapping_, first};
}

Tensor::Tensor(Shape shape, DType dtype)
    : shape_(std::move(shape)), dtype_(dtype), size_(element_count(shape_)) {
  const size_t bytes = std::max<size_t>(byte_size(), 1);
  if (bytes >= kMappedBytes) {
    storage_ = map_zeros(bytes);
    return;
  }
  storage_ = TensorSlab::take(bytes);
  if (storage_ != nullptr) return;
  const bool huge = bytes >= 2 * kHugePage;
  const size_t alignment = huge ? kHugePage : kAlignment;
  const size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* allocated = nullptr;  // not aligned_alloc, which takes only multiples of the alignment
  if (posix_memalign(&allocated, alignment, padded) != 0) throw std::bad_alloc();
  auto* memory = static_cast<std::byte*>(allocated);
  if (huge) madvise(memory, padded, MADV_HUGEPAGE);  // a wish; refused, pages are small
  std::memset(memory, 0, padded);
  storage_ = std::shared_ptr<std::byte>(memory, [](std::byte* p) { std::free(p); });
}

Tensor Tensor::scalar(float value) {
  Tensor tensor{Shape{}};
  tensor.values()[0] = value;
  return tensor;
}

Tensor Tensor::from(Shape shape, std::span<const float> values) {
  Tensor tensor(std::move(shape));
  assert(static_cast<int64_t>(values.size()) == tensor.size());
  std::ranges::copy(values, tensor.values().begin());
  return tensor;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy(shape_, dtype_);
  std::memcpy(copy.bytes(), bytes(), byte_size());
  return copy;
}

Tensor Tensor::reshape(Shape shape) const {
  if (element_count(shape) != size_)
    throw Error(ErrorKind::kShape, "cannot reshape " + to_string(shape_) + " to " + to_string(shape));
  Tensor view = *this;
  view.shape_ = std::move(shape);
  return view;
}

namespace {

template <class Stored, class Convert>
void convert(const std::byte* from, std::span<float> to, Convert convert_one) {
  for (size_t i = 0; i < to.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));
    to[i] = convert_one(stored);
  }
}

}  // namespace

Tensor Tensor::to_float() const {
  if (dtype_ == DType::kFloat32) return *this;
  Tensor result(shape_);
  const auto plain = [](auto stored) { return static_cast<float>(stored); };
  switch (dtype_) {
    case DType::kFloat32:
      break;
    case DType::kFloat16:
      convert<uint16_t>(bytes(), result.values(), half_to_float);
      break;
    case DType::kBFloat16:
      convert<uint16_t>(bytes(), result.values(), bfloat16_to_float);
      break;
    case DType::kFloat64:
      convert<double>(bytes(), result.values(), plain);
      break;
    case DType::kInt64:
      convert<int64_t>(bytes(), result.values(), plain);
      break;
    case DType::kInt32:
      convert<int32_t>(bytes(), result.values(), plain);
      break;
    case DType::kInt16:
      convert<int16_t>(bytes(), result.values(), plain);
      break;
    case DType::kInt8:
      convert<int8_t>(bytes(), result.values(), plain);
      break;
    case DType::kUInt8:
      convert<uint8_t>(bytes(), result.values(), plain);
      break;
    case DType::kBool:
      convert<uint8_t>(bytes(), result.values(), [](uint8_t b) { return b != 0 ? 1.f : 0.f; });
      break;
  }
  return result;
}

float bfloat16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

double relative_difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape())
    throw Error(ErrorKind::kShape,
                "cannot compare " + to_string(a.shape()) + " with " + to_string(b.shape()));
  const Tensor a32 = a.to_float();
  const Tensor b32 = b.to_float();
  double largest_difference = 0;
  double largest_value = 0;
  for (size_t i = 0; i < b32.values().size(); ++i) {
    const double x = a32.values()[i];
    const double y = b32.values()[i];
    if (std::isnan(x) != std::isnan(y)) return std::numeric_limits<double>::infinity();
    if (std::isnan(x) || x == y) continue;
    largest_difference = std::max(largest_difference, std::abs(x - y));
    largest_value = std::max(largest_value, std::abs(y));
  }
  for (const float y : b32.values())
    if (!std::isnan(y)) largest_value = std::max(largest_value, static_cast<double>(std::abs(y)));
  return largest_difference / (largest_value > 0 ? largest_value : 1);
}

}  // namespace marrow
