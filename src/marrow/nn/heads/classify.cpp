#include "marrow/nn/heads/classify.h"

#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

Value classify_head(GraphBuilder& g, Value x, const ClassifyOptions& options, const Activation& activation) {
  x = conv_unit(
      g, x, "conv",
      {.out = kClassifyHidden, .kernel = options.kernel, .stride = options.stride, .groups = options.groups},
      activation);
  {
    const auto scope = g.scope("pool");
    x = g.flatten(g.global_average_pool(x));
  }
  const Value logits = g.linear(x, "linear", options.classes);
  g.output("logits", logits);
  return logits;
}

namespace {

const ModuleRegistration kClassify{
    {.name = "Classify",
     .channels = Module::Channels::kScaled,
     .task = "classify",
     .arguments = {"classes", "kernel", "stride", "padding", "groups"},
     .build =
         [](ModuleCall& call) {
           if (!call.absent(3)) call.refuse(3, "None: the padding follows from the kernel");
           const ClassifyOptions options{.classes = call.positive(0, call.classes),
                                         .kernel = call.positive(1, 1, kMaxKernel),
                                         .stride = call.positive(2, 1, kMaxKernel),
                                         .groups = call.positive(4, 1)};
           return std::vector{classify_head(call.graph, call.input(), options, call.activation)};
         },
     .silent_modules = [](const ModuleCall&) { return 1; }}};  // dropout of rate 0

}  // namespace
}  // namespace marrow::nn
