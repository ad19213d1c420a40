// What a loader gives until its end.
#pragma once

#include <utility>
#include <vector>

namespace marrow::testing {

template <class Loader>
auto all_batches(Loader& loader) {
  std::vector<typename decltype(loader.next())::value_type> batches;
  while (auto batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

}  // namespace marrow::testing
