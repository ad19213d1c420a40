// One table of operations at awkward sizes, for every executor that must equal the reference.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/graphs.h"

namespace marrow::testing {

// Sums of a few hundred float32 products; the reference sums in double.
inline constexpr double kSum = 3e-6;
inline constexpr double kExact = 0;
inline constexpr double kFunction = 1e-6;

struct OpCase {
  std::string name;
  Graph graph;
  Shape input;
  double tolerance;
};

inline OpCase conv_case(int in, const ConvOptions& options, Shape input) {
  input[1] = in;
  std::string name =
      fmt::format("conv{0}x{0}s{1}d{2}g{3}_{4}to{5}_{6}x{7}x{8}", options.kernel, options.stride,
                  options.dilation, options.groups, in, options.out, input[0], input[2], input[3]);
  if (options.padding)
    name += options.padding->same ? "_same" : fmt::format("_pad{}", options.padding->before);
  // After another layer, so that the map is blocked; the first layer reads the planar input.
  Graph graph = graph_of(in, [&](GraphBuilder& g, Value x) {
    return g.conv(g.activation(x, ActivationKind::kRelu), "conv", options);
  });
  return {std::move(name), std::move(graph), std::move(input), kSum};
}

inline std::vector<OpCase> convolutions() {
  std::vector<OpCase> cases;
  for (const int in : {1, 3, 7, 15, 16, 17, 24, 33, 58})
    for (const int out : {1, 16, 17, 24, 33, 58}) {
      cases.push_back(conv_case(in, {.out = out, .bias = true}, {1, 0, 5, 7}));
      cases.push_back(conv_case(in, {.out = out, .kernel = 3, .bias = true}, {1, 0, 9, 5}));
    }
  for (const int size : {1, 2, 13, 29, 43})
    for (const int stride : {1, 2, 3})
      for (const int kernel : {1, 3, 5}) {
        cases.push_back(
            conv_case(19, {.out = 34, .kernel = kernel, .stride = stride}, {1, 0, size, size + 1}));
        cases.push_back(conv_case(
            5, {.out = 9, .kernel = kernel, .stride = stride, .padding = Padding::tensorflow_same()},
            {3, 0, size, 17}));
      }
  cases.push_back(conv_case(17, {.out = 20, .kernel = 3, .dilation = 2}, {1, 0, 11, 16}));
  cases.push_back(conv_case(17, {.out = 20, .kernel = 3, .stride = 2, .dilation = 3}, {1, 0, 11, 16}));
  cases.push_back(conv_case(8, {.out = 8, .kernel = 3, .padding = Padding{0, 0}}, {1, 0, 6, 31}));
  cases.push_back(conv_case(8, {.out = 8, .kernel = 2, .stride = 2, .padding = Padding{0, 1}}, {2, 0, 7, 7}));
  cases.push_back(conv_case(6, {.out = 8, .kernel = 1, .padding = Padding{2, 2}}, {1, 0, 4, 4}));
  cases.push_back(conv_case(4, {.out = 4, .kernel = 7, .padding = Padding{9, 9}}, {1, 0, 2, 3}));
  for (const int groups : {2, 3, 4, 12}) {
    cases.push_back(conv_case(12, {.out = 24, .kernel = 3, .groups = groups, .bias = true}, {2, 0, 5, 6}));
    cases.push_back(conv_case(16 * groups, {.out = 32 * groups, .groups = groups}, {1, 0, 3, 5}));
    cases.push_back(
        conv_case(20 * groups, {.out = 12 * groups, .kernel = 3, .groups = groups}, {1, 0, 3, 5}));
  }
  for (const int channels : {1, 7, 16, 17, 33, 58})
    for (const int kernel : {3, 5, 7, 9})
      for (const int stride : {1, 2})
        cases.push_back(conv_case(channels,
                                  {.out = channels, .kernel = kernel, .stride = stride, .groups = channels},
                                  {1, 0, 14, 23}));
  for (const int size : {1, 2, 3, 4, 12}) {
    cases.push_back(
        conv_case(18, {.out = 18, .kernel = 5, .groups = 18, .bias = true}, {3, 0, size, size + 2}));
    cases.push_back(conv_case(
        18, {.out = 18, .kernel = 5, .stride = 2, .groups = 18, .padding = Padding::tensorflow_same()},
        {1, 0, size, size}));
    cases.push_back(conv_case(18, {.out = 18, .kernel = 3, .stride = 3, .dilation = 2, .groups = 18},
                              {1, 0, size, size}));
  }
  return cases;
}

inline std::vector<OpCase> stems() {
  std::vector<OpCase> cases;
  for (const int stride : {1, 2, 3, 4})
    for (const int kernel : {1, 3, 4, 6})
      for (const bool same : {false, true}) {
        ConvOptions options{.out = 24, .kernel = kernel, .stride = stride, .bias = true};
        if (same) options.padding = Padding::tensorflow_same();
        cases.push_back({fmt::format("stem{}s{}{}", kernel, stride, same ? "same" : ""),
                         graph_of(3, [&](GraphBuilder& g, Value x) { return g.conv(x, "conv", options); }),
                         {2, 3, 33, 47},
                         kSum});
      }
  return cases;
}

inline std::vector<OpCase> transposed() {
  std::vector<OpCase> cases;
  for (const int in : {1, 16, 21})
    for (const int kernel : {1, 2, 3, 4, 5})
      for (const int stride : {1, 2, 3})
        for (const int padding : {0, 1}) {
          if (kernel <= 2 * padding) continue;
          cases.push_back(
              {fmt::format("transposed{}s{}p{}_{}", kernel, stride, padding, in),
               graph_of(in, [&](GraphBuilder& g,
                                Value x) { return g.conv_transpose(x, "up", 18, kernel, stride, padding); }),
               {2, in, 5, 9},
               kSum});
        }
  for (const int added : {1, 2})
    cases.push_back({fmt::format("transposed_padded{}", added),
                     graph_of(5,
                              [&](GraphBuilder& g, Value x) {
                                return g.conv_transpose(x, "up",
                                                        {.out = 18,
                                                         .kernel = 3,
                                                         .stride = 3,
                                                         .padding = 1,
                                                         .output_padding = added,
                                                         .bias = added == 1});
                              }),
                     {2, 5, 5, 9},
                     kSum});
  cases.push_back({"transposed_wide",
                   graph_of(4, [](GraphBuilder& g, Value x) { return g.conv_transpose(x, "up", 5, 2, 2); }),
                   {1, 4, 3, 37},
                   kSum});
  return cases;
}

// `body` on maps of every awkward number of channels.
inline void add_for_channels(std::vector<OpCase>& cases, const std::string& name, double tolerance,
                             const std::function<Value(GraphBuilder&, Value)>& body) {
  for (const int channels : {1, 3, 7, 15, 16, 17, 24, 33, 58})
    for (const Shape& size : {Shape{1, channels, 1, 1}, Shape{3, channels, 5, 7}, Shape{1, channels, 20, 13}})
      cases.push_back({fmt::format("{}_{}x{}x{}", name, channels, size[2], size[3]), graph_of(channels, body),
                       size, tolerance});
}

inline std::vector<OpCase> others() {
  std::vector<OpCase> cases;
  for (int kind = 1; kind < kActivationKinds; ++kind) {
    const auto activation = static_cast<ActivationKind>(kind);
    add_for_channels(cases, std::string(activation_name(activation)), kFunction,
                     [=](GraphBuilder& g, Value x) {
                       return g.activation(x, Activation{activation, 0.3, {}});
                     });
  }
  add_for_channels(cases, "batch_norm", kFunction, [](GraphBuilder& g, Value x) {
    return g.activation(g.batch_norm(x, "bn"), ActivationKind::kRelu);
  });
  add_for_channels(cases, "add", kExact,
                   [](GraphBuilder& g, Value x) { return g.add(x, g.activation(x, ActivationKind::kRelu)); });
  add_for_channels(cases, "multiply", kExact, [](GraphBuilder& g, Value x) {
    return g.activation(g.multiply(x, x), ActivationKind::kRelu6);
  });
  add_for_channels(cases, "gate", kFunction, [](GraphBuilder& g, Value x) {
    return g.multiply(x, g.activation(g.global_average_pool(x), ActivationKind::kHardSigmoid));
  });
  add_for_channels(cases, "global_average_pool", kFunction,
                   [](GraphBuilder& g, Value x) { return g.global_average_pool(x); });
  for (const int kernel : {2, 3, 5})
    for (const int stride : {1, 2, 3})
      add_for_channels(cases, fmt::format("max_pool{}s{}", kernel, stride), kExact,
                       [=](GraphBuilder& g, Value x) { return g.max_pool(x, kernel, stride, kernel / 2); });
  for (const int size : {1, 3, 7})
    add_for_channels(cases, fmt::format("adaptive_max_pool{}", size), kExact,
                     [=](GraphBuilder& g, Value x) { return g.adaptive_max_pool(x, size); });
  for (const int factor : {1, 2, 3})
    add_for_channels(cases, fmt::format("upsample{}", factor), kExact,
                     [=](GraphBuilder& g, Value x) { return g.upsample(x, factor); });
  add_for_channels(cases, "dropout_scaled", kFunction,
                   [](GraphBuilder& g, Value x) { return g.dropout(x, 0.2, true); });
  add_for_channels(cases, "flatten_linear", kSum, [](GraphBuilder& g, Value x) {
    // A linear layer's width is fixed by the graph, so a global pool comes first.
    return g.activation(g.linear(g.flatten(g.global_average_pool(x)), "fc", 21), ActivationKind::kTanh);
  });
  add_for_channels(cases, "flatten", kExact, [](GraphBuilder& g, Value x) { return g.flatten(x); });
  add_for_channels(cases, "concat", kExact, [](GraphBuilder& g, Value x) {
    return g.concat({x, g.activation(x, ActivationKind::kRelu), x});
  });
  for (const int groups : {2, 3, 4})
    cases.push_back(
        {fmt::format("shuffle{}", groups),
         graph_of(12 * groups, [=](GraphBuilder& g, Value x) { return g.channel_shuffle(x, groups); }),
         {2, 12 * groups, 3, 5},
         kExact});
  for (const auto& [begin, end] :
       std::vector<std::pair<int, int>>{{0, 58}, {58, 116}, {16, 48}, {5, 6}, {15, 33}})
    cases.push_back({fmt::format("slice{}to{}", begin, end),
                     graph_of(116, [=](GraphBuilder& g, Value x) { return g.slice(x, begin, end); }),
                     {2, 116, 3, 5},
                     kExact});
  for (const auto& [begin, end] : std::vector<std::pair<int, int>>{{0, 16}, {16, 32}, {3, 4}, {5, 37}})
    cases.push_back({fmt::format("slice{}to{}_of_3_groups", begin, end),
                     graph_of(111, [=](GraphBuilder& g, Value x) { return g.slice(x, begin, end, 3); }),
                     {2, 111, 3, 5},
                     kExact});
  add_for_channels(cases, "scale", kFunction,
                   [](GraphBuilder& g, Value x) { return g.scale(x, "gamma", 0.3); });
  for (const Attention& a :
       {Attention{1, 1, 1, 1}, Attention{1, 5, 7, 1}, Attention{2, 4, 8, 1}, Attention{3, 7, 20, 1},
        Attention{2, 16, 32, 1}, Attention{1, 32, 64, 1}, Attention{2, 32, 32, 2}, Attention{3, 8, 8, 4}})
    for (const Shape& size : {Shape{1, 0, 1, 4}, Shape{2, 0, 4, 5}, Shape{1, 0, 12, 19}}) {
      const int channels = a.heads * a.head_channels();
      Shape input = size;
      input[1] = channels;
      cases.push_back({fmt::format("attention{}h{}k{}v{}a_{}x{}x{}", a.heads, a.key_channels,
                                   a.value_channels, a.areas, size[0], size[2], size[3]),
                       graph_of(channels, [=](GraphBuilder& g, Value x) { return g.attention(x, a); }), input,
                       kSum});
    }
  return cases;
}

// The decode's boxes are in pixels of the input (up to 64 here), its scores in [0, 1].
inline OpCase decode_case(int classes, int reg_max, int64_t images, DetectExtra extra = DetectExtra::kNone,
                          int extra_channels = 0) {
  return {
      fmt::format("decode_nc{}_bins{}_n{}_{}{}", classes, reg_max, images, extra_channels, extra_name(extra)),
      graph_of(5,
               [&](GraphBuilder& g, Value x) {
                 std::vector<Value> maps, extras;
                 const auto map = [&](std::string name, int channels, int stride) {
                   return g.conv(
                       x, fmt::format("{}{}", name, stride),
                       {.out = channels, .kernel = stride, .stride = stride, .padding = Padding{0, 0}});
                 };
                 for (const int stride : {2, 4, 8}) {
                   maps.push_back(map("p", 4 * reg_max + classes, stride));
                   if (extra != DetectExtra::kNone) extras.push_back(map("e", extra_channels, stride));
                 }
                 return g.detect_decode(maps, "dfl", classes, reg_max, extra, extras);
               }),
      {images, 5, 64, 48},
      1e-6};
}

inline std::vector<OpCase> decodes() {
  return {decode_case(80, 16, 1),
          decode_case(1, 16, 3),
          decode_case(7, 5, 2),
          decode_case(80, 1, 2),
          decode_case(1, 1, 1),
          decode_case(3, 16, 2, DetectExtra::kCoefficients, 32),
          decode_case(1, 1, 1, DetectExtra::kCoefficients, 5),
          decode_case(1, 16, 2, DetectExtra::kVisiblePoints, 51),
          decode_case(2, 4, 1, DetectExtra::kPoints, 8),
          decode_case(15, 16, 2, DetectExtra::kAngle, 1)};
}

}  // namespace marrow::testing
