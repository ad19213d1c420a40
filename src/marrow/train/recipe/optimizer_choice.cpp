#include "marrow/train/recipe/optimizer_choice.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::train {

OptimizerKind optimizer_named(std::string_view name) {
  const std::string wanted = to_lower(name);
  std::vector<std::string> known = {"auto"};
  for (size_t i = 0; i < kOptimizerNames.size(); ++i) {
    if (to_lower(kOptimizerNames[i]) == wanted) return static_cast<OptimizerKind>(i);
    known.emplace_back(kOptimizerNames[i]);
  }
  throw Error(ErrorKind::kUsage, "optimizer: " + unknown_name_message("optimizer", name, known));
}

OptimizerChoice choose_optimizer(std::string_view name, const OptimizerChoice& given, int64_t train_images,
                                 int batch, int nominal_batch, int epochs, int classes, Rules rules) {
  if (to_lower(name) == "auto") {
    constexpr int64_t kLongRun = 10000;  // iterations
    const int64_t step = std::max(batch, nominal_batch);
    const int64_t iterations = (train_images + step - 1) / step * epochs;
    if (iterations > kLongRun)
      return {rules == Rules::k84 ? OptimizerKind::kMuSgd : OptimizerKind::kSgd, 0.01, 0.9, 0.0};
    const double lr = std::nearbyint(0.002 * 5 / (4 + classes) * 1e6) / 1e6;
    return {OptimizerKind::kAdamW, lr, 0.9, 0.0};
  }
  OptimizerChoice choice = given;
  choice.kind = optimizer_named(name);
  return choice;
}

}  // namespace marrow::train
