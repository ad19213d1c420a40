// Lines of a model YAML that are one operation: concatenation, resizing, and the layers that recipes borrow
// from torch.nn by their name there.
#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

const ModuleRegistration kConcat{
    {.name = "Concat", .arguments = {"dimension"}, .build = [](ModuleCall& call) {
       if (call.integer(0, 1) != 1) call.refuse(0, "1 (channels)");
       return std::vector{call.graph.concat(call.inputs)};
     }}};

const ModuleRegistration kUpsample{
    {.name = "nn.Upsample", .arguments = {"size", "factor", "mode"}, .build = [](ModuleCall& call) {
       constexpr int kMaxFactor = 64;
       if (!call.absent(0)) call.refuse(0, "None: the size follows the input's");
       if (call.absent(1)) call.refuse(1, "a whole factor, 2");
       if (call.text(2, "nearest") != "nearest")
         call.refuse(2, "nearest, the only interpolation Marrow upsamples with");
       return std::vector{call.graph.upsample(call.input(), call.positive(1, 2, kMaxFactor))};
     }}};

const ModuleRegistration kIdentity{{.name = "nn.Identity",
                                    .arguments = {},
                                    .build = [](ModuleCall& call) { return std::vector{call.input()}; },
                                    .silent_modules = [](const ModuleCall&) { return 1; }}};

const ModuleRegistration kBatchNorm{
    {.name = "nn.BatchNorm2d", .arguments = {}, .build = [](ModuleCall& call) {
       return std::vector{call.graph.batch_norm(call.input(), "", kYoloBatchNorm)};
     }}};

const ModuleRegistration kMaxPool{
    {.name = "nn.MaxPool2d", .arguments = {"kernel", "stride", "padding"}, .build = [](ModuleCall& call) {
       if (call.absent(0)) call.refuse(0, "a whole number");
       const int kernel = call.positive(0, 1, kMaxKernel);
       const int padding = call.integer(2, 0);
       return std::vector{
           call.graph.max_pool(call.input(), kernel, call.positive(1, kernel, kMaxKernel), padding)};
     }}};

const ModuleRegistration kConvTranspose{
    {.name = "nn.ConvTranspose2d",
     .arguments = {"in_channels", "channels", "kernel", "stride", "padding"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const Value x = call.input();
       if (call.integer(0) != g.channels(x)) call.refuse(0, fmt::format("the input's {}", g.channels(x)));
       if (call.absent(2)) call.refuse(2, "a whole number");
       const int kernel = call.positive(2, 1, kMaxKernel);
       const int padding = call.integer(4, 0);
       if (padding < 0 || 2 * padding > kernel) call.refuse(4, "from 0 to half the kernel");
       return std::vector{
           g.conv_transpose(x, "", call.positive(1, 0), kernel, call.positive(3, 1, kMaxKernel), padding)};
     }}};

}  // namespace
}  // namespace marrow::nn
