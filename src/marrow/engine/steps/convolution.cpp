#include "marrow/engine/steps/convolution.h"

#include "marrow/engine/steps/low_precision.h"

namespace marrow::engine {
namespace {

constexpr ConvImplementation kConvImplementations[] = {
    {"byte winograd", accepts_byte_winograd, make_byte_winograd, false},
    {"bfloat16 winograd", accepts_bfloat16_winograd, make_bfloat16_winograd, false},
    {"low precision", accepts_low_precision, make_low_precision_direct, false},
    {"depthwise", accepts_depthwise, make_depthwise, false},
    {"winograd", accepts_winograd, make_winograd, true},
    {"strassen", accepts_strassen, make_strassen, true},
    {"packed pointwise", accepts_packed_pointwise, make_packed_pointwise, true},
    {"pointwise", accepts_pointwise, make_pointwise, false},
    {"direct", [](const ConvDescription&) { return true; }, make_direct, false},
};

}  // namespace

void finish_tile(const RunContext& context, const ConvDescription& conv, const TilePlace& place) {
  const Epilogue& epilogue = conv.epilogue;
  if (epilogue.empty()) return;
  const Kernels& kernels = *conv.kernels;
  float* dst = place.in(conv.dst, context.write(conv.dst), kernels.lanes);
  const float* other = nullptr;
  if (epilogue.join != Epilogue::Join::kNone)
    other = place.in(epilogue.other, context.read(epilogue.other), kernels.lanes);
  for (int v = 0; v < place.vectors; ++v) {
    apply(epilogue, kernels, dst, other, place.pixels * kernels.lanes);
    dst += conv.dst.block_floats(kernels.lanes);
    if (other != nullptr) other += epilogue.other.block_floats(kernels.lanes);
  }
}

std::span<const ConvImplementation> conv_implementations() {
  return kConvImplementations;
}

}  // namespace marrow::engine
