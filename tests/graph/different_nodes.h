// Nodes of every operation that differ in one thing, for whoever has to tell all of them apart.
#pragma once

#include <functional>
#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::testing {

inline Graph graph_of(const Node& node) {
  Graph graph;
  graph.nodes = {{Input{}, {}, "", 3, 1}, node};
  graph.outputs = {{"output0", {1}}};
  return graph;
}

inline Node node_of(const Operation& operation) {
  return {operation, {{0}}, "model.0", 8, 2};
}

// Each differs from the others in one thing.
inline std::vector<Node> different_nodes() {
  std::vector<Node> nodes;
  const auto add = [&]<class Op>(const Op& base, const std::vector<std::function<void(Op&)>>& changes) {
    nodes.push_back(node_of(base));
    for (const auto& change : changes) {
      Op changed = base;
      change(changed);
      nodes.push_back(node_of(changed));
    }
  };
  add(Input{}, std::vector<std::function<void(Input&)>>{
                   [](Input& o) { o.channels = 1; }, [](Input& o) { o.format.order = ChannelOrder::kBgr; },
                   [](Input& o) { o.format.scale = 1; }, [](Input& o) { o.format.mean[1] = 0.5; },
                   [](Input& o) { o.format.std[2] = 0.5; }, [](Input& o) { o.format.resize = 256; },
                   [](Input& o) { o.format.crop = 224; },
                   [](Input& o) { o.format.interpolation = Interpolation::kBicubic; }});
  add(Conv{.out_channels = 8, .kernel = 3, .weight = "w"},
      std::vector<std::function<void(Conv&)>>{
          [](Conv& o) { o.out_channels = 9; }, [](Conv& o) { o.kernel = 5; }, [](Conv& o) { o.stride = 2; },
          [](Conv& o) { o.dilation = 2; }, [](Conv& o) { o.groups = 4; },
          [](Conv& o) { o.padding = Padding::symmetric(1); },
          [](Conv& o) {
            o.padding = {0, 1, false};
          },
          [](Conv& o) { o.padding = Padding::tensorflow_same(); }, [](Conv& o) { o.weight = "v"; },
          [](Conv& o) { o.bias = "b"; }});
  add(ConvTranspose{.out_channels = 8, .weight = "w"},
      std::vector<std::function<void(ConvTranspose&)>>{
          [](ConvTranspose& o) { o.out_channels = 9; }, [](ConvTranspose& o) { o.kernel = 4; },
          [](ConvTranspose& o) { o.stride = 4; }, [](ConvTranspose& o) { o.padding = 1; },
          [](ConvTranspose& o) { o.output_padding = 1; }, [](ConvTranspose& o) { o.weight = "v"; },
          [](ConvTranspose& o) { o.bias = "b"; }});
  add(BatchNorm{}, std::vector<std::function<void(BatchNorm&)>>{
                       [](BatchNorm& o) { o.eps = 1e-3; }, [](BatchNorm& o) { o.momentum = 0.03; },
                       [](BatchNorm& o) { o.weight = "a"; }, [](BatchNorm& o) { o.bias = "a"; },
                       [](BatchNorm& o) { o.running_mean = "a"; }, [](BatchNorm& o) { o.running_var = "a"; },
                       [](BatchNorm& o) { o.num_batches_tracked = "a"; }});
  add(Activation{ActivationKind::kLeakyRelu},
      std::vector<std::function<void(Activation&)>>{[](Activation& o) { o.kind = ActivationKind::kElu; },
                                                    [](Activation& o) { o.slope = 0.1; },
                                                    [](Activation& o) { o.slope_name = "slope"; }});
  add(Slice{0, 4},
      std::vector<std::function<void(Slice&)>>{[](Slice& o) { o.begin = 1; }, [](Slice& o) { o.end = 5; },
                                               [](Slice& o) { o.groups = 2; }});
  add(Scale{"gamma"}, std::vector<std::function<void(Scale&)>>{[](Scale& o) { o.weight = "delta"; }});
  add(Attention{1, 4, 8, 1},
      std::vector<std::function<void(Attention&)>>{
          [](Attention& o) { o.heads = 2; }, [](Attention& o) { o.key_channels = 5; },
          [](Attention& o) { o.value_channels = 9; }, [](Attention& o) { o.areas = 2; }});
  add(ChannelShuffle{}, std::vector<std::function<void(ChannelShuffle&)>>{[](auto& o) { o.groups = 4; }});
  add(MaxPool{}, std::vector<std::function<void(MaxPool&)>>{[](MaxPool& o) { o.kernel = 3; },
                                                            [](MaxPool& o) { o.stride = 1; },
                                                            [](MaxPool& o) { o.padding = 1; }});
  add(AdaptiveMaxPool{}, std::vector<std::function<void(AdaptiveMaxPool&)>>{[](auto& o) { o.size = 2; }});
  add(Upsample{}, std::vector<std::function<void(Upsample&)>>{[](auto& o) { o.factor = 4; }});
  add(Linear{8, "w"}, std::vector<std::function<void(Linear&)>>{[](Linear& o) { o.out_features = 9; },
                                                                [](Linear& o) { o.weight = "v"; },
                                                                [](Linear& o) { o.bias = "b"; }});
  add(Dropout{0.1},
      std::vector<std::function<void(Dropout&)>>{[](Dropout& o) { o.rate = 0.2; },
                                                 [](Dropout& o) { o.downscale_in_inference = true; }});
  add(DropPath{0.1}, std::vector<std::function<void(DropPath&)>>{[](auto& o) { o.rate = 0.2; }});
  add(DetectDecode{.classes = 80, .strides = {8}},
      std::vector<std::function<void(DetectDecode&)>>{
          [](DetectDecode& o) { o.classes = 2; }, [](DetectDecode& o) { o.reg_max = 8; },
          [](DetectDecode& o) { o.strides = {16}; }, [](DetectDecode& o) { o.bins = "bins"; },
          [](DetectDecode& o) { o.extra = DetectExtra::kAngle; },
          [](DetectDecode& o) { o.extra_channels = 1; }});
  for (const Operation& plain :
       std::vector<Operation>{Add{}, Multiply{}, Concat{}, GlobalAveragePool{}, Flatten{}})
    nodes.push_back(node_of(plain));
  const std::vector<std::function<void(Node&)>> of_the_node = {[](Node& n) {
                                                                 n.inputs = {{0}, {0}};
                                                               },
                                                               [](Node& n) { n.name = "model.1"; },
                                                               [](Node& n) { n.channels = 9; },
                                                               [](Node& n) { n.stride = 4; },
                                                               [](Node& n) { n.int8 = true; },
                                                               [](Node& n) {
                                                                 n.byte_scale = ByteScale{0.5f, 3};
                                                               },
                                                               [](Node& n) {
                                                                 n.byte_scale = ByteScale{0.5f, 4};
                                                               }};
  for (const auto& change : of_the_node) {
    nodes.push_back(node_of(Add{}));
    change(nodes.back());
  }
  return nodes;
}

}  // namespace marrow::testing
