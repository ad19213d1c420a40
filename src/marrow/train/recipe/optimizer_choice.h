// Which optimizer a run uses, and what `auto` stands for.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace marrow::train {

enum class OptimizerKind { kSgd, kAdam, kAdamax, kAdamW, kNadam, kRadam, kRmsProp };

// As the user writes them; "auto" besides.
inline constexpr std::array<std::string_view, 7> kOptimizerNames = {"SGD",   "Adam",  "Adamax", "AdamW",
                                                                    "NAdam", "RAdam", "RMSProp"};

struct OptimizerChoice {
  OptimizerKind kind = OptimizerKind::kSgd;
  double lr0 = 0.01;
  double momentum = 0.937;  // Adam's beta1
  double warmup_bias_lr = 0.1;
};

// `name` in any case; "auto" chooses by the number of iterations and classes, and then ignores the rates and
// momentum given. Throws Error{kUsage} naming the nearest one.
OptimizerChoice choose_optimizer(std::string_view name, const OptimizerChoice& given, int64_t train_images,
                                 int batch, int nominal_batch, int epochs, int classes);

}  // namespace marrow::train
