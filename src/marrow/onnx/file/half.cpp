#include "marrow/onnx/file/half.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "marrow/base/error.h"

namespace marrow::onnx {

uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const float magnitude = std::abs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  constexpr float kOverflow = 65520;  // half way between the largest half and the next that there would be
  if (magnitude >= kOverflow) return sign | 0x7c00;
  constexpr float kSmallestNormal = 0x1p-14F;
  if (magnitude < kSmallestNormal)  // steps of 2^-24; nearbyint rounds ties to even
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24F));
  uint32_t rounded = bits & 0x7fffffff;
  rounded += 0xfff + ((rounded >> 13) & 1);
  constexpr uint32_t kExponentShift = (127 - 15) << 23;
  return sign | static_cast<uint16_t>((rounded - kExponentShift) >> 13);
}

Tensor to_half(const Tensor& tensor, const std::string& name) {
  const Tensor source = tensor.to_float();
  Tensor result(tensor.shape(), DType::kFloat16);
  auto* out = reinterpret_cast<uint16_t*>(result.bytes());
  for (const float value : source.values()) {
    const uint16_t half = float_to_half(value);
    if (std::isfinite(value) && (half & 0x7fff) == 0x7c00)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("'{}' holds {}, which float16 cannot; export without half", name, value));
    *out++ = half;
  }
  return result;
}

}  // namespace marrow::onnx
