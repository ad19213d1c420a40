#include "marrow/engine/step.h"

#include "marrow/graph/operation.h"

namespace marrow::engine {

static_assert(kUnaryKinds == kActivationKinds + 1 && kScale == kUnaryKinds - 1,
              "Kernels::unary follows ActivationKind");

void apply(const Epilogue& epilogue, const Kernels& kernels, float* values, const float* other,
           int64_t count) {
  const auto stage = [&](const Stage& s) {
    if (s.kind != 0) kernels.unary[static_cast<size_t>(s.kind)](values, values, count, s.parameter);
  };
  stage(epilogue.before);
  if (epilogue.join == Epilogue::Join::kAdd) kernels.add(values, other, values, count);
  if (epilogue.join == Epilogue::Join::kMultiply) kernels.multiply(values, other, values, count);
  stage(epilogue.after);
}

std::string to_string(const Epilogue& epilogue) {
  std::string text;
  const auto stage = [&](const Stage& s) {
    if (s.kind == kScale)
      text += " +scale";
    else if (s.kind != 0)
      text += " +" + std::string(activation_name(static_cast<ActivationKind>(s.kind)));
  };
  stage(epilogue.before);
  if (epilogue.join == Epilogue::Join::kAdd) text += " +add";
  if (epilogue.join == Epilogue::Join::kMultiply) text += " +multiply";
  stage(epilogue.after);
  return text;
}

}  // namespace marrow::engine
