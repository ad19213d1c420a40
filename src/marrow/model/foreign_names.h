// Checkpoints whose tensors have names of their own: renamed by rules, or paired with a network's by their
// order.
#pragma once

#include <string>
#include <vector>

#include "marrow/model/match_by_order.h"
#include "marrow/model/model.h"
#include "marrow/weights/checkpoint_file.h"

namespace marrow::model {

// `rules` are texts PATTERN=PATTERN of weights/rename.h; the first that matches a name renames it, an empty
// right side drops the tensor, and what none matches stays. Throws Error{kUsage} for a text that is no rule
// and a rule that matches nothing, Error{kFormat} when two tensors become one; both name `file`.
void rename_tensors(const std::vector<std::string>& rules, const std::string& file,
                    weights::Checkpoint& checkpoint);

struct OrderMatch {
  std::vector<NamePair> pairs;
  size_t wanted = 0;               // parameters of the model, or of its backbone
  std::vector<std::string> zeros;  // of the model, which the file does not need to have
  bool complete() const { return pairs.size() == wanted; }
};
// The whole model if the file fills it, otherwise its backbone.
OrderMatch match_model(const weights::Checkpoint& checkpoint, const Model& model);

// The names of the backbone's parameters, sorted: of a YAML model its whole backbone or the lines of its
// `backbone`, of a classifier by name everything before the head.
std::vector<std::string> backbone_parameters(const Model& model);

}  // namespace marrow::model
