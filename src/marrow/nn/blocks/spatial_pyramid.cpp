#include "marrow/nn/blocks/spatial_pyramid.h"

#include <string>

#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

Value sppf(GraphBuilder& g, Value x, std::string_view name, const SppfOptions& options,
           const Activation& activation) {
  const auto scope = g.scope(name);
  std::vector<Value> maps = {conv_unit(g, x, "cv1", {.out = expanded(g.channels(x), 0.5)},
                                       options.activated ? activation : kNoActivation)};
  {
    const auto pool = g.scope("m");
    for (int i = 0; i < options.pools; ++i)
      maps.push_back(g.max_pool(maps.back(), options.kernel, 1, options.kernel / 2));
  }
  const Value result = conv_unit(g, g.concat(maps), "cv2", {.out = options.out}, activation);
  return options.shortcut && g.channels(x) == options.out ? g.add(x, result) : result;
}

Value spp(GraphBuilder& g, Value x, std::string_view name, int out, std::span<const int> kernels,
          const Activation& activation) {
  const auto scope = g.scope(name);
  std::vector<Value> maps = {conv_unit(g, x, "cv1", {.out = expanded(g.channels(x), 0.5)}, activation)};
  for (size_t i = 0; i < kernels.size(); ++i) {
    const auto pool = g.scope("m." + std::to_string(i));
    maps.push_back(g.max_pool(maps[0], kernels[i], 1, kernels[i] / 2));
  }
  return conv_unit(g, g.concat(maps), "cv2", {.out = out}, activation);
}

namespace {

// A line of more than width and kernel is YOLO26's, whose cv1 has no activation.
bool is_activated_sppf(const ModuleCall& call) {
  return call.args.size() <= 2;
}

const ModuleRegistration kSppf{
    {.name = "SPPF",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "pools", "shortcut"},
     .build =
         [](ModuleCall& call) {
           constexpr int kMaxPools = 16;
           const SppfOptions options{.out = call.positive(0, 0),
                                     .kernel = call.positive(1, 5, kMaxKernel),
                                     .pools = call.positive(2, 3, kMaxPools),
                                     .shortcut = call.boolean(3, false),
                                     .activated = is_activated_sppf(call)};
           if (options.kernel % 2 == 0) call.refuse(1, "an odd number, so that the map keeps its size");
           return std::vector{sppf(call.graph, call.input(), "", options, call.activation)};
         },
     .silent_modules = [](const ModuleCall& call) { return is_activated_sppf(call) ? 0 : 1; }}};

const ModuleRegistration kSpp{
    {.name = "SPP",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernels"},
     .build = [](ModuleCall& call) {
       constexpr size_t kMaxPools = 16;
       std::vector<int> kernels = {5, 9, 13};
       if (!call.absent(1)) {
         const nlohmann::json& list = call.args[1];
         kernels.clear();
         if (!list.is_array() || list.empty() || list.size() > kMaxPools)
           call.refuse(1, "a list of odd window sizes, [5, 9, 13]");
         for (const nlohmann::json& kernel : list) {
           if (!kernel.is_number_integer() || kernel < 1 || kernel > kMaxKernel || kernel.get<int>() % 2 == 0)
             call.refuse(1, "a list of odd window sizes, [5, 9, 13]");
           kernels.push_back(kernel);
         }
       }
       return std::vector{spp(call.graph, call.input(), "", call.positive(0, 0), kernels, call.activation)};
     }}};

}  // namespace
}  // namespace marrow::nn
