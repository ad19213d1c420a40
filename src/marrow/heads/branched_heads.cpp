// Segment, Pose and OBB: the detection head with a third branch on every level. Their decode is not part of
// the graph: the outputs are the raw maps "feat<k>" and those of the third branch.
#include <fmt/format.h>

#include "base/error.h"
#include "blocks/conv.h"
#include "blocks/module.h"
#include "heads/detect.h"

namespace marrow {
namespace {

std::vector<Value> joined(const BranchedHead& head) {
  std::vector<Value> values = head.raw;
  values.insert(values.end(), head.extra.begin(), head.extra.end());
  return values;
}

// Mask coefficients "coefficients<k>" (N, masks, H_k, W_k) and the "prototypes" (N, masks, 2 H_0, 2 W_0) that
// they weigh. Source: YOLACT, Bolya et al. 2019.
const ModuleRegistration kSegment{
    {.name = "Segment",
     .channels = Module::Channels::kHead,
     .scaled_argument = 2,
     .task = "segment",
     .arguments = {"classes", "masks", "prototype_channels"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int masks = call.positive(1, 32);
       const int hidden = call.positive(2, 256);
       const BranchedHead head = detect_head_with_extra(g, call.inputs, call.positive(0, call.classes), masks,
                                                        "coefficients", call.activation);
       const auto scope = g.scope("proto");
       Value x = conv_unit(g, call.inputs[0], "cv1", {.out = hidden, .kernel = 3}, call.activation);
       x = g.conv_transpose(x, "upsample", hidden, 2, 2);
       x = conv_unit(g, x, "cv2", {.out = hidden, .kernel = 3}, call.activation);
       x = conv_unit(g, x, "cv3", {.out = masks}, call.activation);
       g.output("prototypes", x);
       std::vector<Value> values = joined(head);
       values.push_back(x);
       return values;
     }}};

// "keypoints<k>" (N, points * dimensions, H_k, W_k).
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
       return joined(detect_head_with_extra(call.graph, call.inputs, call.positive(0, call.classes),
                                            points * dimensions, "keypoints", call.activation));
     }}};

// "angles<k>" (N, 1, H_k, W_k); angle = (sigmoid - 0.25) * pi.
const ModuleRegistration kOrientedBoxes{
    {.name = "OBB",
     .channels = Module::Channels::kHead,
     .task = "obb",
     .arguments = {"classes", "angles"},
     .build = [](ModuleCall& call) {
       return joined(detect_head_with_extra(call.graph, call.inputs, call.positive(0, call.classes),
                                            call.positive(1, 1, 16), "angles", call.activation));
     }}};

}  // namespace
}  // namespace marrow
