// Renames the tensors of a published checkpoint to the names of ours. A family's table of rules stands in its
// backbone's file.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/weights.h"

namespace marrow::weights {

enum class RenameTransform {
  kNone,
  kTranspose2d,  // (a, b) -> (b, a): Paddle stores linear weights as (in, out)
  kScale,        // times `factor`: Paddle's dropout scales at inference
};

// `from` is matched against the whole name: `*` stands for one or more characters other than '.', `**` for
// one or more of any, each taking as few as let the rest match. In `to`, `{1}` is what the first wildcard
// stood for, `{2}` the second, and so on. An empty `to` drops the tensor.
//
//   {"blocks.*.bn1.**", "stages.{1}.norm.{2}"}
struct RenameRule {
  std::string from;
  std::string to;
  RenameTransform transform = RenameTransform::kNone;
  float factor = 1;
};

// The first rule that matches a name decides. A tensor that no rule matches is left out and its name goes to
// `unmatched`, when given. Transformed tensors are new and float32; all others share storage with `weights`.
// Throws Error{kFormat} when two tensors get the same name, Error{kShape} when a tensor to be transposed has
// not two dimensions.
Weights rename(const Weights& weights, std::span<const RenameRule> rules,
               std::vector<std::string>* unmatched = nullptr);

// What the wildcards of `pattern` stand for in `name`; false when it does not match.
bool match_name(std::string_view pattern, std::string_view name, std::vector<std::string>& captures);

}  // namespace marrow::weights
