// The blocks of YOLOv10, 11, 12 and 26: golden-2/compat/README.md, `blocks`. What a block is made of follows
// from the names and shapes of its state.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "marrow/model/summary.h"
#include "marrow/nn/blocks/attention.h"
#include "marrow/nn/blocks/c3k2.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/csp.h"
#include "marrow/nn/blocks/spatial_pyramid.h"
#include "marrow/nn/blocks/yolov10.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const Activation kSiluActivation{ActivationKind::kSilu, 0, {}};

struct BlockCase {
  const json& info;
  const Weights& state;

  int64_t rows(const std::string& weight) const { return state.at(weight).dim(0); }
  bool has(const std::string& name) const { return state.contains(name); }
  // How many "m.<j>" there are.
  int repeats() const {
    int count = 0;
    while (std::ranges::any_of(state, [&](const auto& entry) {
      return entry.first.starts_with("m." + std::to_string(count) + ".");
    }))
      ++count;
    return count;
  }
  int out() const { return info.at("out").at(1); }
  int attribute(const char* name) const { return info.at("attrs").at(name); }
  nn::CspOptions csp(bool shortcut) const {
    return {.out = out(),
            .repeats = repeats(),
            .shortcut = shortcut,
            .expansion = static_cast<double>(attribute("c")) / out()};
  }
};

using BuildBlock = std::function<Value(GraphBuilder&, Value, const BlockCase&)>;

Value build_a2c2f(GraphBuilder& g, Value x, const BlockCase& c) {
  nn::A2C2fOptions options;
  options.out = c.out();
  options.repeats = c.repeats();
  options.expansion = static_cast<double>(c.rows("cv1.conv.weight")) / c.out();
  options.attention = c.has("m.0.0.attn.qkv.conv.weight");
  options.residual = c.has("gamma");
  if (options.attention)
    options.mlp_ratio = (static_cast<double>(c.rows("m.0.0.mlp.0.conv.weight")) + 0.5) /
                        static_cast<double>(c.rows("cv1.conv.weight"));
  options.areas = 4;
  return nn::a2c2f(g, x, "", options, kSiluActivation);
}

const std::map<std::string, BuildBlock> kBuilders = {
    {"Attention",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       return nn::position_attention(g, x, "", c.attribute("num_heads"));
     }},
    {"PSABlock",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       return nn::attention_block(g, x, "", kSiluActivation, c.info.at("attrs").at("add"));
     }},
    {"PSA", [](GraphBuilder& g, Value x, const BlockCase&) { return nn::psa(g, x, "", kSiluActivation); }},
    {"C2PSA", [](GraphBuilder& g, Value x,
                 const BlockCase& c) { return nn::c2psa(g, x, "", c.repeats(), kSiluActivation); }},
    {"AAttn",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       return nn::area_attention(g, x, "", c.attribute("num_heads"), c.attribute("area"));
     }},
    {"A2C2f", build_a2c2f},
    {"C3k2",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       const auto unit = c.has("m.0.1.attn.qkv.conv.weight") ? nn::C3k2Unit::kAttention
                         : c.has("m.0.cv3.conv.weight")      ? nn::C3k2Unit::kC3k
                                                             : nn::C3k2Unit::kBottleneck;
       return nn::c3k2(g, x, "", c.csp(true), unit, kSiluActivation);
     }},
    {"SCDown",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       const int stride = c.info.at("in").at(2) == c.info.at("out").at(2) ? 1 : 2;
       return nn::separable_down(g, x, "", c.out(), static_cast<int>(c.state.at("cv2.conv.weight").dim(2)),
                                 stride, kSiluActivation);
     }},
    {"C2fCIB",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       const bool large = c.has("m.0.cv1.2.conv1.conv.weight");
       return nn::c2f_of(
           g, x, "", c.csp(true), kSiluActivation, [&](Value v, const std::string& name, int channels) {
             return nn::compact_inverted_block(
                 g, v, name, {.out = channels, .shortcut = true, .large_kernel = large, .expansion = 1},
                 kSiluActivation);
           });
     }},
    {"SPPF",
     [](GraphBuilder& g, Value x, const BlockCase& c) {
       return nn::sppf(g, x, "",
                       {.out = c.out(),
                        // The record does not say it.
                        .kernel = c.attribute("n") == 2 ? 3 : 5,
                        .pools = c.attribute("n"),
                        .shortcut = c.info.at("attrs").at("add"),
                        .activated = c.info.at("acts").at("cv1") != "Identity"},
                       kSiluActivation);
     }},
};

void expect_block(const Weights& all, const std::string& name, const json& info) {
  Weights state;
  for (const auto& [key, tensor] : all)
    if (key.starts_with(name + "/")) state[key.substr(name.size() + 1)] = tensor.to_float();
  const Tensor input = state.at("in"), wanted = state.at("out");
  GraphBuilder g;
  const Value x = g.input(static_cast<int>(input.dim(1)));
  const BlockCase block{info, state};
  g.output("out", kBuilders.at(info.at("module"))(g, x, block));
  const Graph graph = std::move(g).build();
  EXPECT_EQ(model::count_parameters(graph), info.at("params").get<int64_t>());
  ASSERT_NO_THROW(verify(graph, state));
  float largest = 0;
  for (const float value : wanted.values()) largest = std::max(largest, std::abs(value));
  for (const auto& run : testing::run_in_every_form(graph, state, input, {"out"}))
    EXPECT_LE(testing::largest_difference(run.values.front().values(), wanted.values()),
              1e-4 + 1e-5 * largest)
        << run.executor;
}

TEST(parity_compat_blocks, EveryBlockGivesItsRecordedOutput) {
  testing::for_each_golden("compat/blocks/blocks.json", [](const fs::path& path) {
    const json cases = testing::read_json(path);
    const Weights all = weights::read_safetensors(path.parent_path() / "blocks.safetensors").tensors;
    ASSERT_FALSE(cases.empty());
    for (const auto& [name, info] : cases.items()) {
      SCOPED_TRACE(name);
      expect_block(all, name, info);
    }
  });
}

}  // namespace
}  // namespace marrow
