// Which optimizer a run uses, and what `auto` stands for.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "marrow/base/rules.h"

namespace marrow::train {

enum class OptimizerKind { kSgd, kMuSgd, kAdam, kAdamax, kAdamW, kNadam, kRadam, kRmsProp };

// As the user writes them; "auto" besides.
inline constexpr std::array<std::string_view, 8> kOptimizerNames = {"SGD",   "MuSGD", "Adam",  "Adamax",
                                                                    "AdamW", "NAdam", "RAdam", "RMSprop"};

struct OptimizerChoice {
  OptimizerKind kind = OptimizerKind::kSgd;
  double lr0 = 0.01;
  double momentum = 0.937;  // Adam's beta1
  double warmup_bias_lr = 0.1;
};

// In any case. Throws Error{kUsage} naming the nearest one.
OptimizerKind optimizer_named(std::string_view name);

// `name` in any case; "auto" chooses by the number of iterations and classes, and then ignores the rates and
// momentum given: AdamW for short runs, for long ones SGD with 8.3's rules, MuSGD with those of 8.4. Throws
// as optimizer_named does.
OptimizerChoice choose_optimizer(std::string_view name, const OptimizerChoice& given, int64_t train_images,
                                 int batch, int nominal_batch, int epochs, int classes,
                                 Rules rules = kDefaultRules);

}  // namespace marrow::train
