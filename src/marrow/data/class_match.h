// Which class of a model is which of a dataset: the same classes may be numbered in another order, as when
// one list is by alphabet and the other is not.
#pragma once

#include <string>
#include <vector>

namespace marrow::data {

struct ClassMatch {
  enum class By { kSame, kName, kNumber };
  By by = By::kSame;
  std::vector<int> classes;  // the model's, by the dataset's

  // One line for the user; empty when the lists are the same.
  std::string note(const std::string& model, const std::string& data) const;
};

// By name when every name of the dataset is the model's and none is there twice, else by number.
ClassMatch match_classes(const std::vector<std::string>& model, const std::vector<std::string>& dataset);

}  // namespace marrow::data
