#include "marrow/serve/tensor_pool.h"

#include <algorithm>

namespace marrow::serve {

Tensor TensorPool::take(const Shape& shape) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(free_, shape, &Tensor::shape);
    if (found != free_.end()) {
      Tensor tensor = std::move(*found);
      free_.erase(found);
      bytes_ -= tensor.byte_size();
      return tensor;
    }
  }
  return Tensor(shape);
}

void TensorPool::give_back(Tensor tensor) {
  const std::lock_guard lock(mutex_);
  bytes_ += tensor.byte_size();
  free_.push_front(std::move(tensor));
  while (bytes_ > most_bytes_) {
    bytes_ -= free_.back().byte_size();
    free_.pop_back();
  }
}

}  // namespace marrow::serve
