// A small network that has a bit of everything.
#pragma once

#include "step_cases.h"

namespace marrow::testing {

// Layers of every kind around branches that are read several times, in parts, shuffled and joined.
inline Graph branches() {
  return graph_of(3, [](GraphBuilder& g, Value x) {
    const auto layer = [&](Value in, const char* name, const ConvOptions& options, ActivationKind kind) {
      const auto scope = g.scope(name);
      return g.activation(g.batch_norm(g.conv(in, "conv", options), "bn"), kind);
    };
    Value a = layer(x, "stem", {.out = 20, .kernel = 3, .stride = 2}, ActivationKind::kSilu);
    Value b = layer(a, "wide", {.out = 36}, ActivationKind::kRelu6);
    const Value left = g.slice(b, 0, 18), right = g.slice(b, 18, 36);
    const Value deep = layer(right, "deep", {.out = 18, .kernel = 3}, ActivationKind::kHardSwish);
    const Value own =
        layer(deep, "depth", {.out = 18, .kernel = 5, .stride = 1, .groups = 18}, ActivationKind::kIdentity);
    b = g.channel_shuffle(g.concat({left, g.add(own, right), deep}), 2);
    const Value gate = g.activation(g.conv(g.global_average_pool(b), "gate", {.out = 54, .bias = true}),
                                    ActivationKind::kSigmoid);
    b = g.drop_path(g.multiply(b, gate), 0.4);
    // A star product of two layers, that one convolution reads.
    b = g.multiply(layer(b, "star1", {.out = 22}, ActivationKind::kRelu6),
                   layer(b, "star2", {.out = 22, .kernel = 3}, ActivationKind::kIdentity));
    b = layer(b, "joined", {.out = 54}, ActivationKind::kTanh);
    // A gate that one convolution applies, and another that pooling reads, too.
    const Value squeezed = g.activation(g.conv(g.global_average_pool(b), "squeeze", {.out = 9, .bias = true}),
                                        ActivationKind::kRelu);
    b = layer(g.multiply(b, g.activation(g.conv(squeezed, "expand", {.out = 54, .bias = true}),
                                         ActivationKind::kHardSigmoid)),
              "gated", {.out = 54}, ActivationKind::kSilu);
    const Value down = layer(b, "down", {.out = 24, .kernel = 3, .stride = 2}, ActivationKind::kSilu);
    const Value up = g.upsample(down, 2);
    return g.conv(g.concat({up, g.max_pool(b, 5, 1, 2), a}), "head", {.out = 11, .bias = true});
  });
}

inline constexpr TrainingPlace kPlace{.seed = 9, .epoch = 1, .position = 6};

}  // namespace marrow::testing
