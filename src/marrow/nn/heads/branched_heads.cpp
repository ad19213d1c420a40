// Segment, Pose and OBB: the detection head with a third branch on every level, decoded with the boxes.
#include <fmt/format.h>

#include <functional>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/heads/detect.h"

namespace marrow::nn {
namespace {

// The raw maps, those of the third branch, which are the taps "<tap><k>", and what stands between the two
// among the parameters.
std::vector<Value> branched_head(ModuleCall& call, DetectExtra extra, int channels, std::string_view tap,
                                 const std::function<std::vector<Value>()>& between = {}) {
  if (call.head.end2end)
    throw Error(
        ErrorKind::kUnsupported,
        "end2end is true, but a head of masks, keypoints or turned boxes has one pair of branches here; "
        "without the key its predictions are suppressed");
  const DetectOptions options = {call.positive(0, call.classes), call.activation, call.head};
  GraphBuilder& g = call.graph;
  std::vector<Value> values = detect_branches(g, call.inputs, "", options);
  const std::vector<Value> inner = between ? between() : std::vector<Value>();
  const std::vector<Value> third = third_branches(g, call.inputs, channels, tap, call.activation);
  decode_head(g, values, options, extra, third);
  values.insert(values.end(), third.begin(), third.end());
  values.insert(values.end(), inner.begin(), inner.end());
  return values;
}

Value prototypes(ModuleCall& call, int masks, int hidden) {
  GraphBuilder& g = call.graph;
  const auto scope = g.scope("proto");
  Value x = conv_unit(g, call.inputs.at(0), "cv1", {.out = hidden, .kernel = 3}, call.activation);
  x = g.conv_transpose(x, "upsample", hidden, 2, 2);
  x = conv_unit(g, x, "cv2", {.out = hidden, .kernel = 3}, call.activation);
  return conv_unit(g, x, "cv3", {.out = masks}, call.activation);
}

// Mask coefficients, taps "coefficients<k>" (N, masks, H_k, W_k), and the output "prototypes" (N, masks, 2
// H_0, 2 W_0) that they weigh. Source: YOLACT, Bolya et al. 2019.
const ModuleRegistration kSegment{{.name = "Segment",
                                   .channels = Module::Channels::kHead,
                                   .scaled_argument = 2,
                                   .task = "segment",
                                   .arguments = {"classes", "masks", "prototype_channels"},
                                   .build = [](ModuleCall& call) {
                                     const int masks = call.positive(1, 32);
                                     Value proto;
                                     std::vector<Value> maps = branched_head(
                                         call, DetectExtra::kCoefficients, masks, "coefficients", [&] {
                                           proto = prototypes(call, masks, call.positive(2, 256));
                                           return std::vector{proto};
                                         });
                                     call.graph.output(kPrototypesOutput, proto);
                                     return maps;
                                   }}};

// Taps "keypoints<k>" (N, points * dimensions, H_k, W_k).
const ModuleRegistration kPose{
    {.name = "Pose",
     .channels = Module::Channels::kHead,
     .task = "pose",
     .arguments = {"classes", "keypoint_shape"},
     .build = [](ModuleCall& call) {
       constexpr int kMaxPoints = 1000;
       int points = 17, dimensions = 3;
       if (!call.absent(1)) {
         const nlohmann::json& shape = call.args[1];
         const auto within = [&](size_t i, int low, int high) {
           return shape[i].is_number_integer() && shape[i] >= low && shape[i] <= high;
         };
         if (!shape.is_array() || shape.size() != 2 || !within(0, 1, kMaxPoints) || !within(1, 2, 3))
           call.refuse(
               1, fmt::format("[points up to {}, 2 or 3 dimensions], as in kpt_shape: [17, 3]", kMaxPoints));
         points = shape[0];
         dimensions = shape[1];
       }
       return branched_head(call, dimensions == 3 ? DetectExtra::kVisiblePoints : DetectExtra::kPoints,
                            points * dimensions, "keypoints");
     }}};

// Taps "angles<k>" (N, 1, H_k, W_k).
const ModuleRegistration kOrientedBoxes{{.name = "OBB",
                                         .channels = Module::Channels::kHead,
                                         .task = "obb",
                                         .arguments = {"classes", "angles"},
                                         .build = [](ModuleCall& call) {
                                           return branched_head(call, DetectExtra::kAngle,
                                                                call.positive(1, 1, 1), "angles");
                                         }}};

}  // namespace
}  // namespace marrow::nn
