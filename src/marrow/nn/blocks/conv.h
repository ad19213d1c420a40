// The convolution units of the YOLO family: convolution, batch norm, activation, with parameters
// "<name>.conv.weight" and "<name>.bn.*".
#pragma once

#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

// The batch norm of every YOLOv8 layer; other backbones bring their own.
inline constexpr double kYoloBatchNormEps = 1e-3;
inline constexpr double kYoloBatchNormMomentum = 0.03;
inline constexpr BatchNormOptions kYoloBatchNorm{
    .eps = kYoloBatchNormEps, .momentum = kYoloBatchNormMomentum, .bias_init = {}};

// No activation after the batch norm.
inline const Activation kNoActivation{ActivationKind::kIdentity, 0, {}};

// x: (N, C, H, W). Returns act(bn(conv(x))) with a convolution without bias, padded by
// (dilation * (kernel - 1) + 1) / 2 unless `options.padding` says otherwise.
// GraphBuilder::replace_activations may name another activation for it.
Value conv_unit(GraphBuilder& g, Value x, std::string_view name, const ConvOptions& options,
                const Activation& activation);

// A convolution unit whose groups are gcd(input channels, options.out): depthwise when they are equal.
Value depthwise_unit(GraphBuilder& g, Value x, std::string_view name, ConvOptions options,
                     const Activation& activation);

// Half of the output channels by a convolution ("cv1", with the given options), the other half from them by a
// cheap 5x5 depthwise one ("cv2"); `options.out` must be even.
// Source: GhostNet, Han et al. 2020, section 3.1.
Value ghost_unit(GraphBuilder& g, Value x, std::string_view name, ConvOptions options,
                 const Activation& activation);

}  // namespace marrow::nn
