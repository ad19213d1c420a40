#include "marrow/engine/steps/low_precision_epilogue.h"

#include "marrow/graph/operation.h"

namespace marrow::engine {

void finish_low_precision_tile(const RunContext& context, const ConvDescription& conv, const TilePlace& place,
                               float* values, int64_t values_block, float* joined) {
  const Kernels& kernels = *conv.kernels;
  const View& dst = conv.dst;
  const View& other = conv.epilogue.other;
  const int64_t count = place.pixels * kernels.lanes;
  const auto elements = [&](const View& view, int vector) {
    return place.image * view.image_stride + (place.block + vector) * view.block_floats(kernels.lanes) +
           place.pixel * kernels.lanes;
  };
  const bool joins = conv.epilogue.join != Epilogue::Join::kNone;
  const bool silu_alone = conv.epilogue.before.kind == static_cast<int>(ActivationKind::kSilu) && !joins &&
                          conv.epilogue.after.kind == 0;
  for (int vector = 0; vector < place.vectors; ++vector, values += values_block) {
    const float* with = nullptr;
    if (joins && other.element == Element::kFloat32) {
      with = context.read(other) + elements(other, vector);
    } else if (joins) {
      kernels.low_precision(other.element)
          .to_float32(context.low_precision(other) + elements(other, vector) * element_bytes(other.element),
                      other.scale, joined, count);
      with = joined;
    }
    if (dst.element == Element::kFloat32 || !silu_alone) apply(conv.epilogue, kernels, values, with, count);
    if (dst.element == Element::kFloat32) continue;
    const LowPrecisionKernels& low_precision = kernels.low_precision(dst.element);
    (silu_alone ? low_precision.silu_from_float32 : low_precision.from_float32)(
        values, dst.scale, context.low_precision(dst) + elements(dst, vector) * element_bytes(dst.element),
        count);
  }
}

}  // namespace marrow::engine
