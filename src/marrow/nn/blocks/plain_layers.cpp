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

// torch's own order; the parsers of forks put the input's channels in front and scale the output's.
const ModuleRegistration kConvTranspose{
    {.name = "nn.ConvTranspose2d",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "padding", "output_padding", "groups", "bias"},
     .build = [](ModuleCall& call) {
       if (call.absent(1)) call.refuse(1, "a whole number");
       const int kernel = call.positive(1, 1, kMaxKernel);
       const int stride = call.positive(2, 1, kMaxKernel);
       const int padding = call.integer(3, 0);
       if (padding < 0 || 2 * padding > kernel) call.refuse(3, "from 0 to half the kernel");
       const int output_padding = call.integer(4, 0);
       if (output_padding < 0 || output_padding >= stride) call.refuse(4, "from 0 to less than the stride");
       if (call.positive(5, 1) != 1) call.refuse(5, "1: Marrow's transposed convolutions have no groups");
       return std::vector{call.graph.conv_transpose(call.input(), "",
                                                    {.out = call.positive(0, 0),
                                                     .kernel = kernel,
                                                     .stride = stride,
                                                     .padding = padding,
                                                     .output_padding = output_padding,
                                                     .bias = call.boolean(6, true)})};
     }}};

const ModuleRegistration kPlainConv{
    {.name = "nn.Conv2d",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "padding", "dilation", "groups", "bias"},
     .build = [](ModuleCall& call) {
       if (call.absent(1)) call.refuse(1, "a whole number");
       const int padding = call.integer(3, 0);
       if (padding < 0 || padding > kMaxKernel)
         call.refuse(3, fmt::format("a whole number from 0 to {}", kMaxKernel));
       return std::vector{call.graph.conv(call.input(), "",
                                          {.out = call.positive(0, 0),
                                           .kernel = call.positive(1, 1, kMaxKernel),
                                           .stride = call.positive(2, 1, kMaxKernel),
                                           .dilation = call.positive(4, 1, kMaxKernel),
                                           .groups = call.positive(5, 1),
                                           .padding = Padding::symmetric(padding),
                                           .bias = call.boolean(6, true)})};
     }}};

// Zeros around the map are counted in its means, as torch does by default.
const ModuleRegistration kAveragePool{
    {.name = "nn.AvgPool2d", .arguments = {"kernel", "stride", "padding"}, .build = [](ModuleCall& call) {
       if (call.absent(0)) call.refuse(0, "a whole number");
       const int kernel = call.positive(0, 1, kMaxKernel);
       const int padding = call.integer(2, 0);
       if (padding < 0 || 2 * padding > kernel) call.refuse(2, "from 0 to half the kernel");
       return std::vector{
           call.graph.average_pool(call.input(), kernel, call.positive(1, kernel, kMaxKernel), padding)};
     }}};

// [[left, right, top, bottom]], or one number for all four sides.
const ModuleRegistration kZeroPad{
    {.name = "nn.ZeroPad2d", .arguments = {"sides"}, .build = [](ModuleCall& call) {
       constexpr const char* kWanted =
           "[left, right, top, bottom] of which left equals top and right equals bottom, up to 64";
       constexpr int kMaxSide = 64;
       if (call.absent(0)) call.refuse(0, kWanted);
       std::vector<nlohmann::json> sides(4, call.args[0]);
       if (call.args[0].is_array()) sides.assign(call.args[0].begin(), call.args[0].end());
       if (sides.size() != 4) call.refuse(0, kWanted);
       for (const nlohmann::json& side : sides)
         if (!side.is_number_integer() || side < 0 || side > kMaxSide) call.refuse(0, kWanted);
       if (sides[0] != sides[2] || sides[1] != sides[3]) call.refuse(0, kWanted);
       return std::vector{call.graph.zero_pad(call.input(), sides[0], sides[1])};
     }}};

}  // namespace
}  // namespace marrow::nn
