// Convolutions: a description, and the table of implementations that compete for it.
#pragma once

#include <span>
#include <vector>

#include "marrow/engine/step.h"
#include "marrow/graph/operation.h"

namespace marrow::engine {

struct ConvDescription {
  int kernel = 1;
  int stride = 1;
  int dilation = 1;
  int groups = 1;
  Padding pad_y, pad_x;  // resolved: no SAME
  View src, dst;
  // Where a 1x1 convolution's input channels lie, when they are not those of src in order: scattered[c] is
  // the place of channel c in sources.
  std::vector<View> sources;
  std::vector<ChannelSource> scattered;
  std::span<const float> weight;  // (out, in / groups, kernel, kernel)
  std::span<const float> bias;    // empty when there is none
  Epilogue epilogue;
  const Kernels* kernels = nullptr;
  cpu::ThreadPool* pool = nullptr;  // packs the weights; its size also decides how finely the work is cut

  bool is_float32() const { return src.element == Element::kFloat32 && dst.element == Element::kFloat32; }
};

// A tile of an image's output: some blocks of channels from the first on, some pixels of the map in a row.
struct TilePlace {
  int64_t image;
  int64_t block;
  int vectors;
  int64_t pixel;
  int64_t pixels;

  template <class Float>
  Float* in(const View& view, Float* base, int lanes) const {
    return base + image * view.image_stride + block * view.block_floats(lanes) + pixel * lanes;
  }
};
// Applies the convolution's epilogue to a tile that was just written.
void finish_tile(const RunContext& context, const ConvDescription& conv, const TilePlace& place);

struct ConvImplementation {
  const char* name;
  bool (*accepts)(const ConvDescription& conv);
  StepPtr (*make)(const ConvDescription& conv);
  // Whether one further down may be faster, depending on the processor and the shape.
  bool (*has_rivals)(const ConvDescription& conv);
};

// In order of preference; the last accepts any that reads float32. engine/compile/tuner.h chooses.
std::span<const ConvImplementation> conv_implementations();

bool accepts_depthwise(const ConvDescription& conv);
StepPtr make_depthwise(const ConvDescription& conv);
bool accepts_winograd(const ConvDescription& conv);
StepPtr make_winograd(const ConvDescription& conv);
bool accepts_strassen(const ConvDescription& conv);
bool has_rivals_of_strassen(const ConvDescription& conv);
StepPtr make_strassen(const ConvDescription& conv);
bool accepts_packed_pointwise(const ConvDescription& conv);
StepPtr make_packed_pointwise(const ConvDescription& conv);
bool accepts_pointwise(const ConvDescription& conv);
StepPtr make_pointwise(const ConvDescription& conv);
StepPtr make_direct(const ConvDescription& conv);  // the only one that writes a dst of low precision

// Any kernel, stride and padding, bias as above; weight (in, out, kernel, kernel); no epilogue, groups or
// dilation.
StepPtr make_conv_transpose(const ConvDescription& conv);

}  // namespace marrow::engine
