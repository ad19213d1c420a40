#include "marrow/data/class_match.h"

#include <fmt/format.h>

#include <numeric>
#include <set>

#include "marrow/data/dataset.h"

namespace marrow::data {

std::string ClassMatch::note(const std::string& model, const std::string& data) const {
  switch (by) {
    case By::kSame:
      return {};
    case By::kName:
      return fmt::format("the classes of {} have another order in {}; they are matched by name", model, data);
    case By::kNumber:
      return fmt::format("the classes of {} are called otherwise in {}; they are matched by number", model,
                         data);
  }
  return {};
}

ClassMatch match_classes(const std::vector<std::string>& model, const std::vector<std::string>& dataset) {
  ClassMatch match;
  match.classes.resize(dataset.size());
  std::iota(match.classes.begin(), match.classes.end(), 0);
  if (model == dataset) return match;
  match.by = ClassMatch::By::kNumber;
  const ClassIndex index(model);
  std::vector<int> by_name;
  for (const std::string& name : dataset) {
    by_name.push_back(index.find(name));
    if (by_name.back() < 0) return match;
  }
  if (std::set(by_name.begin(), by_name.end()).size() < by_name.size()) return match;
  return {ClassMatch::By::kName, std::move(by_name)};
}

}  // namespace marrow::data
