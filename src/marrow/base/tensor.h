// A dense, row-major tensor in aligned memory: the currency between readers, executors and tools.
//
// Copies share storage, as views of one buffer; clone() makes an independent copy. Not synchronised: one
// writer or many readers.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace marrow {

enum class DType : uint8_t {
  kFloat32,
  kFloat16,
  kBFloat16,
  kFloat64,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool,
};

size_t item_size(DType dtype);             // bytes
std::string_view dtype_name(DType dtype);  // as safetensors spells it: "F32", "BF16", "I64", ...

using Shape = std::vector<int64_t>;

// Product of the dimensions; 1 for a scalar. Throws Error{kShape} for a negative dimension or when the
// product does not fit: shapes come from files.
int64_t element_count(const Shape& shape);
std::string to_string(const Shape& shape);  // "(1, 3, 640, 640)"

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kFloat32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::kFloat64;
}
template <>
constexpr DType dtype_of<int64_t>() {
  return DType::kInt64;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::kInt32;
}
template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::kUInt8;
}

class Tensor {
 public:
  static constexpr size_t kAlignment = 64;  // one cache line, one AVX-512 vector

  Tensor() = default;                                           // no storage, shape (0)
  explicit Tensor(Shape shape, DType dtype = DType::kFloat32);  // filled with zero bytes

  static Tensor scalar(float value);
  static Tensor from(Shape shape, std::span<const float> values);  // values.size() == element_count(shape)

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(size_t axis) const { return shape_.at(axis); }
  DType dtype() const { return dtype_; }
  int64_t size() const { return size_; }  // elements
  size_t byte_size() const { return static_cast<size_t>(size_) * item_size(dtype_); }

  std::byte* bytes() { return storage_.get(); }
  const std::byte* bytes() const { return storage_.get(); }

  // All elements in row-major order. T must match dtype().
  template <class T = float>
  std::span<T> values() {
    assert(dtype_of<T>() == dtype_);
    return {reinterpret_cast<T*>(storage_.get()), static_cast<size_t>(size_)};
  }
  template <class T = float>
  std::span<const T> values() const {
    assert(dtype_of<T>() == dtype_);
    return {reinterpret_cast<const T*>(storage_.get()), static_cast<size_t>(size_)};
  }

  Tensor clone() const;
  Tensor to_float() const;  // float32; every dtype converts; shares storage when it already is float32
  Tensor reshape(Shape shape) const;  // same storage; throws Error{kShape} when the element counts differ

 private:
  Shape shape_ = {0};
  DType dtype_ = DType::kFloat32;
  int64_t size_ = 0;
  std::shared_ptr<std::byte> storage_;
};

float half_to_float(uint16_t bits);
float bfloat16_to_float(uint16_t bits);

// The largest |a - b| divided by the largest |b| (by 1 where b is all zero): the measure of the golden
// tables. Infinity when a NaN is met on one side only. Shapes must agree.
double relative_difference(const Tensor& a, const Tensor& b);

}  // namespace marrow
