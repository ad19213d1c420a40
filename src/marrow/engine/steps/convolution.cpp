#include "marrow/engine/steps/convolution.h"

#include "marrow/engine/steps/low_precision.h"

namespace marrow::engine {
namespace {

bool always(const ConvDescription&) {
  return true;
}
bool never(const ConvDescription&) {
  return false;
}

constexpr ConvImplementation kConvImplementations[] = {
    {"byte winograd", accepts_byte_winograd, make_byte_winograd, never},
    {"bfloat16 winograd", accepts_bfloat16_winograd, make_bfloat16_winograd, never},
    {"low precision", accepts_low_precision, make_low_precision_direct, never},
    {"depthwise", accepts_depthwise, make_depthwise, never},
    {"winograd", accepts_winograd, make_winograd, always},
    {"strassen", accepts_strassen, make_strassen, has_rivals_of_strassen},
    {"packed pointwise", accepts_packed_pointwise, make_packed_pointwise, always},
    {"pointwise", accepts_pointwise, make_pointwise, never},
    {"direct", always, make_direct, never},
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
