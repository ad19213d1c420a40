// The weights of a convolution as the tiles of engine/kernels/low_precision.h read them.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

struct LowPrecisionWeights {
  // Raw bytes: [group of output blocks][block][row][tap][dword][output][channel of the dword]. Where the
  // kernels widen bytes there is one block, of all channels.
  Tensor weights;
  int64_t group_bytes = 0;  // of a full group
  int last_dwords = 0;      // that the last input block has
  // Per output, spare ones included. For bytes start = -zero point * sum of weights, so that the sum from
  // there on is the sum over q - zero point, and scale = scale of src * scale of the output's weights.
  Tensor start;  // int32
  Tensor scale, bias;
};

// Bytes: each output channel's weights are w = s * q with q from -127 to 127 and s its largest |w| / 127,
// rounded to nearest even; q is packed as int16 where the kernels widen bytes. bfloat16: rounded to nearest
// even. `vectors` output blocks make a group.
LowPrecisionWeights pack_low_precision_weights(const ConvDescription& conv, int vectors);

}  // namespace marrow::engine
