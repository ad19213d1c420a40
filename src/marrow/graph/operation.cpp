#include "marrow/graph/operation.h"

namespace marrow {

std::string_view activation_name(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kIdentity:
      return "identity";
    case ActivationKind::kRelu:
      return "relu";
    case ActivationKind::kRelu6:
      return "relu6";
    case ActivationKind::kLeakyRelu:
      return "leaky_relu";
    case ActivationKind::kSilu:
      return "silu";
    case ActivationKind::kHardSwish:
      return "hard_swish";
    case ActivationKind::kHardSigmoid:
      return "hard_sigmoid";
    case ActivationKind::kSigmoid:
      return "sigmoid";
    case ActivationKind::kTanh:
      return "tanh";
    case ActivationKind::kGelu:
      return "gelu";
    case ActivationKind::kMish:
      return "mish";
    case ActivationKind::kElu:
      return "elu";
  }
  return "?";
}

std::string_view operation_name(const Operation& operation) {
  return std::visit(Overloaded{
                        [](const Input&) { return "input"; },
                        [](const Conv&) { return "conv"; },
                        [](const ConvTranspose&) { return "conv_transpose"; },
                        [](const BatchNorm&) { return "batch_norm"; },
                        [](const Activation& a) { return activation_name(a.kind).data(); },
                        [](const Add&) { return "add"; },
                        [](const Multiply&) { return "multiply"; },
                        [](const Concat&) { return "concat"; },
                        [](const Slice&) { return "slice"; },
                        [](const ChannelShuffle&) { return "channel_shuffle"; },
                        [](const MaxPool&) { return "max_pool"; },
                        [](const AdaptiveMaxPool&) { return "adaptive_max_pool"; },
                        [](const GlobalAveragePool&) { return "global_average_pool"; },
                        [](const Upsample&) { return "upsample"; },
                        [](const Flatten&) { return "flatten"; },
                        [](const Linear&) { return "linear"; },
                        [](const Dropout&) { return "dropout"; },
                        [](const DropPath&) { return "drop_path"; },
                        [](const Scale&) { return "scale"; },
                        [](const Attention&) { return "attention"; },
                        [](const DetectDecode&) { return "detect_decode"; },
                    },
                    operation);
}

std::string_view extra_name(DetectExtra extra) {
  switch (extra) {
    case DetectExtra::kNone:
      return "none";
    case DetectExtra::kCoefficients:
      return "coefficients";
    case DetectExtra::kPoints:
      return "points";
    case DetectExtra::kVisiblePoints:
      return "visible_points";
    case DetectExtra::kAngle:
      return "angle";
  }
  return "unknown";
}

int numbers_of_point(DetectExtra extra) {
  return extra == DetectExtra::kPoints ? 2 : extra == DetectExtra::kVisiblePoints ? 3 : 1;
}

}  // namespace marrow
