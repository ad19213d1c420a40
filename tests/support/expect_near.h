// Whether tensors are as others, number by number.
#pragma once

#include <gtest/gtest.h>

#include "marrow/graph/weights.h"

namespace marrow::testing {

// Of those that are float32; there are as many of all kinds.
inline void expect_near(const Weights& found, const Weights& wanted, double tolerance) {
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    if (tensor.dtype() != DType::kFloat32) continue;
    for (size_t i = 0; i < tensor.values().size(); ++i)
      ASSERT_NEAR(found.at(name).values()[i], tensor.values()[i], tolerance) << name << " " << i;
  }
}

}  // namespace marrow::testing
