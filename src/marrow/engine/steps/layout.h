// Steps that only move numbers: between layouts, and channels from maps to a map.
#pragma once

#include <vector>

#include "marrow/engine/step.h"

namespace marrow::engine {

// Planar to blocked. Spare lanes become zero.
StepPtr make_pack(const View& src, const View& dst, const Kernels& kernels);
// Blocked to planar, (N, C, H, W) in order; dst may be the same numbers seen as a matrix (N, C * H * W). What
// is planar already is copied.
StepPtr make_unpack(const View& src, const View& dst, const Kernels& kernels);

// dst channel first_channel + i = channels[i]; blocked maps of one size and element. Lanes of dst outside the
// range are left alone, except that spare lanes after the last channel of dst become zero.
StepPtr make_gather_channels(std::vector<View> sources, std::vector<ChannelSource> channels, const View& dst,
                             int first_channel, const Kernels& kernels);

}  // namespace marrow::engine
