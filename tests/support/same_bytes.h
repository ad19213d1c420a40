// Whether tensors are the same to the bit, and all that an executor keeps.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/train/step/training_executor.h"

namespace marrow::testing {

inline bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::equal(a.bytes(), a.bytes() + a.byte_size(), b.bytes());
}

inline void expect_same_bytes(const Weights& found, const Weights& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) EXPECT_TRUE(same_bytes(found.at(name), tensor)) << name;
}

inline void expect_same_bytes(const train::ExecutorState& found, const train::ExecutorState& wanted) {
  expect_same_bytes(found.weights, wanted.weights);
  expect_same_bytes(found.average, wanted.average);
  expect_same_bytes(found.optimizer, wanted.optimizer);
  EXPECT_EQ(found.optimizer_steps, wanted.optimizer_steps);
  EXPECT_EQ(found.average_updates, wanted.average_updates);
}

}  // namespace marrow::testing
