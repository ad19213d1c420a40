// Tensors that are used again: to ask the system for megabytes of empty memory takes as long as to fill them.
// Any thread.
#pragma once

#include <deque>
#include <mutex>

#include "marrow/base/tensor.h"

namespace marrow::serve {

class TensorPool {
 public:
  // At most so many bytes are kept.
  explicit TensorPool(size_t most_bytes) : most_bytes_(most_bytes) {}

  // Of float32; holds whatever it held.
  Tensor take(const Shape& shape);
  // One that nobody else has.
  void give_back(Tensor tensor);

 private:
  const size_t most_bytes_;
  std::mutex mutex_;
  std::deque<Tensor> free_;  // the latest in front
  size_t bytes_ = 0;
};

}  // namespace marrow::serve
