// Names of files that are to lie together.
#pragma once

#include <fmt/format.h>

#include <set>
#include <string>

#include "marrow/base/text.h"

namespace marrow::data {

// Differ without regard to case, as some disks fold it: "a", "A_2".
class UniqueNames {
 public:
  std::string take(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !taken_.insert(to_lower(name)).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

 private:
  std::set<std::string> taken_;  // in lower case
};

}  // namespace marrow::data
