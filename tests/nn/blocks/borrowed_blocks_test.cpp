// Blocks of other networks that YAMLs name, against their equations written out in plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "marrow/graph/reference/executor.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

using Function = std::function<double(double)>;

double silu(double x) {
  return x / (1 + std::exp(-x));
}
double relu(double x) {
  return std::max(x, 0.0);
}

// Maps of one image as [channel][row][column].
struct Plain {
  const Weights& weights;

  struct Map {
    int c = 0, h = 0, w = 0;
    std::vector<double> values;
    Map(int channels, int height, int width)
        : c(channels), h(height), w(width), values(static_cast<size_t>(channels * height * width)) {}
    double& at(int k, int y, int x) { return values[static_cast<size_t>((k * h + y) * w + x)]; }
    double at(int k, int y, int x) const { return values[static_cast<size_t>((k * h + y) * w + x)]; }
  };

  // Zeros around the map, as many rows and columns before and after it as `before` and `after` say.
  Map conv(const Map& x, const std::string& name, int stride, int before, int after, int groups = 1) const {
    const Tensor& k = weights.at(name + ".weight");
    const int out = static_cast<int>(k.dim(0)), in = static_cast<int>(k.dim(1)),
              size = static_cast<int>(k.dim(2));
    const auto extent = [&](int n) { return (n + before + after - size) / stride + 1; };
    Map y(out, extent(x.h), extent(x.w));
    for (int o = 0; o < out; ++o)
      for (int r = 0; r < y.h; ++r)
        for (int q = 0; q < y.w; ++q) {
          double sum = 0;
          for (int i = 0; i < in; ++i)
            for (int a = 0; a < size; ++a)
              for (int b = 0; b < size; ++b) {
                const int row = r * stride + a - before, column = q * stride + b - before;
                if (row < 0 || row >= x.h || column < 0 || column >= x.w) continue;
                sum += x.at(o / (out / groups) * in + i, row, column) *
                       k.values()[static_cast<size_t>(((o * in + i) * size + a) * size + b)];
              }
          y.at(o, r, q) = sum;
        }
    return y;
  }

  Map norm(Map x, const std::string& name) const {
    const auto of = [&](const char* leaf, int k) {
      return static_cast<double>(weights.at(name + leaf).values()[static_cast<size_t>(k)]);
    };
    for (int k = 0; k < x.c; ++k)
      for (int r = 0; r < x.h; ++r)
        for (int q = 0; q < x.w; ++q)
          x.at(k, r, q) = (x.at(k, r, q) - of(".running_mean", k)) / std::sqrt(of(".running_var", k) + 1e-3) *
                              of(".weight", k) +
                          of(".bias", k);
    return x;
  }

  static Map each(Map x, const Function& f) {
    for (double& value : x.values) value = f(value);
    return x;
  }

  // conv, bn, activation with the kernel's usual padding.
  Map unit(const Map& x, std::string name, int stride = 1, const Function& f = silu, int groups = 1) const {
    if (!name.empty()) name += ".";
    const int size = static_cast<int>(weights.at(name + "conv.weight").dim(2));
    return each(norm(conv(x, name + "conv", stride, size / 2, size / 2, groups), name + "bn"), f);
  }

  static Map cat(const std::vector<Map>& maps) {
    int channels = 0;
    for (const Map& map : maps) channels += map.c;
    Map y(channels, maps[0].h, maps[0].w);
    auto to = y.values.begin();
    for (const Map& map : maps) to = std::ranges::copy(map.values, to).out;
    return y;
  }
  static Map part(const Map& x, int begin, int end) {
    Map y(end - begin, x.h, x.w);
    std::copy_n(x.values.begin() + begin * x.h * x.w, y.values.size(), y.values.begin());
    return y;
  }
  static Map sum(Map a, const Map& b) {
    for (size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i];
    return a;
  }
  static Map max_pool(const Map& x, int size, int stride, int padding) {
    const auto extent = [&](int n) { return (n + 2 * padding - size) / stride + 1; };
    Map y(x.c, extent(x.h), extent(x.w));
    for (int k = 0; k < x.c; ++k)
      for (int r = 0; r < y.h; ++r)
        for (int q = 0; q < y.w; ++q) {
          double largest = -INFINITY;
          for (int a = 0; a < size; ++a)
            for (int b = 0; b < size; ++b)
              if (const int row = r * stride + a - padding, column = q * stride + b - padding;
                  row >= 0 && row < x.h && column >= 0 && column < x.w)
                largest = std::max(largest, x.at(k, row, column));
          y.at(k, r, q) = largest;
        }
    return y;
  }
  static Map mean_of_four(const Map& x) {
    Map y(x.c, x.h - 1, x.w - 1);
    for (int k = 0; k < x.c; ++k)
      for (int r = 0; r < y.h; ++r)
        for (int q = 0; q < y.w; ++q)
          y.at(k, r, q) = (x.at(k, r, q) + x.at(k, r + 1, q) + x.at(k, r, q + 1) + x.at(k, r + 1, q + 1)) / 4;
    return y;
  }
  static Map corners(const Map& x) {
    Map y(4 * x.c, x.h / 2, x.w / 2);
    for (int k = 0; k < 4 * x.c; ++k)
      for (int r = 0; r < y.h; ++r)
        for (int q = 0; q < y.w; ++q) y.at(k, r, q) = x.at(k % x.c, 2 * r + k / x.c % 2, 2 * q + k / x.c / 2);
    return y;
  }
  Map rep(const Map& x, const std::string& name) const {
    const Function none = [](double value) { return value; };
    return each(sum(unit(x, name + "conv1", 1, none), unit(x, name + "conv2", 1, none)), silu);
  }
};

using Map = Plain::Map;
using Equation = std::function<Map(const Plain&, const Map&)>;

struct BorrowedBlock {
  const char* module;
  nlohmann::json args;
  int repeats;
  Equation equation;
};

const Function kNone = [](double value) { return value; };

std::vector<BorrowedBlock> borrowed_blocks() {
  return {
      {"ADown",
       {12},
       1,
       [](const Plain& p, const Map& x) {
         const Map m = Plain::mean_of_four(x);
         return Plain::cat({p.unit(Plain::part(m, 0, 4), "cv1", 2),
                            p.unit(Plain::max_pool(Plain::part(m, 4, 8), 3, 2, 1), "cv2")});
       }},
      {"AConv",
       {12},
       1,
       [](const Plain& p, const Map& x) { return p.unit(Plain::mean_of_four(x), "cv1", 2); }},
      {"SPPELAN",
       {12, 6, 3},
       1,
       [](const Plain& p, const Map& x) {
         std::vector<Map> y = {p.unit(x, "cv1")};
         for (int i = 0; i < 3; ++i) y.push_back(Plain::max_pool(y.back(), 3, 1, 1));
         return p.unit(Plain::cat(y), "cv5");
       }},
      {"ELAN1",
       {12, 8, 6},
       1,
       [](const Plain& p, const Map& x) {
         const Map both = p.unit(x, "cv1"), second = Plain::part(both, 4, 8);
         const Map a = p.unit(second, "cv2"), b = p.unit(a, "cv3");
         return p.unit(Plain::cat({both, a, b}), "cv4");
       }},
      {"RepNCSPELAN4",
       {12, 8, 6, 2},
       1,
       [](const Plain& p, const Map& x) {
         const auto branch = [&](const Map& from, const std::string& name) {
           Map inside = p.unit(from, name + ".0.cv1");
           for (const char* m : {"0", "1"}) {
             const std::string unit = name + ".0.m." + m;
             inside = Plain::sum(inside, p.unit(p.rep(inside, unit + ".cv1."), unit + ".cv2"));
           }
           const Map csp = p.unit(Plain::cat({inside, p.unit(from, name + ".0.cv2")}), name + ".0.cv3");
           return p.unit(csp, name + ".1");
         };
         const Map both = p.unit(x, "cv1");
         const Map a = branch(Plain::part(both, 4, 8), "cv2"), b = branch(a, "cv3");
         return p.unit(Plain::cat({both, a, b}), "cv4");
       }},
      {"RepConv", {12}, 1, [](const Plain& p, const Map& x) { return p.rep(x, ""); }},
      {"RepC3",
       {12, 0.5},
       2,
       [](const Plain& p, const Map& x) {
         const Map inside = p.rep(p.rep(p.unit(x, "cv1"), "m.0."), "m.1.");
         return p.unit(Plain::sum(inside, p.unit(x, "cv2")), "cv3");
       }},
      {"RepVGGBlock",
       {8},
       1,
       [](const Plain& p, const Map& x) {
         const Map convs = Plain::sum(p.unit(x, "rbr_dense", 1, kNone), p.unit(x, "rbr_1x1", 1, kNone));
         return Plain::each(Plain::sum(convs, p.norm(x, "rbr_identity")), relu);
       }},
      {"HGStem",
       {6, 10},
       1,
       [](const Plain& p, const Map& image) {
         const Map x = p.unit(image, "stem1", 2, relu);
         const auto small = [&](const Map& from, const std::string& name) {
           return Plain::each(p.norm(p.conv(from, name + ".conv", 1, 0, 1), name + ".bn"), relu);
         };
         Map padded(x.c, x.h + 1, x.w + 1);
         for (int k = 0; k < x.c; ++k)
           for (int r = 0; r < x.h; ++r)
             for (int q = 0; q < x.w; ++q) padded.at(k, r, q) = x.at(k, r, q);
         const Map joined =
             Plain::cat({Plain::max_pool(padded, 2, 1, 0), small(small(x, "stem2a"), "stem2b")});
         return p.unit(p.unit(joined, "stem3", 2, relu), "stem4", 1, relu);
       }},
      {"HGBlock",
       {6, 8, 5, true, true},
       2,
       [](const Plain& p, const Map& x) {
         std::vector<Map> y = {x};
         for (const std::string m : {"m.0", "m.1"})
           y.push_back(p.unit(p.unit(y.back(), m + ".conv1", 1, kNone), m + ".conv2", 1, relu, 6));
         return Plain::sum(p.unit(p.unit(Plain::cat(y), "sc", 1, relu), "ec", 1, relu), x);
       }},
      {"ResNetLayer",
       {8, 3, 2, false, 2},
       1,
       [](const Plain& p, Map x) {
         for (int i = 0; i < 2; ++i) {
           const std::string block = "layer." + std::to_string(i);
           const Map y = p.unit(p.unit(p.unit(x, block + ".cv1"), block + ".cv2", i == 0 ? 2 : 1),
                                block + ".cv3", 1, kNone);
           x = Plain::each(Plain::sum(y, i == 0 ? p.unit(x, block + ".shortcut.0", 2, kNone) : x), relu);
         }
         return x;
       }},
      {"GSConv",
       {12, 3, 2},
       1,
       [](const Plain& p, const Map& x) {
         const Map half = p.unit(x, "cv1", 2), both = Plain::cat({half, p.unit(half, "cv2", 1, silu, 6)});
         Map y = both;
         for (int k = 0; k < y.c; ++k)
           for (int r = 0; r < y.h; ++r)
             for (int q = 0; q < y.w; ++q) y.at(k, r, q) = both.at(k < 6 ? 2 * k : 2 * (k - 6) + 1, r, q);
         return y;
       }},
      {"SPPCSPC",
       {10},
       1,
       [](const Plain& p, const Map& x) {
         const Map in = p.unit(p.unit(p.unit(x, "cv1"), "cv3"), "cv4");
         const Map pooled = Plain::cat(
             {in, Plain::max_pool(in, 5, 1, 2), Plain::max_pool(in, 9, 1, 4), Plain::max_pool(in, 13, 1, 6)});
         return p.unit(Plain::cat({p.unit(p.unit(pooled, "cv5"), "cv6"), p.unit(x, "cv2")}), "cv7");
       }},
      {"DownC",
       {12},
       1,
       [](const Plain& p, const Map& x) {
         return Plain::cat({p.unit(p.unit(x, "cv1"), "cv2", 2), p.unit(Plain::max_pool(x, 2, 2, 0), "cv3")});
       }},
      {"BottleneckCSP",
       {12, false},
       1,
       [](const Plain& p, const Map& x) {
         const Map in = p.unit(p.unit(p.unit(x, "cv1"), "m.0.cv1"), "m.0.cv2");
         const Map both = Plain::cat({p.conv(in, "cv3", 1, 0, 0), p.conv(x, "cv2", 1, 0, 0)});
         return p.unit(Plain::each(p.norm(both, "bn"), silu), "cv4");
       }},
      {"SPDConv", {12}, 1, [](const Plain& p, const Map& x) { return p.unit(Plain::corners(x), "conv"); }},
      {"Focus", {12, 1}, 1, [](const Plain& p, const Map& x) { return p.unit(Plain::corners(x), "conv"); }},
      {"ReOrg", nlohmann::json::array(), 1, [](const Plain&, const Map& x) { return Plain::corners(x); }},
      {"SimConv", {12, 3, 2}, 1, [](const Plain& p, const Map& x) { return p.unit(x, "", 2, relu); }},
  };
}

TEST(BorrowedBlocks, ComputeTheirEquations) {
  constexpr int kChannels = 8, kHeight = 12, kWidth = 10;
  for (const BorrowedBlock& block : borrowed_blocks()) {
    SCOPED_TRACE(block.module);
    const Module* module = find_module(block.module);
    ASSERT_NE(module, nullptr);
    GraphBuilder g;
    ModuleCall call{.graph = g,
                    .inputs = {g.input(kChannels)},
                    .args = block.args,
                    .argument_names = module->arguments,
                    .repeats = block.repeats,
                    .activation = {ActivationKind::kSilu, 0, {}},
                    .scale = ""};
    {
      const auto scope = g.scope("b");
      g.output("out", module->build(call).front());
    }
    const Graph graph = std::move(g).build();
    Weights weights = randomize(graph, 5);
    Tensor image({1, kChannels, kHeight, kWidth});
    Map x(kChannels, kHeight, kWidth);
    for (size_t i = 0; i < x.values.size(); ++i) {
      image.values()[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i)) * 1.3);
      x.values[i] = image.values()[i];
    }
    const Tensor found = reference::run_reference(graph, weights, image, "out");
    Weights plain;  // without the scope
    for (const auto& [name, tensor] : weights) plain[name.substr(2)] = tensor;
    const Plain names{plain};
    const Map wanted = block.equation(names, x);
    ASSERT_EQ(found.shape(), (Shape{1, wanted.c, wanted.h, wanted.w}));
    for (size_t i = 0; i < wanted.values.size(); ++i)
      ASSERT_NEAR(found.values()[i], wanted.values[i], 1e-4 * (1 + std::abs(wanted.values[i]))) << i;
  }
}

}  // namespace
}  // namespace marrow::nn
